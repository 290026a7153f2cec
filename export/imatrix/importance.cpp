#include "export/imatrix/importance.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "core/cli/progress.h"
#include "core/error.h"
#include "data/datasets/dataset.h"
#include "data/text/chat_template.h"
#include "data/text/tokenizer.h"
#include "export/imatrix/activation_moments.h"

namespace nkat::exporting {
namespace {

void require_finite(const std::string& tensor, const std::vector<double>& moments) {
  for (std::size_t column = 0; column < moments.size(); ++column) {
    if (std::isfinite(static_cast<float>(moments[column]))) continue;
    throw DataError(fmt::format(
        "importance of '{}': finite activations were expected, the second moment of column {} is {}; the merged model "
        "overflows on this text, check the model and the adapter with nkat eval",
        tensor, column, moments[column]));
  }
}

std::vector<float> column_weights(const std::vector<double>& moments) {
  const double mean = std::accumulate(moments.begin(), moments.end(), 0.0) / static_cast<double>(moments.size());
  if (mean == 0) return std::vector<float>(moments.size(), 1.0f);
  std::vector<float> weights;
  for (const double moment : moments)
    weights.push_back(static_cast<float>(std::max(moment, Importance::kFloor * mean)));
  return weights;
}

models::PackedBatch packed(const std::vector<std::int64_t>& tokens, std::vector<std::int64_t> lengths) {
  return {at::tensor(at::ArrayRef<std::int64_t>(tokens), at::kLong), std::move(lengths)};
}

// The first `most` tokens of the samples, in their order; the last sample may be cut.
std::vector<models::PackedBatch> first_tokens(const data::Dataset& dataset, std::int64_t most) {
  std::vector<models::PackedBatch> batches;
  std::vector<std::int64_t> tokens, lengths;
  const auto close = [&] {
    if (!tokens.empty()) batches.push_back(packed(tokens, lengths));
    tokens.clear();
    lengths.clear();
  };
  for (std::int64_t index = 0; index < dataset.size() && most > 0; ++index) {
    const data::SampleView sample = dataset.sample(index);
    const std::int64_t length = std::min(sample.length(), most);
    if (static_cast<std::int64_t>(tokens.size()) + length > Importance::kTokensOfPass) close();
    for (std::int64_t i = 0; i < length; ++i) tokens.push_back(sample.token(i));
    lengths.push_back(length);
    most -= length;
  }
  close();
  return batches;
}

// Reads the merged weights, and gives a layer's pages back behind it.
ActivationMoments moments_of(const models::Phi3Config& config, const MergedWeights& weights,
                             const std::vector<models::PackedBatch>& batches) {
  const auto read = [&](const std::string& tensor, std::size_t first_row, std::span<float> out) {
    weights.read_merged(tensor, first_row, out);
  };
  const std::vector<Phi3Tensor> tensors = phi3_tensors(config);
  ProgressBar progress("importance, layers", static_cast<std::uint64_t>(config.num_layers));
  return activation_moments({.config = config, .read = read}, batches, [&](std::int64_t layer) {
    for (const Phi3Tensor& tensor : tensors) {
      if (tensor.layer == layer) weights.release(tensor.source);
    }
    progress.update(static_cast<std::uint64_t>(layer) + 1, "");
  });
}

}  // namespace

Importance::Importance(const std::map<std::string, std::vector<double>>& moments, std::int64_t tokens,
                       std::string sha256)
    : tokens_(tokens), sha256_(std::move(sha256)) {
  for (const auto& [tensor, columns] : moments) {
    require_finite(tensor, columns);
    columns_[tensor] = column_weights(columns);
  }
}

std::span<const float> Importance::of(const Phi3Tensor& tensor) const {
  if (tensor.role == TensorRole::kVector || tensor.role == TensorRole::kEmbedding) return {};
  const auto found = columns_.find(tensor.source);
  return found == columns_.end() ? std::span<const float>() : std::span<const float>(found->second);
}

Importance measure_importance(const ImportanceData& data, const fs::path& model_folder,
                              const models::Phi3Config& config, const MergedWeights& weights) {
  const data::Tokenizer tokenizer(model_folder);
  const auto chat_template = data::ChatTemplate::from_model_folder(model_folder);
  const data::Dataset dataset(
      {.files = data.files, .max_sequence_length = data.max_sequence_length, .vocabulary_size = config.vocab_size},
      tokenizer, chat_template);
  const ActivationMoments moments = moments_of(config, weights, first_tokens(dataset, data.tokens));
  return {moments.columns, moments.tokens, dataset.summary().sha256};
}

}  // namespace nkat::exporting
