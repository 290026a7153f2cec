// Where a model's weights are read from, as float32 and a few rows at a time: a Hugging Face folder or a GGUF file.
// (weights/gguf_weights.h). Tensors go by their names in the checkpoint (models/tensor_table.h), whatever the file calls them.
// A decorator that changes weights on the way, such as export's MergedWeights, is a source too. No LibTorch.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "data/formats/safetensors_folder.h"
#include "models/tensor_table.h"

namespace nkat::models {

// A tensor as it is stored: the numbers that read() gives, row-major, in another type.
struct StoredNumbers {
  data::DType type = data::DType::kF32;
  std::span<const std::byte> bytes;
};

class WeightSource {
 public:
  virtual ~WeightSource() = default;

  virtual MatrixShape shape(const std::string& tensor) const = 0;
  // Whole rows from first_row on. Values are not checked.
  virtual void read(const std::string& tensor, std::size_t first_row, std::span<float> out) const = 0;
  // Gives the tensor's pages back to the system; reading them again is allowed.
  virtual void release(const std::string& tensor) const = 0;
  // For a copy without a detour over float32, where the source has such bytes.
  virtual std::optional<StoredNumbers> stored_numbers(const std::string& /*tensor*/) const { return std::nullopt; }
};

// A model folder in Hugging Face format, mapped; F32, F16 or BF16.
class SafetensorsWeights final : public WeightSource {
 public:
  // Before anything is allocated: FormatError for a missing or unexpected tensor or another type; ShapeError for
  // another shape than the config's.
  SafetensorsWeights(const std::filesystem::path& model_folder, const ModelConfig& config);

  MatrixShape shape(const std::string& tensor) const override;
  void read(const std::string& tensor, std::size_t first_row, std::span<float> out) const override;
  void release(const std::string& tensor) const override;
  std::optional<StoredNumbers> stored_numbers(const std::string& tensor) const override;

 private:
  data::SafetensorsFolder folder_;
};

}  // namespace nkat::models
