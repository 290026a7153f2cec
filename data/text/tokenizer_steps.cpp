#include "data/text/tokenizer_steps.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/message.h"
#include "core/utf8.h"
#include "data/text/words/space_mark.h"
#include "data/text/words/split_expression.h"
#include "data/text/words/split_expression_reader.h"

namespace nkat::data {
namespace {

using Json = nlohmann::json;

// What Digits takes for one: category N of a newer Unicode than the expressions'.
constexpr const char* kDigit = R"([\p{N}\x{11DE0}-\x{11DE9}\x{16FF4}-\x{16FF6}])";

// Each step keeps a table of all code points.
constexpr std::size_t kMostSteps = 16;

// One of the four keys of the file.
class StepReader {
 public:
  StepReader(const Json& file, TokenizerModel& model, const char* key)
      : value_(file.value(key, Json())), model_(model), key_(key) {}

 protected:
  [[noreturn]] void refuse(const std::string& wanted, const std::string& found) const {
    throw FormatError(fmt::format("{}: {}: {}", model_.source, key_, expected(wanted, found)));
  }
  [[noreturn]] void refuse_value(const std::string& wanted, const Json& found) const {
    refuse(wanted, ellipsize(found.dump(-1, ' ', false, Json::error_handler_t::replace), 200));
  }
  static std::string type_of(const Json& step) {
    return step.is_object() && step.contains("type") && step["type"].is_string() ? step["type"].get<std::string>() : "";
  }
  // The step, or those of the Sequence that it is; null is no step.
  std::vector<Json> flatten(const Json& step, const char* list) const {
    if (step.is_null()) return {};
    if (type_of(step) != "Sequence") return {step};
    if (!step.contains(list) || !step[list].is_array())
      refuse_value(fmt::format("a Sequence with a list '{}'", list), step);
    std::vector<Json> steps;
    for (const Json& inner : step[list]) {
      const std::vector<Json> flat = flatten(inner, list);
      steps.insert(steps.end(), flat.begin(), flat.end());
    }
    return steps;
  }
  bool flag(const Json& step, const char* name, bool when_absent) const {
    const Json value = step.value(name, Json(when_absent));
    if (!value.is_boolean()) refuse_value(fmt::format("true or false for '{}'", name), value);
    return value.get<bool>();
  }

  const Json value_;
  TokenizerModel& model_;
  const char* key_;
};

class NormalizerReader : StepReader {
 public:
  NormalizerReader(const Json& file, TokenizerModel& model) : StepReader(file, model, "normalizer") {}

  // Are spaces replaced?
  bool read() {
    bool prepends = false, replaces = false;
    for (const Json& step : flatten(value_, "normalizers")) {
      const std::string type = type_of(step);
      if (type == "NFC") {
        model_.nfc = true;
      } else if (type == "Prepend" && step.value("prepend", Json()) == Json(kSpaceMarkText) && !prepends) {
        prepends = true;
      } else if (type == "Replace" && step.value("pattern", Json()) == Json({{"String", " "}}) &&
                 step.value("content", Json()) == Json(kSpaceMarkText)) {
        replaces = true;
      } else {
        refuse_value("NFC, Prepend \u2581, Replace \" \" by \u2581 or a Sequence of them", step);
      }
    }
    if (prepends && !replaces) refuse("Replace \" \" by \u2581 beside Prepend", "none");
    model_.spaces.prefix = prepends ? SpaceRule::Prefix::kAlways : SpaceRule::Prefix::kNever;
    return replaces;
  }
};

class PreTokenizerReader : StepReader {
 public:
  PreTokenizerReader(const Json& file, TokenizerModel& model) : StepReader(file, model, "pre_tokenizer") {}

  bool is_byte_level() const {
    return std::ranges::any_of(flatten(value_, "pretokenizers"),
                               [](const Json& step) { return type_of(step) == "ByteLevel"; });
  }

  void read_byte_level() {
    const std::vector<Json> steps = flatten(value_, "pretokenizers");
    if (steps.size() > kMostSteps) refuse(fmt::format("at most {} steps", kMostSteps), std::to_string(steps.size()));
    for (const Json& step : steps) {
      const std::string type = type_of(step);
      const bool last = &step == &steps.back();
      if (type == "Split" && !last) {
        model_.split_steps.push_back(read_split(step));
      } else if (type == "Digits" && !last) {
        const bool individual = flag(step, "individual_digits", false);
        model_.split_steps.push_back({.expression = std::string(kDigit) + (individual ? "" : "+")});
      } else if (type == "ByteLevel" && last) {
        model_.split_steps.push_back({.expression = flag(step, "use_regex", true) ? std::string(kGpt2Expression) : "",
                                      .prefix_space = flag(step, "add_prefix_space", true)});
      } else {
        refuse_value("Split and Digits, and ByteLevel as the last step", step);
      }
    }
  }

  // spaces_replaced: by the normalizer already.
  void read_fallback(bool spaces_replaced) {
    const std::vector<Json> steps = flatten(value_, "pretokenizers");
    if (steps.empty() && spaces_replaced) return;
    if (steps.size() != 1 || spaces_replaced || type_of(steps[0]) != "Metaspace") {
      refuse_value(spaces_replaced
                       ? "none beside a normalizer that replaces spaces"
                       : "ByteLevel, or with byte_fallback Metaspace or a normalizer that replaces spaces by \u2581",
                   value_);
    }
    const Json& step = steps[0];
    if (step.value("replacement", Json()) != Json(kSpaceMarkText))
      refuse_value("Metaspace with the replacement \u2581", step);
    static const std::pair<const char*, SpaceRule::Prefix> kSchemes[] = {{"always", SpaceRule::Prefix::kAlways},
                                                                         {"first", SpaceRule::Prefix::kFirst},
                                                                         {"never", SpaceRule::Prefix::kNever}};
    const Json scheme = step.value("prepend_scheme", Json(flag(step, "add_prefix_space", true) ? "always" : "never"));
    const auto known = std::ranges::find_if(kSchemes, [&](const auto& one) { return scheme == Json(one.first); });
    if (known == std::end(kSchemes)) refuse_value("prepend_scheme always, first or never", scheme);
    model_.spaces = {.prefix = known->second, .metaspace = true, .split = flag(step, "split", true)};
  }

 private:
  SplitStep read_split(const Json& step) const {
    const Json pattern = step.value("pattern", Json());
    const bool is_regex = pattern.is_object() && pattern.contains("Regex") && pattern["Regex"].is_string();
    const bool is_text = pattern.is_object() && pattern.contains("String") && pattern["String"].is_string();
    if (is_regex == is_text) refuse_value("Split with a pattern Regex or String", step);
    SplitStep split;
    split.expression =
        is_regex ? pattern["Regex"].get<std::string>() : quote_for_expression(pattern["String"].get<std::string>());
    if (split.expression.empty()) refuse_value("Split with a pattern that is not empty", step);
    const bool inverted = flag(step, "invert", false);
    const Json behavior = step.value("behavior", Json());
    if (behavior != Json("Isolated") && behavior != Json("Removed"))
      refuse_value("Split with the behavior Isolated or Removed", behavior);
    if (behavior == Json("Removed")) (inverted ? split.keep_gaps : split.keep_matches) = false;
    return split;
  }
};

class PostProcessorReader : StepReader {
 public:
  PostProcessorReader(const Json& file, TokenizerModel& model) : StepReader(file, model, "post_processor") {}

  void read() {
    for (const Json& step : flatten(value_, "processors")) {
      const std::string type = type_of(step);
      if (type == "ByteLevel") continue;
      if (type != "TemplateProcessing") refuse_value("ByteLevel, TemplateProcessing or a Sequence of them", step);
      read_template(step);
    }
  }

 private:
  void read_template(const Json& step) {
    const Json single = step.value("single", Json());
    bool behind_text = false;
    if (!single.is_array()) refuse_value("TemplateProcessing with a list 'single'", single);
    for (const Json& part : single) {
      if (part.is_object() && part.contains("Sequence") && !behind_text) {
        behind_text = true;
      } else if (part.is_object() && part.contains("SpecialToken") && part["SpecialToken"].is_object()) {
        add_ids(step, part["SpecialToken"].value("id", Json()), behind_text ? model_.end_tokens : model_.begin_tokens);
      } else {
        refuse_value("special tokens around one Sequence", part);
      }
    }
    if (!behind_text) refuse_value("special tokens around one Sequence", single);
  }

  void add_ids(const Json& step, const Json& name, std::vector<std::int32_t>& ids) const {
    const Json tokens = step.value("special_tokens", Json());
    const Json token = name.is_string() && tokens.is_object() ? tokens.value(name.get<std::string>(), Json()) : Json();
    const Json list = token.is_object() ? token.value("ids", Json()) : Json();
    if (!list.is_array()) refuse_value("the ids of each special token", name);
    for (const Json& id : list) {
      if (!id.is_number_unsigned() || id.get<std::uint64_t>() > INT32_MAX)
        refuse_value("the ids of each special token", id);
      ids.push_back(id.get<std::int32_t>());
    }
  }
};

class DecoderReader : StepReader {
 public:
  DecoderReader(const Json& file, TokenizerModel& model) : StepReader(file, model, "decoder") {}

  void read() {
    static const std::string_view kKnown[] = {"ByteLevel", "Replace", "ByteFallback", "Fuse", "Strip", "Metaspace"};
    model_.strip_leading_space = false;
    for (const Json& step : flatten(value_, "decoders")) {
      const std::string type = type_of(step);
      if (std::ranges::find(kKnown, type) == std::end(kKnown))
        refuse_value("ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace or a Sequence of them", step);
      model_.strip_leading_space |=
          type == "Strip" || (type == "Metaspace" && step.value("prepend_scheme", Json("always")) != Json("never"));
    }
  }
};

}  // namespace

void read_tokenizer_steps(const nlohmann::json& file, TokenizerModel& model) {
  const bool spaces_replaced = NormalizerReader(file, model).read();
  PreTokenizerReader pre_tokenizer(file, model);
  if (pre_tokenizer.is_byte_level()) {
    model.kind = VocabularyKind::kByteLevel;
    if (spaces_replaced) {
      throw FormatError(fmt::format("{}: normalizer: {}", model.source,
                                    expected("spaces that stay beside the pre_tokenizer ByteLevel", "Replace")));
    }
    pre_tokenizer.read_byte_level();
  } else if (model.kind == VocabularyKind::kByteFallback) {
    pre_tokenizer.read_fallback(spaces_replaced);
  } else {
    throw FormatError(fmt::format("{}: {}", model.source,
                                  expected("byte_fallback in the model or ByteLevel in the pre_tokenizer", "neither")));
  }
  PostProcessorReader(file, model).read();
  DecoderReader(file, model).read();
}

}  // namespace nkat::data
