#include "validation/tasks/paired_loss.h"

#include "core/error.h"
#include "layers/kl_divergence.h"

namespace nkat::validation {

PairedLosses evaluate_paired(const EvalModel& subject, const data::Dataset& dataset,
                             const models::EvaluationOptions& options) {
  NKAT_INVARIANT(subject.has_adapter());
  const at::NoGradGuard no_grad;
  const models::Decoder& decoder = subject.decoder;
  PairedLosses losses;
  models::for_each_pass(dataset, decoder.device(), options, [&](const models::PackedSamples& packed) {
    const models::PackedBatch batch{packed.tokens, packed.lengths};
    const at::Tensor base = decoder.hidden(batch, {});                 // (T, H)
    const at::Tensor adapted = decoder.hidden(batch, subject.blocks);  // (T, H)
    models::append_losses(decoder, packed, base, losses.base);
    models::append_losses(decoder, packed, adapted, losses.adapted);
    const at::Tensor divergence =
        layers::kl_divergence(base.index_select(0, packed.target_rows), adapted.index_select(0, packed.target_rows),
                              decoder.head_weight());  // (R)
    models::append_sample_sums(packed, divergence, losses.divergence);
  });
  return losses;
}

}  // namespace nkat::validation
