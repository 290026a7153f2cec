// How much each input column of a matrix matters: weights for the quantizers, measured on a text.
//
//   const Importance importance = measure_importance(data, model_folder, config, weights);
//   encode_tensor(type, {.values = rows, .length = n, .importance = importance.of(tensor)}, out);
//
// An error dW in a matrix changes its outputs by dW x, whose expected square is the sum over columns of
// E[x_j^2] dW_j^2 if columns were uncorrelated: so the weight of column j is E[x_j^2] over the tokens of the text, in
// the merged model (activation_moments.h). A column that the text leaves (nearly) silent gets kFloor of the matrix's
// mean instead: with weights of zero the encoders would store whole blocks as zeros, and another text may use them.
// What llama-imatrix measures and llama-quantize uses; Frantar et al. 2022 (GPTQ) for the objective.
//
// Memory, for N tokens: hidden states 4 N hidden_size bytes (384 MiB for Phi-3.5-mini at 32,768), one layer's matrices
// (452 MiB), and what a pass of kTokensOfPass tokens needs: below 1.5 GiB. Time: a forward pass of the N tokens.
// Deterministic for a number of threads. Errors: those of data/datasets/dataset.h; DataError for activations that are not
// finite, naming the matrix; Interrupted.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/files/file.h"
#include "export/gguf/phi3_tensors.h"
#include "export/merge/merged_weights.h"
#include "models/config.h"

namespace nkat::exporting {

struct ImportanceData {
  std::vector<std::string> files;          // as data::DatasetOptions
  std::int64_t tokens = 32'768;            // samples are taken in order, the last one cut; fewer are fine
  std::int64_t max_sequence_length = 512;  // of a sample; longer ones are cut
};

class Importance {
 public:
  static constexpr double kFloor = 1e-4;
  static constexpr std::int64_t kTokensOfPass = 1024;  // or one sample

  Importance() = default;  // weighs nothing
  // moments: by the checkpoint's names, a value >= 0 a column. sha256: of the data.
  Importance(const std::map<std::string, std::vector<double>>& moments, std::int64_t tokens, std::string sha256);

  // Empty for vectors, for the embedding, whose rows are looked up and not multiplied, and where nothing was measured.
  std::span<const float> of(const Phi3Tensor& tensor) const;
  std::int64_t tokens() const { return tokens_; }  // 0: weighs nothing
  const std::string& sha256() const { return sha256_; }

 private:
  std::map<std::string, std::vector<float>> columns_;
  std::int64_t tokens_ = 0;
  std::string sha256_;
};

Importance measure_importance(const ImportanceData& data, const fs::path& model_folder,
                              const models::Phi3Config& config, const MergedWeights& weights);

}  // namespace nkat::exporting
