// A forward pass that holds one layer's weights at a time, in float32 on the CPU: for looking at models, also two side
// by side, that need not fit into memory.
//
// Shapes: T tokens of a batch, H hidden_size, V vocab_size. Memory: the matrices of one layer (452 MiB for
// Phi-3.5-mini), 4,096 rows of the head, and the hidden states of all batches. Throws Interrupted between layers when a
// stop was asked for, and what `read` throws.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "models/decoder.h"

namespace nkat::models {

// Fills `out` with whole rows, from first_row on, of a checkpoint's tensor; a vector is one row.
using ReadRows = std::function<void(const std::string& tensor, std::size_t first_row, std::span<float> out)>;
// Told a matrix by its name in the checkpoint, and its input (T, in) before they are multiplied.
using MatrixObserver = std::function<void(const std::string& tensor, const at::Tensor& input)>;

struct StreamedModel {
  Phi3Config config;
  ReadRows read;
  std::vector<at::Tensor> blocks = {};  // as Decoder::hidden takes them; empty: no adapter
};

// -> (T, H) of each batch, behind the final norm. `done` is told after each layer; it may be empty, as `observe` may.
std::vector<at::Tensor> streamed_hidden(const StreamedModel& model, const std::vector<PackedBatch>& batches,
                                        const MatrixObserver& observe = {},
                                        const std::function<void(std::int64_t layer)>& done = {});

// hidden (T, H) behind the final norm -> (T, V)
at::Tensor streamed_logits(const StreamedModel& model, const at::Tensor& hidden);

}  // namespace nkat::models
