// A forward pass that holds one layer's weights at a time, in float32 on the CPU: for models larger than memory, one or
// two at a time.
//
// Shapes: T tokens of a batch, H hidden_size, V vocab_size. Memory: the matrices of one layer (452 MiB for
// Phi-3.5-mini), 4,096 rows of the head, and the hidden states of all batches. Tensors are released once they are read.
// Throws Interrupted between layers, and what the source throws.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "models/decoder.h"
#include "models/weights/weight_source.h"

namespace nkat::models {

// Told a stored matrix by its name in the checkpoint, and its input (T, in) before they are multiplied. Parts of a
// stacked matrix are told one after the other, with the same input.
using MatrixObserver = std::function<void(const std::string& tensor, const at::Tensor& input)>;

struct StreamedModel {
  ModelConfig config;
  const WeightSource& weights;
  std::vector<at::Tensor> adapter = {};  // as Decoder::hidden takes them; empty: no adapter
};

// -> (T, H) of each batch, after the final norm. `done` is called after each layer; `observe` and `done` may be empty.
std::vector<at::Tensor> streamed_hidden(const StreamedModel& model, const std::vector<PackedBatch>& batches,
                                        const MatrixObserver& observe = {},
                                        const std::function<void(std::int64_t layer)>& done = {});

// hidden (T, H) after the final norm -> (T, V)
at::Tensor streamed_logits(const StreamedModel& model, const at::Tensor& hidden);

}  // namespace nkat::models
