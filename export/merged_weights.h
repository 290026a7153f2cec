// A checkpoint's weights as float32, a few rows at a time, as they are stored or with an adapter folded in.
//
// The checkpoint stays mapped (F32, F16 or BF16); only the rows asked for are decoded, so that memory doesn't grow with
// the model. Errors: as models/checkpoint_check.h for a folder that doesn't fit its config. Values are not checked: the
// encoders refuse what is not finite.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/file.h"
#include "data/safetensors.h"
#include "models/config.h"

namespace nkat::exporting {

struct MatrixShape {
  std::size_t rows = 0;
  std::size_t row_length = 0;  // a vector is one row

  std::size_t elements() const { return rows * row_length; }
};

class MergedWeights {
 public:
  // blocks: by layer, (hidden/8, 8, 8) row-major, the matrices M = I + σ(α) R; empty where a layer has no adapter.
  MergedWeights(const fs::path& model_folder, const models::Phi3Config& config, std::vector<std::vector<float>> blocks);

  MatrixShape shape(const std::string& tensor) const;  // names as the checkpoint has them
  bool is_changed(const std::string& tensor) const { return blocks_of_.contains(tensor); }
  // Rows from first_row on; out holds whole rows, of changed tensors a multiple of eight from a multiple of eight.
  void read_base(const std::string& tensor, std::size_t first_row, std::span<float> out) const;
  void read_merged(const std::string& tensor, std::size_t first_row, std::span<float> out) const;
  // Gives the tensor's pages back to the system.
  void release(const std::string& tensor) const;
  // How many rows make a piece of at most 16 MiB, in multiples of eight.
  static std::size_t rows_of_piece(MatrixShape shape);

 private:
  data::SafetensorsFolder folder_;
  std::vector<std::vector<float>> blocks_;
  std::map<std::string, std::span<const float>, std::less<>> blocks_of_;
};

// The checkpoint's tensor that the adapter of this layer changes.
std::string down_projection(std::int64_t layer);

}  // namespace nkat::exporting
