#include "export/gguf/pre_tokenizer_name.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files/sha256.h"
#include "data/text/llama_cpp/known_hashes.h"
#include "data/text/tokenizer_steps.h"

namespace nkat::exporting {
namespace {

using Json = nlohmann::json;

struct Row {
  const char* name;
  bool ignore_merges;
  std::vector<const char*> steps;  // expressions, or one of the two marks below
};
constexpr const char* kDigit = "Digits";
constexpr const char* kGpt2 = "ByteLevel";
constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kTekken = R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
                                R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
                                R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kIdeographs = "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+";

// As the tokenizer.json of the models that gave llama.cpp the names has it.
const std::vector<Row>& rows() {
  static const std::vector<Row> all = {
      {"gpt-2", false, {kGpt2}},
      {"smollm", false, {kDigit, kGpt2}},
      {"llama-bpe", true, {kLlama3}},
      {"smaug-bpe", false, {kLlama3}},
      {"qwen2", false, {kQwen2}},
      {"gpt-4o", false, {kGpt4o}},
      {"tekken", true, {kTekken}},
      {"deepseek-coder", false, {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kIdeographs, kDigit}},
  };
  return all;
}

// The steps of such a pre_tokenizer, by the reader of tokenizer.json itself.
std::vector<data::SplitStep> steps_of(const Row& row) {
  Json steps = Json::array();
  bool by_gpt2 = false;
  for (const std::string_view step : row.steps) {
    if (step == kDigit) {
      steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
    } else if (step == kGpt2) {
      by_gpt2 = true;
    } else {
      steps.push_back({{"type", "Split"}, {"pattern", {{"Regex", step}}}, {"behavior", "Isolated"}, {"invert", false}});
    }
  }
  steps.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", by_gpt2}});
  data::TokenizerModel model;
  model.kind = data::VocabularyKind::kByteLevel;
  data::read_tokenizer_steps({{"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", steps}}}}, model);
  return model.split_steps;
}

// What stands between matches is nothing where an expression matches all, so it doesn't count whether it is kept.
bool are_equal(const data::SplitStep& left, const data::SplitStep& right) {
  return left.expression == right.expression && left.keep_matches == right.keep_matches &&
         left.prefix_space == right.prefix_space;
}

}  // namespace

std::string name_by_expressions(const data::TokenizerModel& model) {
  for (const Row& row : rows()) {
    if (row.ignore_merges == model.ignore_merges && std::ranges::equal(steps_of(row), model.split_steps, are_equal))
      return row.name;
  }
  return "";
}

std::string pre_tokenizer_name(const data::TokenizerModel& model, std::span<const std::int32_t> check_ids) {
  const std::string hash = sha256_hex(fmt::format("[{}]", fmt::join(check_ids, ", ")));
  const auto known = std::ranges::find(data::known_hashes(), hash, &data::KnownHash::sha256);
  if (known != data::known_hashes().end()) return std::string(known->name);
  const std::string name = name_by_expressions(model);
  if (name.empty()) {
    throw FormatError(
        fmt::format("{}: llama.cpp has no pre-tokenizer that cuts texts like this tokenizer (hash of its check text "
                    "{}), so it would "
                    "give the model other tokens than it was trained on; export with --format hf",
                    model.source, hash));
  }
  return name;
}

}  // namespace nkat::exporting
