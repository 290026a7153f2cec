// The importance of each input column of a matrix, measured on a calibration text: weights for the quantizers.
//
//   const Importance importance = measure_importance(data, model_folder, config, weights);
//   encode_tensor(type, {.values = rows, .length = n, .importance = importance.of(tensor)}, out);
//
// An error dW in a matrix changes its outputs by dW x, whose expected square, with uncorrelated columns, is the sum
// over columns of E[x_j^2] dW_j^2. So the weight of column j is E[x_j^2] over the tokens of the text, in the merged
// model. A (nearly) silent column gets kFloor of the matrix's mean instead: with weights of zero the encoders would
// store whole blocks as zeros, and another text may use them. The same as llama-imatrix measures and llama-quantize
// uses; objective: Frantar et al. 2022 (GPTQ).
//
// Memory, for N tokens: hidden states 4 N hidden_size bytes (384 MiB for Phi-3.5-mini at 32,768), one layer's matrices
// (452 MiB), and a pass of kTokensOfPass tokens: below 1.5 GiB. Time: a forward pass of the N tokens. Deterministic for
// a given number of threads. Errors: those of data/datasets/dataset.h; DataError naming a matrix whose activations are
// not finite; Interrupted.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/files/file.h"
#include "models/weights/weight_source.h"

namespace nkat::exporting {

struct ImportanceData {
  std::vector<std::string> files;          // as data::DatasetOptions
  std::int64_t tokens = 32'768;            // samples in order, the last one truncated; fewer are fine
  std::int64_t max_sequence_length = 512;  // of a sample; longer ones are truncated
};

class Importance {
 public:
  static constexpr double kFloor = 1e-4;
  static constexpr std::int64_t kTokensOfPass = 1024;  // or one sample

  Importance() = default;  // unweighted
  // moments: E[x_j^2] by the matrices' names in the checkpoint. sha256: of the data.
  Importance(const std::map<std::string, std::vector<double>>& moments, std::int64_t tokens, std::string sha256);

  // Empty for norms, for the embedding, whose rows are looked up instead of multiplied, and if nothing was measured.
  std::span<const float> of(const models::TensorSpec& tensor) const;
  std::int64_t tokens() const { return tokens_; }  // 0: unweighted
  const std::string& sha256() const { return sha256_; }

 private:
  std::map<std::string, std::vector<float>> columns_;
  std::int64_t tokens_ = 0;
  std::string sha256_;
};

Importance measure_importance(const ImportanceData& data, const fs::path& model_folder,
                              const models::ModelConfig& config, const models::WeightSource& weights);

}  // namespace nkat::exporting
