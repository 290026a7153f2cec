// The expressions that cut a text into words before byte-pair merging (`pre_tokenizer` of tokenizer.json), with the matches
// of Hugging Face's `tokenizers`, which runs them by Oniguruma in Ruby's syntax on a newer Unicode than PCRE2 knows.
//
// So the expression is read here and PCRE2 never sees Unicode: code points that no class of the expression tells apart
// share a byte (those below 128 are their own), the text is searched in these bytes, and every class is a set of bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/text/added_tokens.h"

namespace nkat::data {

// The processor time of one text: a stranger's expression can look at the whole text again at every character of it. For
// one thread.
class SearchBudget {
 public:
  explicit SearchBudget(double seconds) : seconds_(seconds) {}
  static SearchBudget for_text(std::size_t bytes);
  // Before each search: false where the time is spent. It looks at the clock now and then, or at once.
  enum class Look { kNowAndThen, kAtOnce };
  bool allows_another(Look look);

 private:
  double seconds_;
  double end_ = 0;  // of the thread's time
  unsigned searches_ = 0;
};

class SplitExpression {
 public:
  // In the syntax of split_expression_reader.h, which refuses what it doesn't know. source: the file's name, for messages.
  SplitExpression(std::string_view expression, const std::string& source);
  SplitExpression(SplitExpression&&) noexcept;
  ~SplitExpression();

  // The text, which is valid UTF-8, as one byte a code point.
  void to_bytes(std::string_view utf8, std::string& bytes) const;
  // The first match at or behind `from`. DataError where the search takes more steps or memory than PCRE2 allows, or the
  // text's time is spent.
  std::optional<ByteRange> find(std::string_view bytes, std::size_t from, SearchBudget& budget) const;

 private:
  [[noreturn]] void give_up(std::size_t characters, std::string_view what) const;

  struct Compiled;
  std::string source_;
  std::string expression_;
  std::vector<std::uint8_t> bytes_;
  std::unique_ptr<Compiled> compiled_;
};

// What GPT-2 cuts by, and ByteLevel with use_regex.
inline constexpr std::string_view kGpt2Expression =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

}  // namespace nkat::data
