#include "validation/tasks/paired_loss.h"

#include "core/error.h"
#include "core/signals.h"
#include "layers/kl_divergence.h"

namespace nkat::validation {
namespace {

// The layers of one pass, with the adapter.
struct Pass {
  const EvalModel& model;
  layers::PackedSequences layout;

  // x (T, H) through layers [begin, end) -> (T, H)
  at::Tensor through(std::int64_t begin, std::int64_t end, at::Tensor x) const {
    for (std::int64_t i = begin; i < end; ++i) {
      x = model.decoder.layer(i, x, layout, model.blocks[static_cast<std::size_t>(i)]);
    }
    return x;
  }
  // x (T, H) below `layer` -> (T, H) above all layers, with that layer's gate closed.
  at::Tensor around(std::int64_t layer, const at::Tensor& x) const {
    return through(layer + 1, model.decoder.num_layers(), model.decoder.layer(layer, x, layout, {}));
  }
};

}  // namespace

PairedLosses evaluate_paired(const EvalModel& model, const data::Dataset& dataset,
                             const models::EvaluationOptions& options) {
  NKAT_INVARIANT(model.has_adapter());
  const at::NoGradGuard no_grad;
  const models::Decoder& decoder = model.decoder;
  PairedLosses losses;
  models::for_each_pass(dataset, decoder.device(), options, [&](const models::PackedBatch& packed) {
    const models::PackedBatch batch{packed.tokens, packed.lengths};
    const at::Tensor base = decoder.hidden(batch, {});               // (T, H)
    const at::Tensor adapted = decoder.hidden(batch, model.blocks);  // (T, H)
    models::append_losses(decoder, packed, base, losses.base);
    models::append_losses(decoder, packed, adapted, losses.adapted);
    const at::Tensor divergence =
        layers::kl_divergence(base.index_select(0, packed.target_rows), adapted.index_select(0, packed.target_rows),
                              decoder.head_weight());  // (R)
    models::append_sample_sums(packed, divergence, losses.divergence);
  });
  return losses;
}

AblatedLosses ablate_layers(const EvalModel& model, const data::Dataset& dataset,
                            const std::function<void(std::int64_t, std::int64_t)>& progress) {
  NKAT_INVARIANT(model.has_adapter());
  const at::NoGradGuard no_grad;
  const models::Decoder& decoder = model.decoder;
  const std::int64_t first = model.adapter.first_layer;
  const std::int64_t count = decoder.num_layers() - first;
  AblatedLosses losses;
  losses.without.resize(static_cast<std::size_t>(count));
  std::int64_t done = 0;
  models::for_each_pass(dataset, decoder.device(), {}, [&](const models::PackedBatch& packed) {
    const Pass pass{model, decoder.layout(packed.lengths)};
    at::Tensor x = pass.through(0, first, decoder.embed(packed.tokens));  // (T, H)
    for (std::int64_t i = 0; i < count; ++i) {
      throw_if_stop_requested();
      models::append_losses(decoder, packed, decoder.final_norm(pass.around(first + i, x)),
                            losses.without[static_cast<std::size_t>(i)]);
      x = pass.through(first + i, first + i + 1, x);
      progress(done += static_cast<std::int64_t>(packed.samples.size()), dataset.size() * count);
    }
    models::append_losses(decoder, packed, decoder.final_norm(x), losses.whole);
  });
  return losses;
}

}  // namespace nkat::validation
