#include "data/text/llama_cpp/pre_tokenizers.h"

#include <algorithm>

#include <fmt/format.h>

#include "data/text/llama_cpp/unknown_characters.h"

namespace nkat::data {
namespace {

constexpr std::string_view kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))";
constexpr std::string_view kDigit = R"(\p{N})";
constexpr std::string_view kThreeDigits = "[0-9][0-9][0-9]";
constexpr std::string_view kNewline = R"([\r\n])";
constexpr std::string_view kLlama3 =
    R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
    R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
// Letters beyond ASCII count as capital and as small ones, and marks as no letters.
constexpr std::string_view kTekken = R"([^\r\n\p{L}\p{N}]?[\p{L}&&[^a-z]]*[\p{L}&&[^A-Z]]+|)"
                                     R"([^\r\n\p{L}\p{N}]?[\p{L}&&[^a-z]]+[\p{L}&&[^A-Z]]*|)"
                                     R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{L}&&[^a-z]]*[\p{L}&&[^A-Z]]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{L}&&[^a-z]]+[\p{L}&&[^A-Z]]*(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDeepseekLetters =
    "\\s?[A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF\u0370-"
    "\u0373\u0376\u0377"
    "\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F\u0531-"
    "\u0556\u10A0-"
    "\u10C5\u13A0-\u13F5\u13F8-\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A\u1E00-"
    "\u1F15\u1F18-"
    "\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-"
    "\u1FBC\u1FBE\u1FC2-"
    "\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC\u2102\u2107\u210A-"
    "\u2113\u2115"
    "\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139\u213C-\u213F\u2145-\u2149\u214E\u2183\u2184\u2C00-"
    "\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-\uA66D\uA680-\uA69B\uA722-\uA76F\uA771-\uA787\uA78B-"
    "\uA78E\uAB70-"
    "\uABBF\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A\U00010400-\U0001044F\U000104B0-\U000104D3\U000104D8-"
    "\U000104FB\U00010C80-\U00010CB2\U00010CC0-\U00010CF2\U000118A0-\U000118DF\U0001E900-\U0001E943]+";
// llama.cpp matches no white space beyond ASCII but by \s, so the ranges of these leave it out.
constexpr std::string_view kDeepseekPunctuation = "\\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3001-\u3002]+";
constexpr std::string_view kDeepseekIdeographs =
    "[\u4E00-\u9FA5\u0800-\u167F\u1681-\u1FFF\u200B-\u2027\u202A-\u202E\u2030-\u205E\u2060-\u2FFF\u3001-\u4E00\uAC00-"
    "\uD7FF]+";

const std::vector<PreTokenizer>& all() {
  static const std::vector<PreTokenizer> rows = {
      {"default", {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, R"(\p{N}+)", kThreeDigits}},
      {"llama-bpe", {kLlama3}, /*ignore_merges=*/true, /*add_begin_token=*/true},
      {"smollm", {kDigit, kGpt2}},
      {"qwen2", {kQwen2}},
      {"gpt-2", {kGpt2}},
      {"gpt-4o", {kGpt4o}},
      {"tekken", {kTekken}, /*ignore_merges=*/true, /*add_begin_token=*/true},
      {"deepseek-llm",
       {kNewline, kDeepseekLetters, kDeepseekPunctuation, R"(\s+(?![\s\S]))", kDeepseekIdeographs, R"(\p{N}+)"}},
      {"deepseek-coder", {kNewline, R"(\s?\p{L}+)", R"(\s?\p{P}+)", kDeepseekIdeographs, kDigit}},
      {"starcoder", {kDigit, kGpt2}},
      {"refact", {kDigit, kGpt2}},
      {"command-r", {kDigit, kGpt2}},
      {"falcon", {R"([\p{P}\$\+<=>\^~\|`]+)", kGpt2, kThreeDigits}},
  };
  return rows;
}

// "[^\x{..}-\x{..}..]"
const std::string& known_characters() {
  static const std::string kClass = [] {
    std::string text = "[^";
    for (const auto& [first, last] : characters_unknown_to_llama_cpp())
      text +=
          fmt::format("\\x{{{:X}}}-\\x{{{:X}}}", static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(last));
    return text + "]";
  }();
  return kClass;
}

std::string with_known_characters(std::string_view expression) {
  std::string text;
  while (!expression.empty()) {
    const std::size_t begin = std::min(expression.find("\\p{"), expression.size());
    text += expression.substr(0, begin);
    expression.remove_prefix(begin);
    if (expression.empty()) break;
    const std::size_t length = expression.find('}') + 1;
    text += fmt::format("[{}&&{}]", expression.substr(0, length), known_characters());
    expression.remove_prefix(length);
  }
  return text;
}

}  // namespace

std::span<const PreTokenizer> pre_tokenizers() { return all(); }

const PreTokenizer* find_pre_tokenizer(std::string_view name) {
  const auto found = std::ranges::find(all(), name, &PreTokenizer::name);
  return found == all().end() ? nullptr : &*found;
}

std::vector<SplitStep> split_steps(const PreTokenizer& pre_tokenizer) {
  std::vector<SplitStep> steps;
  for (const std::string_view expression : pre_tokenizer.expressions)
    steps.push_back({.expression = with_known_characters(expression)});
  return steps;
}

}  // namespace nkat::data
