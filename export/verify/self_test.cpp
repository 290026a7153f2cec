#include "export/verify/self_test.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "core/cli/progress.h"
#include "core/error.h"
#include "export/gguf/gguf_weights.h"
#include "export/merge/checkpoint_weights.h"
#include "export/verify/quantization_error_bound.h"
#include "models/weights/checkpoint_tensors.h"
#include "models/weights/weights.h"

namespace nkat::exporting {

const char* const kNotPutInPlace = "it was not put in place, an older file of that name is as it was; export again";

namespace {

// Columns that hardly count may be far off, but a file with zeros in place of its weights is not sound.
constexpr double kLargestWeighted = 0.5;

std::int64_t layer_of(const std::string& source) {
  constexpr std::string_view kStart = "model.layers.";
  return source.ends_with(".mlp.down_proj.weight") ? std::stoll(source.substr(kStart.size())) : -1;
}

class Tester {
 public:
  Tester(const MergedWeights& weights, const WrittenModel& written, const SelfTestOptions& options)
      : weights_(weights), written_(written), options_(options) {}

  std::vector<TensorRetention> tensors(const std::vector<StoredTensor>& stored) const {
    std::vector<TensorRetention> survival;
    ProgressBar progress("self-test, tensors", stored.size());
    std::uint64_t done = 0;
    for (const StoredTensor& one : stored) {
      TensorRetention found = tensor(one);
      if (one.layer >= 0) survival.push_back(std::move(found));
      progress.update(++done, one.source);
    }
    return survival;
  }

  std::optional<LogitComparison> logits(const models::Phi3Config& config) const {
    if (options_.prompts.empty()) return std::nullopt;
    LogitComparison found = check_logits(config, weights_, written_, options_.prompts);
    found.maximum_kl = options_.maximum_kl;
    return found;
  }

 private:
  TensorRetention tensor(const StoredTensor& one) const {
    TensorRetention found = measure_survival(weights_, one.source, written_.weights, one.written);
    found.layer = one.layer;
    found.type = gguf::traits(one.type).name;
    found.limit = options_.limits.of(found.type);
    found.judged = options_.judges_rounding;
    const double rounding = quantization_error_bound(one.type, found.size, weights_.shape(one.source).elements());
    const double limit = one.weighted ? std::max(rounding, kLargestWeighted * found.size) : rounding;
    if (found.distance <= limit) return found;
    throw CheckError(fmt::format(
        "{}: tensor '{}', stored as {}, is {:.3g} away from the merged weights, whose size is {:.3g}; rounding to {} "
        "explains {:.3g}; {}",
        options_.output, one.source, found.type, found.distance, found.size, found.type, limit, kNotPutInPlace));
  }

  const MergedWeights& weights_;
  const WrittenModel& written_;
  const SelfTestOptions& options_;
};

bool is_as_planned(const gguf::GgufFile& file, const PlannedTensor& planned) {
  const gguf::GgufTensor* found = file.find(planned.tensor.name);
  if (found == nullptr || !is_planned(*found, planned)) return false;
  const auto values = std::as_bytes(std::span(planned.tensor.values));
  return values.empty() || std::ranges::equal(file.bytes(*found), values);
}

void check_tensors(const gguf::GgufFile& file, const std::vector<PlannedTensor>& plan, const std::string& output) {
  for (const PlannedTensor& planned : plan) {
    if (is_as_planned(file, planned) && file.tensors().size() == plan.size()) continue;
    throw CheckError(fmt::format("{}: tensor '{}' is not in the file as it was to be written; {}", output,
                                 planned.tensor.name, kNotPutInPlace));
  }
}

SelfTest test_gguf(const gguf::GgufFile& file, const std::vector<PlannedTensor>& plan, const models::Phi3Config& config,
                   const MergedWeights& weights, const SelfTestOptions& options) {
  check_tensors(file, plan, options.output);
  models::Phi3Config written_config = config;
  written_config.tie_word_embeddings = false;  // output.weight is always there, and read by llama.cpp
  const GgufWeights written(file, written_config);
  std::vector<StoredTensor> stored;
  for (const PlannedTensor& planned : plan) {
    const std::string& source = planned.tensor.source;
    if (source.empty()) continue;
    stored.push_back(
        {.source = source,
         .written = planned.tensor.role == TensorRole::kOutput ? models::head_tensor(written_config) : source,
         .type = planned.stored,
         .layer = layer_of(source),
         .weighted = options.is_weighted && options.is_weighted(planned.tensor)});
  }
  return self_test_weights(config, weights, {written_config, written}, stored, options);
}

SelfTest test_folder(const fs::path& folder, gguf::GgmlType type, const MergedWeights& weights,
                     const SelfTestOptions& options) {
  const models::Phi3Config config = models::read_phi3_config(folder);
  const CheckpointWeights written(folder, config);
  std::vector<StoredTensor> stored;
  for (const models::NamedShape& tensor : models::expected_tensors(config)) {
    stored.push_back({.source = tensor.name, .written = tensor.name, .type = type, .layer = layer_of(tensor.name)});
  }
  return self_test_weights(config, weights, {config, written}, stored, options);
}

}  // namespace

SelfTest self_test_weights(const models::Phi3Config& config, const MergedWeights& weights, const WrittenModel& written,
                           const std::vector<StoredTensor>& stored, const SelfTestOptions& options) {
  const Tester tester(weights, written, options);
  return {tester.tensors(stored), tester.logits(config)};
}

void require_predictions(const SelfTest& test, const std::string& output) {
  if (!test.logits || test.logits->mean_kl <= test.logits->maximum_kl) return;
  const LogitComparison& found = *test.logits;
  throw CheckError(fmt::format(
      "{}: its predictions differ from backbone + adapter by {:.3g} nats a token (mean KL over {} tokens), at most "
      "{:.3g} was expected; {}, or accept it with --maximum-kl {:.2g}",
      output, found.mean_kl, found.tokens, found.maximum_kl, kNotPutInPlace, 1.1 * found.mean_kl));
}

SelfTest as_check(const std::string& output, const std::function<SelfTest()>& test) {
  const auto failed = [&](const std::exception& error) {
    return CheckError(
        fmt::format("{}: what was written can't be read again: {}; {}", output, error.what(), kNotPutInPlace));
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

SelfTest self_test_gguf(const fs::path& path, const std::vector<PlannedTensor>& plan, const models::Phi3Config& config,
                        const MergedWeights& weights, const SelfTestOptions& options) {
  return as_check(options.output, [&] { return test_gguf(gguf::GgufFile(path), plan, config, weights, options); });
}

SelfTest self_test_folder(const fs::path& folder, gguf::GgmlType type, const MergedWeights& weights,
                          const SelfTestOptions& options) {
  return as_check(options.output, [&] { return test_folder(folder, type, weights, options); });
}

}  // namespace nkat::exporting
