// The weights of a GGUF file, decoded to float32 (the types of data/quantize/quantize.h with a decoder) and in the order
// of the checkpoint that the file was made from.
//
// llama.cpp rotates neighboring channels of a head where the checkpoint rotates those half a head apart, so its converter
// reorders the rows of a llama model's q and k: of each head, row 2 i + p of the file is row p d/2 + i of the checkpoint
// (d: channels of a head, p: 0 or 1; TensorSpec::gguf_row). That is undone here. Source: LlamaModel.permute of llama.cpp's
// conversion/llama.py.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "data/formats/gguf_reader.h"
#include "models/weights/weight_source.h"

namespace nkat::models {

class GgufWeights final : public WeightSource {
 public:
  // FormatError naming a tensor that is missing, of another shape than the config's, of a type without a decoder, or one
  // that the model has no place for. The head of a tied model is its embedding. `file` must outlive this.
  GgufWeights(const gguf::GgufFile& file, const ModelConfig& config);
  GgufWeights(std::shared_ptr<const gguf::GgufFile> file, const ModelConfig& config);

  MatrixShape shape(const std::string& tensor) const override;
  void read(const std::string& tensor, std::size_t first_row, std::span<float> out) const override;
  void release(const std::string& tensor) const override;
  // The file's tensor that a tensor of the checkpoint is stored as.
  const gguf::GgufTensor& stored(const std::string& tensor) const { return *by_name_.at(tensor).stored; }

 private:
  struct Named {
    TensorSpec spec;
    const gguf::GgufTensor* stored = nullptr;
  };
  std::shared_ptr<const gguf::GgufFile> file_;
  std::map<std::string, Named> by_name_;
};

}  // namespace nkat::models
