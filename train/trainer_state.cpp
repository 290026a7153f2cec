#include "train/trainer_state.h"

#include <fmt/format.h>

#include "core/files/sha256.h"

namespace nkat::train {

std::array<at::Tensor, 6> trained_tensors(const TrainerState& state) {
  const OptimizerState& optimizer = state.optimizer;
  return {state.adapter.weight,           state.adapter.alpha,
          optimizer.first_moment.weight,  optimizer.first_moment.alpha,
          optimizer.second_moment.weight, optimizer.second_moment.alpha};
}

std::uint64_t state_digest(const TrainerState& state) {
  Sha256 hash;
  hash.update(fmt::format("{} {}", state.step, state.optimizer.updates));
  for (const at::Tensor& tensor : trained_tensors(state)) {
    hash.update(std::as_bytes(std::span(tensor.const_data_ptr<float>(), static_cast<std::size_t>(tensor.numel()))));
  }
  return std::stoull(hash.hex().substr(0, 16), nullptr, 16);
}

}  // namespace nkat::train
