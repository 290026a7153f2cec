#include "train/micro_batch.h"

#include <torch/csrc/autograd/autograd.h>

#include "layers/activation_checkpointing.h"
#include "layers/cpu/gemm_tiles.h"
#include "layers/cross_entropy.h"

namespace nkat::train {

double run_micro_batch(const models::Decoder& decoder, const std::vector<at::Tensor>& matrices,
                       const models::PackedBatch& samples, double scale, const MemorySettings& settings) {
  const models::PackedBatch packed =
      decoder.device().is_cuda() ? models::pad_rows(samples, layers::kRowsOfAGpuTile) : samples;
  const auto layout = decoder.layout(packed.lengths);
  const auto first_trained =
      std::find_if(matrices.begin(), matrices.end(), [](const at::Tensor& matrix) { return matrix.defined(); }) -
      matrices.begin();
  layers::CheckpointedLayers tape(decoder.num_layers(), first_trained, settings.recomputed_layers,
                                  [&](std::int64_t index, const at::Tensor& x) {
                                    return decoder.layer(index, x, layout, matrices[static_cast<std::size_t>(index)]);
                                  });
  const at::Tensor last = tape.forward(decoder.embed(packed.tokens)).requires_grad_(true);  // (T, H)
  const at::Tensor normed = decoder.final_norm(last.index_select(0, packed.target_rows));   // (R, H)
  const layers::CrossEntropy loss =
      layers::cross_entropy(normed.detach(), packed.targets, decoder.head_weight(),
                            {.scale = scale, .want_gradient = true, .chunk_rows = settings.head_rows});
  torch::autograd::backward({normed}, {loss.gradient});
  tape.backward(last.grad());
  return loss.losses.sum(at::kDouble).item<double>();
}

}  // namespace nkat::train
