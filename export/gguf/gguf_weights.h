// The weights of a phi3 GGUF file, decoded (the types of quantize.h), under their names in the checkpoint.
#pragma once

#include <map>

#include "data/formats/gguf_reader.h"
#include "export/merge/weight_source.h"
#include "models/config.h"

namespace nkat::exporting {

class GgufWeights final : public WeightSource {
 public:
  // `file` must outlive this. FormatError, naming the tensor, if the file lacks one of the config's or has it in
  // another shape. A tied model's head is its embedding.
  GgufWeights(const gguf::GgufFile& file, const models::Phi3Config& config);

  MatrixShape shape(const std::string& tensor) const override;
  // FormatError for a type that has no decoder here.
  void read(const std::string& tensor, std::size_t first_row, std::span<float> out) const override;
  void release(const std::string& tensor) const override;
  const gguf::GgufTensor& stored(const std::string& tensor) const { return *by_name_.at(tensor); }

 private:
  const gguf::GgufFile& file_;
  std::map<std::string, const gguf::GgufTensor*> by_name_;
};

}  // namespace nkat::exporting
