#include "train/micro_batch.h"

#include <torch/csrc/autograd/autograd.h>

#include "layers/activation_checkpointing.h"
#include "layers/cpu/gemm_tiles.h"
#include "layers/cross_entropy.h"

namespace nkat::train {

double run_micro_batch(const models::Decoder& decoder, const std::vector<at::Tensor>& blocks,
                       const models::PackedSamples& samples, double scale, const MemorySettings& choices) {
  const models::PackedSamples packed =
      decoder.device().is_cuda() ? models::pad_rows(samples, layers::kRowsOfAGpuTile) : samples;
  const auto layout = decoder.layout(packed.lengths);
  const auto first_trained =
      std::find_if(blocks.begin(), blocks.end(), [](const at::Tensor& block) { return block.defined(); }) -
      blocks.begin();
  layers::CheckpointedLayers tape(decoder.num_layers(), first_trained, choices.recomputed_layers,
                                  [&](std::int64_t index, const at::Tensor& x) {
                                    return decoder.layer(index, x, layout, blocks[static_cast<std::size_t>(index)]);
                                  });
  const at::Tensor last = tape.forward(decoder.embed(packed.tokens)).requires_grad_(true);  // (T, H)
  const at::Tensor normed = decoder.final_norm(last.index_select(0, packed.target_rows));   // (R, H)
  const layers::CrossEntropy loss =
      layers::cross_entropy(normed.detach(), packed.targets, decoder.head_weight(),
                            {.scale = scale, .want_gradient = true, .chunk_rows = choices.head_rows});
  torch::autograd::backward({normed}, {loss.gradient});
  tape.backward(last.grad());
  return loss.losses.sum(at::kDouble).item<double>();
}

}  // namespace nkat::train
