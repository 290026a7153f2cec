// The weights of a model folder in Hugging Face format, mapped (F32, F16 or BF16); only the rows asked for are decoded.
// Errors: as models/weights/checkpoint_tensors.h for a folder that doesn't fit its config.
#pragma once

#include "core/files/file.h"
#include "data/formats/safetensors.h"
#include "export/merge/weight_source.h"
#include "models/config.h"

namespace nkat::exporting {

class CheckpointWeights final : public WeightSource {
 public:
  CheckpointWeights(const fs::path& model_folder, const models::Phi3Config& config);

  MatrixShape shape(const std::string& tensor) const override;
  void read(const std::string& tensor, std::size_t first_row, std::span<float> out) const override;
  void release(const std::string& tensor) const override;

 private:
  data::SafetensorsFolder folder_;
};

}  // namespace nkat::exporting
