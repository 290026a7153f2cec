// Where a model's weights are read from, as float32 and a few rows at a time: a checkpoint (checkpoint_weights.h) or a
// GGUF file (gguf_weights.h). Tensors are named as the checkpoint names them, whatever the file calls them.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace nkat::exporting {

struct MatrixShape {
  std::size_t rows = 0;
  std::size_t row_length = 0;  // a vector is one row

  std::size_t elements() const { return rows * row_length; }
};

class WeightSource {
 public:
  virtual ~WeightSource() = default;

  virtual MatrixShape shape(const std::string& tensor) const = 0;
  // Rows from first_row on; out holds whole rows. Values are not checked.
  virtual void read(const std::string& tensor, std::size_t first_row, std::span<float> out) const = 0;
  // Gives the tensor's pages back to the system; reading them again is allowed.
  virtual void release(const std::string& tensor) const = 0;
};

// The checkpoint's tensor that the adapter of this layer changes.
std::string down_projection(std::int64_t layer);

}  // namespace nkat::exporting
