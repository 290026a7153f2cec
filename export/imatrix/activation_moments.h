// Second moments of what goes into a model's matrices, over tokens of a text: E[x_j^2] for every input column j.
//
// By the checkpoint's name of each matrix: qkv_proj, o_proj, gate_up_proj and down_proj of every layer, and the head,
// whose input is the hidden state behind the final norm (of a tied model it goes by the embedding's name). The forward
// pass is models/weights/streamed_forward.h's in float32; squares are added in float64, token after token, so that neither threads
// nor the cut into batches show in them. Memory: that of the pass. Throws Interrupted when a stop was asked for.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "models/weights/streamed_forward.h"

namespace nkat::exporting {

struct ActivationMoments {
  std::int64_t tokens = 0;
  std::map<std::string, std::vector<double>> columns;
};

// done: told after each layer.
ActivationMoments activation_moments(const models::StreamedModel& model,
                                     const std::vector<models::PackedBatch>& batches,
                                     const std::function<void(std::int64_t layer)>& done = {});

}  // namespace nkat::exporting
