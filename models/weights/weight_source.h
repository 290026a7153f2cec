// Where a model's weights are read from, as float32 and a few rows at a time: a Hugging Face folder or a GGUF file.
// Tensors go by their names in the checkpoint (models/tensor_table.h), whatever the file calls them. A decorator that changes
// weights on the way, such as export's MergedWeights, is a source too. No LibTorch.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "data/formats/gguf_reader.h"
#include "data/formats/safetensors_folder.h"
#include "models/tensor_table.h"

namespace nkat::models {

class WeightSource {
 public:
  virtual ~WeightSource() = default;

  virtual MatrixShape shape(const std::string& tensor) const = 0;
  // Whole rows from first_row on. Values are not checked.
  virtual void read(const std::string& tensor, std::size_t first_row, std::span<float> out) const = 0;
  // Gives the tensor's pages back to the system; reading them again is allowed.
  virtual void release(const std::string& tensor) const = 0;
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
  const data::SafetensorsFolder& folder() const { return folder_; }

 private:
  data::SafetensorsFolder folder_;
};

// A GGUF file of a known family, decoded (the types of data/quantize/quantize.h), rows in the checkpoint's order.
class GgufWeights final : public WeightSource {
 public:
  // `file` must outlive this. FormatError naming a tensor that is missing or of another shape than the config's. The
  // head of a tied model is its embedding.
  GgufWeights(const gguf::GgufFile& file, const ModelConfig& config);

  MatrixShape shape(const std::string& tensor) const override;
  // FormatError for a type without a decoder.
  void read(const std::string& tensor, std::size_t first_row, std::span<float> out) const override;
  void release(const std::string& tensor) const override;
  const gguf::GgufTensor& stored(const std::string& tensor) const { return *by_name_.at(tensor).file; }

 private:
  struct Stored {
    const gguf::GgufTensor* file;
    TensorSpec spec;
  };
  const gguf::GgufFile& file_;
  std::map<std::string, Stored> by_name_;
};

}  // namespace nkat::models
