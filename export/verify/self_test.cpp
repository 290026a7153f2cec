#include "export/verify/self_test.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "core/cli/progress.h"
#include "core/error.h"
#include "core/message.h"
#include "models/model_folder.h"
#include "models/weights/gguf_weights.h"

namespace nkat::exporting {

const char* const kNotPublished = "nothing was published, an existing file is unchanged; export again";

namespace {

using gguf::GgmlType;

// Columns of little importance may be far off, but not so far that zeros would pass for the weights.
constexpr double kLargestWeighted = 0.5;

struct Conversation {
  const char* question;
  const char* answer;
};

constexpr Conversation kConversations[] = {
    {"Why is the sky blue?", "Air scatters short waves of light more than long ones, so blue comes from everywhere."},
    {"日本の首都はどこですか。", "日本の首都は東京です。"},
    {"What is 48 + 57 - 19?", "48 + 57 = 105, and 105 - 19 = 86.\n#### 86"},
    {"Write a loop that sums a list.", "total = 0\nfor x in values:\n    total += x\nprint(total)"},
};

models::TextProcessor open_text_processor(const fs::path& model_folder, const models::ModelConfig& config) {
  try {
    return models::load_tokenizer_and_template(model_folder, config);
  } catch (const FormatError& error) {
    throw FormatError(std::string(error.what()) + "; --self-test tensors needs no tokenizer");
  } catch (const DataError& error) {
    throw DataError(std::string(error.what()) + "; --self-test tensors needs no tokenizer");
  }
}

std::vector<std::int32_t> conversation_tokens(const models::TextProcessor& text, const char* question,
                                              const char* answer) {
  const std::vector<data::Turn> turns = {{data::Role::kUser, question}, {data::Role::kAssistant, answer}};
  try {
    return text.chat_template.encode(text.tokenizer, turns, data::AddedTokens::kText, false).tokens;
  } catch (const DataError&) {
    // A template that wants more than messages, tools perhaps: the text alone compares two models as well.
    return text.tokenizer.encode(fmt::format("{}\n{}", question, answer), data::AddedTokens::kText);
  }
}

// Short conversations in English, Japanese, digits and code, truncated where the model's short rope factors end. Fixed,
// so that two exports can be compared.
Prompts self_test_prompts(const fs::path& model_folder, const models::ModelConfig& config) {
  constexpr std::int64_t kLongest = 256;  // tokens
  const models::TextProcessor text = open_text_processor(model_folder, config);
  const auto longest = static_cast<std::size_t>(std::min(kLongest, config.original_max_position_embeddings));
  Prompts prompts;
  for (const auto& [question, answer] : kConversations) {
    std::vector<std::int32_t> tokens = conversation_tokens(text, question, answer);
    if (tokens.size() > longest) tokens.resize(longest);
    prompts.push_back(std::move(tokens));
  }
  return prompts;
}

class Tester {
 public:
  Tester(const MergedWeights& weights, const WrittenModel& written, const SelfTestOptions& options)
      : weights_(weights), written_(written), options_(options) {}

  std::vector<TensorRetention> tensors(const std::vector<StoredTensor>& stored) const {
    std::vector<TensorRetention> retention;
    ProgressBar progress("self-test, tensors", stored.size());
    std::uint64_t done = 0;
    for (const StoredTensor& one : stored) {
      TensorRetention found = tensor(one);
      if (one.source.role == models::TensorRole::kDown && one.source.is_layer_matrix())
        retention.push_back(std::move(found));
      progress.update(++done, one.source.name);
    }
    return retention;
  }

  std::optional<LogitComparison> logits(const models::ModelConfig& config) const {
    if (options_.prompts.empty()) return std::nullopt;
    LogitComparison found = compare_logits(config, weights_, written_, options_.prompts);
    found.maximum_kl = options_.maximum_kl;
    return found;
  }

 private:
  TensorRetention tensor(const StoredTensor& one) const {
    TensorRetention found = measure_retention(weights_, one.source.name, written_.weights, one.written);
    found.layer = one.source.layer;
    found.type = gguf::traits(one.type).name;
    found.limit = options_.limits.of(found.type);
    found.judged = options_.judges_rounding;
    const double rounding = quantization_error_bound(one.type, found.size, one.source.matrix().elements());
    const double limit = one.weighted ? std::max(rounding, kLargestWeighted * found.size) : rounding;
    if (found.distance <= limit) return found;
    throw CheckError(fmt::format(
        "{}: tensor '{}', stored as {}, is {:.3g} away from the merged weights, whose size is {:.3g}; rounding to {} "
        "explains {:.3g}; {}",
        options_.output, one.source.name, found.type, found.distance, found.size, found.type, limit, kNotPublished));
  }

  const MergedWeights& weights_;
  const WrittenModel& written_;
  const SelfTestOptions& options_;
};

bool is_as_planned(const gguf::GgufFile& file, const PlannedTensor& planned) {
  const gguf::GgufTensor* found = file.find(planned.file.name);
  if (found == nullptr || !is_planned(*found, planned)) return false;
  const auto values = std::as_bytes(std::span(planned.values));
  return values.empty() || std::ranges::equal(file.bytes(*found), values);
}

void check_tensors(const gguf::GgufFile& file, const std::vector<PlannedTensor>& plan, const std::string& output) {
  for (const PlannedTensor& planned : plan) {
    if (is_as_planned(file, planned) && file.tensors().size() == plan.size()) continue;
    throw CheckError(
        fmt::format("{}: tensor '{}' differs from the plan; {}", output, planned.file.name, kNotPublished));
  }
}

SelfTest test_gguf(const gguf::GgufFile& file, const std::vector<PlannedTensor>& plan,
                   const models::ModelConfig& config, const MergedWeights& weights, const SelfTestOptions& options) {
  check_tensors(file, plan, options.output);
  models::ModelConfig written_config = config;
  written_config.tie_word_embeddings = std::ranges::none_of(
      plan, [](const PlannedTensor& one) { return one.source && one.source->role == models::TensorRole::kHead; });
  const models::GgufWeights written(file, written_config);
  std::vector<StoredTensor> stored;
  for (const PlannedTensor& planned : plan) {
    if (!planned.source) continue;
    const models::TensorSpec& source = *planned.source;
    const bool is_head = source.role == models::TensorRole::kHead;
    stored.push_back({.source = source,
                      .written = is_head ? models::model_tensor(written_config, source.role).name : source.name,
                      .type = planned.file.type,
                      .weighted = options.is_weighted && options.is_weighted(source)});
  }
  return self_test_weights(config, weights, {written_config, written}, stored, options);
}

SelfTest test_folder(const fs::path& folder, gguf::GgmlType type, const MergedWeights& weights,
                     const SelfTestOptions& options) {
  const models::ModelConfig config = models::read_model_config(folder);
  const models::SafetensorsWeights written(folder, config);
  std::vector<StoredTensor> stored;
  for (const models::TensorSpec& tensor : models::checkpoint_tensors(config))
    stored.push_back({.source = tensor, .written = tensor.name, .type = type});
  return self_test_weights(config, weights, {config, written}, stored, options);
}

struct Limit {
  double share;         // of |W'|
  double largest_code;  // what a scale in float16 is multiplied by
};

Limit limit_of(GgmlType type) {
  switch (type) {
    case GgmlType::kF32: return {0, 0};
    case GgmlType::kF16: return {5e-4, 1};
    case GgmlType::kBF16: return {4e-3, 0};
    case GgmlType::kQ8_0: return {0.023, 127};
    case GgmlType::kQ6_K: return {0.1, 128 * 32};
    case GgmlType::kQ5_0: return {0.2, 16};
    case GgmlType::kQ5_1: return {0.2, 31 + 1};
    case GgmlType::kQ5_K: return {0.3, 63 * 31 + 63};
    case GgmlType::kQ4_K: return {0.4, 63 * 15 + 63};
    default: return {0.4, 8};
  }
}

}  // namespace

SelfTestOptions self_test_options(const ExportOptions& options, const models::ModelConfig& config,
                                  const std::vector<gguf::GgmlType>& stored) {
  SelfTestOptions test{.output = options.output, .limits = {options.min_retention, options.max_noise}};
  if (options.self_test != SelfTestScope::kFull) return test;
  test.prompts = self_test_prompts(options.model_path, config);
  test.maximum_kl = options.maximum_kl;
  if (options.maximum_kl > 0) return test;
  for (const gguf::GgmlType type : stored) test.maximum_kl = std::max(test.maximum_kl, default_maximum_kl(type));
  return test;
}

std::vector<gguf::GgmlType> stored_types(const std::vector<PlannedTensor>& plan) {
  std::vector<gguf::GgmlType> types;
  for (const PlannedTensor& one : plan) types.push_back(one.file.type);
  return types;
}

SelfTest self_test_weights(const models::ModelConfig& config, const MergedWeights& weights, const WrittenModel& written,
                           const std::vector<StoredTensor>& stored, const SelfTestOptions& options) {
  const Tester tester(weights, written, options);
  return {tester.tensors(stored), tester.logits(config)};
}

void require_predictions(const SelfTest& test, const std::string& output) {
  if (!test.logits || test.logits->mean_kl <= test.logits->maximum_kl) return;
  const LogitComparison& found = *test.logits;
  throw CheckError(fmt::format("{}: mean KL from backbone + adapter: {}; {}, or accept it with --maximum-kl {:.2g}",
                               output,
                               expected(fmt::format("at most {:.3g} nats per token", found.maximum_kl),
                                        fmt::format("{:.3g} over {} tokens", found.mean_kl, found.tokens)),
                               kNotPublished, 1.1 * found.mean_kl));
}

SelfTest as_check(const std::string& output, const std::function<SelfTest()>& test) {
  const auto failed = [&](const std::exception& error) {
    return CheckError(
        fmt::format("{}: the written file can't be read back: {}; {}", output, error.what(), kNotPublished));
  };
  try {
    return test();
  } catch (const FormatError& error) {
    throw failed(error);
  } catch (const ShapeError& error) {
    throw failed(error);
  } catch (const DataError& error) {
    throw failed(error);
  }
}

SelfTest self_test_gguf(const fs::path& path, const std::vector<PlannedTensor>& plan, const models::ModelConfig& config,
                        const MergedWeights& weights, const SelfTestOptions& options) {
  return as_check(options.output, [&] { return test_gguf(gguf::GgufFile(path), plan, config, weights, options); });
}

SelfTest self_test_folder(const fs::path& folder, gguf::GgmlType type, const MergedWeights& weights,
                          const SelfTestOptions& options) {
  return as_check(options.output, [&] { return test_folder(folder, type, weights, options); });
}

double quantization_error_bound(GgmlType type, double size, std::uint64_t elements) {
  constexpr double kScaleRounding = 0x1p-25;  // half of float16's smallest step
  const Limit limit = limit_of(type);
  return limit.share * size + limit.largest_code * kScaleRounding * std::sqrt(static_cast<double>(elements));
}

}  // namespace nkat::exporting
