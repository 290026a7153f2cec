#include "export/imatrix/importance.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "core/cli/progress.h"
#include "core/error.h"
#include "core/message.h"
#include "core/signals.h"
#include "data/datasets/dataset.h"
#include "data/text/model_text.h"
#include "models/weights/streamed_forward.h"

namespace nkat::exporting {
namespace {

// Second moments E[x_j^2] of the inputs of the matrices, by their names in the checkpoint: those of every layer, and
// the head, whose input is the hidden state after the final norm (a tied head goes by the embedding's name). Squares
// are added in float64, token after token, so that neither threads nor batching change them.
struct ActivationMoments {
  std::int64_t tokens = 0;
  std::map<std::string, std::vector<double>> columns;
};

// input (T, columns)
void add_squares(const at::Tensor& input, std::vector<double>& sums) {
  NKAT_INVARIANT(input.scalar_type() == at::kFloat && input.dim() == 2);
  const at::Tensor rows = input.contiguous();
  const std::size_t width = static_cast<std::size_t>(rows.size(1));
  sums.resize(width);
  const float* row = rows.const_data_ptr<float>();
  for (std::int64_t i = 0; i < rows.size(0); ++i, row += width) {
    for (std::size_t j = 0; j < width; ++j) sums[j] += static_cast<double>(row[j]) * static_cast<double>(row[j]);
  }
}

void require_finite(const std::string& tensor, const std::vector<double>& moments) {
  for (std::size_t column = 0; column < moments.size(); ++column) {
    if (std::isfinite(static_cast<float>(moments[column]))) continue;
    throw DataError(fmt::format(
        "importance of '{}': {}", tensor,
        expected("finite activations", fmt::format("a second moment of {} in column {}", moments[column], column),
                 "the merged model overflows on this text, check model and adapter with nkat eval")));
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

// The first `most` tokens of the samples, in order; the last sample may be truncated.
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

ActivationMoments activation_moments(const models::StreamedModel& model,
                                     const std::vector<models::PackedBatch>& batches,
                                     const std::function<void(std::int64_t layer)>& done) {
  ActivationMoments moments;
  const auto observe = [&](const std::string& tensor, const at::Tensor& input) {
    throw_if_stop_requested();
    add_squares(input, moments.columns[tensor]);
  };
  const std::vector<at::Tensor> hidden = models::streamed_hidden(model, batches, observe, done);
  const std::string head = models::model_tensor(model.config, models::TensorRole::kHead).name;
  for (const at::Tensor& states : hidden) {
    add_squares(states, moments.columns[head]);
    moments.tokens += states.size(0);
  }
  NKAT_INVARIANT(moments.tokens > 0);
  for (auto& [tensor, columns] : moments.columns) {
    for (double& column : columns) column /= static_cast<double>(moments.tokens);
  }
  return moments;
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

std::span<const float> Importance::of(const models::TensorSpec& tensor) const {
  if (tensor.kind != models::TensorKind::kMatrix) return {};
  const auto found = columns_.find(tensor.name);
  return found == columns_.end() ? std::span<const float>() : std::span<const float>(found->second);
}

Importance measure_importance(const ImportanceData& data, const fs::path& model_folder,
                              const models::ModelConfig& config, const models::WeightSource& weights) {
  const data::Tokenizer tokenizer(model_folder);
  const auto chat_template = data::open_chat_template(model_folder);
  const data::Dataset dataset(
      {.files = data.files, .max_sequence_length = data.max_sequence_length, .vocabulary_size = config.vocab_size},
      tokenizer, chat_template);
  ProgressBar progress("importance, layers", static_cast<std::uint64_t>(config.num_layers));
  const ActivationMoments moments =
      activation_moments({.config = config, .weights = weights}, first_tokens(dataset, data.tokens),
                         [&](std::int64_t layer) { progress.update(static_cast<std::uint64_t>(layer) + 1, ""); });
  return {moments.columns, moments.tokens, dataset.summary().sha256};
}

}  // namespace nkat::exporting
