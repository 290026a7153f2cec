#include "data/text/words/split_expression_reader.h"

#include <algorithm>
#include <bitset>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "core/message.h"
#include "core/utf8.h"
#include "data/text/unicode/categories.h"

namespace nkat::data {
namespace {

constexpr std::size_t kLongest = 64 * 1024;
constexpr std::size_t kMostSets = 64;
constexpr std::size_t kMostClasses = 128;  // a byte is left for so many beside ASCII's
constexpr int kDeepest = 64;
constexpr char32_t kFirstClassed = 0x80;
// Letters that other characters than their capitals equal where case is ignored.
constexpr char32_t kLongS = 0x17F, kKelvin = 0x212A;
// Letters that one character equals when they follow each other and case is ignored.
constexpr std::string_view kFolded[] = {"ff", "fi", "fl", "ss", "st"};

bool is_ascii_letter(char32_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_ascii_digit(char32_t c) { return c >= '0' && c <= '9'; }

// Every code point that the character equals where case is ignored.
CodePointSet case_variants(char32_t c) {
  CodePointSet set(c, c);
  if (!is_ascii_letter(c)) return set;
  set.add({c ^ 0x20, c ^ 0x20});
  if ((c | 0x20) == 's') set.add({kLongS, kLongS});
  if ((c | 0x20) == 'k') set.add({kKelvin, kKelvin});
  return set;
}

// Reads an expression into PCRE2's syntax with holes where the sets of code points stand.
class ExpressionReader {
 public:
  ExpressionReader(std::string_view text, const std::string& source) : text_(text), source_(source) {}

  ByteExpression read() {
    if (text_.size() > kLongest) fail(fmt::format("it is longer than {} bytes", kLongest));
    if (find_invalid_utf8(text_) != std::string_view::npos) fail("it is not UTF-8");
    while (!at_end()) read_part();
    if (!groups_.empty()) fail("a group is not closed");
    return assemble();
  }

 private:
  static constexpr std::size_t kNoSet = SIZE_MAX;
  static constexpr std::size_t kNoAtom = SIZE_MAX;

  struct Part {
    std::string text;
    std::size_t set = kNoSet;  // stands in place of the text
  };
  struct Group {
    std::size_t begin = 0;  // its first part
    bool ignores_case = false;
    bool is_atom = true;
  };

  [[noreturn]] void fail(const std::string& what) const {
    throw FormatError(fmt::format("{}: the expression '{}' can't be used: {}", source_, ellipsize(text_), what));
  }
  [[noreturn]] void fail_unknown(std::size_t begin) const {
    fail(fmt::format("'{}' at byte {} is not known", ellipsize(text_.substr(begin), 12), begin));
  }

  bool at_end() const { return place_ >= text_.size(); }
  bool next_is(std::string_view word) const { return text_.substr(place_).starts_with(word); }
  bool skip(std::string_view word) {
    if (!next_is(word)) return false;
    place_ += word.size();
    return true;
  }
  char32_t take() {
    if (at_end()) fail("it ends too early");
    const DecodedCodePoint point = decode_valid_code_point(text_, place_);
    place_ += point.length;
    return point.value;
  }

  void put(std::string text) { parts_.push_back({std::move(text)}); }
  void put_assertion(std::string text) {
    put(std::move(text));
    atom_ = kNoAtom;
  }
  void put_set(const CodePointSet& set) {
    atom_ = parts_.size();
    literal_before_ = 0;
    const std::vector<CodePointSet::Range>& ranges = set.ranges();
    if (ranges.size() == 1 && ranges[0].first == ranges[0].second && ranges[0].second < kFirstClassed)
      return put(fmt::format("\\x{:02X}", static_cast<std::uint32_t>(ranges[0].first)));
    const auto known = std::ranges::find(sets_, ranges, &CodePointSet::ranges);
    const auto index = static_cast<std::size_t>(known - sets_.begin());
    if (known == sets_.end()) sets_.push_back(set);
    if (sets_.size() > kMostSets) fail(fmt::format("it has more than {} classes", kMostSets));
    parts_.push_back({"", index});
  }

  void put_literal(char32_t c) {
    if (!ignores_case_) return put_set({c, c});
    if (c >= kFirstClassed) fail("(?i) around a character beyond ASCII is not known");
    const char32_t before = std::exchange(literal_before_, 0);
    for (const std::string_view pair : kFolded) {
      if (before == static_cast<char32_t>(pair[0]) && (c | 0x20) == static_cast<char32_t>(pair[1]))
        fail(fmt::format("(?i) around '{}' is not known", pair));
    }
    put_set(case_variants(c));
    literal_before_ = c | 0x20;
  }

  void put_class(CodePointSet set) {
    if (ignores_case_) {
      for (const auto& [first, last] : std::vector(set.ranges())) {
        if (last >= kFirstClassed) fail("(?i) around a class beyond ASCII is not known");
        for (char32_t c = first; c <= last; ++c) set.add(case_variants(c));
      }
    }
    put_set(set);
  }

  void read_part() {
    const std::size_t begin = place_;
    const char32_t c = take();
    switch (c) {
      case '(': return open_group(begin);
      case ')': return close_group();
      case '|':
      case '^':
      case '$': return put_assertion(std::string(1, static_cast<char>(c)));
      case '*':
      case '+':
      case '?': return read_repeat(std::string(1, static_cast<char>(c)), /*interval=*/false);
      case '{': return read_interval(begin);
      case '[': return put_class(read_set(0));
      case '.': return put_class(CodePointSet('\n', '\n').complement());
      case '\\': return read_escape_part(begin);
      default: return put_literal(c);
    }
  }

  void open_group(std::size_t begin) {
    if (groups_.size() >= kDeepest) fail(fmt::format("groups nest deeper than {}", kDeepest));
    Group group{parts_.size(), ignores_case_, true};
    std::string opening = "(?:";
    if (next_is("?")) {
      static constexpr std::string_view kLooks[] = {"?=", "?!", "?<=", "?<!"};
      const auto look = std::ranges::find_if(kLooks, [&](std::string_view word) { return next_is(word); });
      if (look != std::end(kLooks)) {
        opening = fmt::format("({}", *look);
        place_ += look->size();
        group.is_atom = false;
      } else if (skip("?>")) {
        opening = "(?>";
      } else if (skip("?i:")) {
        ignores_case_ = true;
      } else if (!skip("?:")) {
        fail_unknown(begin);
      }
    }
    groups_.push_back(group);
    put_assertion(opening);
    literal_before_ = 0;
  }

  void close_group() {
    if (groups_.empty()) fail("')' without '('");
    const Group group = groups_.back();
    groups_.pop_back();
    put(")");
    ignores_case_ = group.ignores_case;
    atom_ = group.is_atom ? group.begin : kNoAtom;
    literal_before_ = 0;
  }

  // A brace that holds no numbers is a literal one.
  void read_interval(std::size_t begin) {
    const std::size_t end = text_.find('}', place_);
    const std::string_view inside = end == std::string_view::npos ? "" : text_.substr(place_, end - place_);
    const std::size_t comma = inside.find(',');
    const bool numbers = !inside.empty() && inside != "," && std::ranges::count(inside, ',') <= 1 &&
                         std::ranges::all_of(inside, [](char c) { return c == ',' || (c >= '0' && c <= '9'); });
    if (!numbers) return put_literal('{');
    if (inside.size() > 9) fail_unknown(begin);
    place_ = end + 1;
    const bool exact = comma == std::string_view::npos;
    if (exact && next_is("?")) fail_unknown(begin);  // Ruby's {n}? is optional, not lazy
    read_repeat(fmt::format("{{{}{}}}", comma == 0 ? "0" : "", inside), /*interval=*/true);
  }

  void read_repeat(std::string repeat, bool interval) {
    if (atom_ == kNoAtom) fail("a repeat of nothing");
    literal_before_ = 0;
    if (skip("?")) {
      repeat += '?';
    } else if (next_is("+") && !interval) {
      ++place_;
      repeat += '+';
    }
    put(std::move(repeat));
    if (interval && skip("+")) {
      // Behind an interval a plus repeats once more.
      parts_.insert(parts_.begin() + static_cast<std::ptrdiff_t>(atom_), Part{"(?:"});
      put(")+");
    }
    atom_ = kNoAtom;
  }

  void read_escape_part(std::size_t begin) {
    if (skip("A")) return put_assertion("\\A");
    if (skip("z")) return put_assertion("\\z");
    if (const std::optional<CodePointSet> set = read_class_escape(begin)) return put_class(*set);
    put_literal(read_character_escape(begin));
  }

  // \s and the like, behind the backslash; nothing if it is another escape.
  std::optional<CodePointSet> read_class_escape(std::size_t begin) {
    if (skip("s")) return CodePointSet::white_space();
    if (skip("S")) return CodePointSet::white_space().complement();
    if (skip("d")) return CodePointSet::of_category("Nd");
    if (skip("D")) return CodePointSet::of_category("Nd").complement();
    const bool negated = next_is("P");
    if (!skip("p") && !skip("P")) return std::nullopt;
    if (!skip("{")) fail_unknown(begin);
    const bool inverted = skip("^");
    const std::size_t end = text_.find('}', place_);
    if (end == std::string_view::npos) fail_unknown(begin);
    const std::string_view name = text_.substr(place_, end - place_);
    place_ = end + 1;
    const bool known =
        !name.empty() && name.size() <= 2 && std::ranges::any_of(kCategoryNames, [&](std::string_view one) {
          return one == name || (name.size() == 1 && one.starts_with(name));
        });
    if (!known) fail_unknown(begin);
    const CodePointSet set = CodePointSet::of_category(name);
    return negated != inverted ? set.complement() : set;
  }

  char32_t read_character_escape(std::size_t begin) {
    const char32_t c = take();
    static constexpr std::pair<char, char> kControls[] = {{'r', '\r'}, {'n', '\n'}, {'t', '\t'},  {'f', '\f'},
                                                          {'v', '\v'}, {'a', '\a'}, {'e', '\x1B'}};
    for (const auto& [letter, control] : kControls) {
      if (c == static_cast<char32_t>(letter)) return static_cast<char32_t>(control);
    }
    if (c == 'u') return read_hexadecimal(begin, 4, 4);
    if (c == 'x' && skip("{")) {
      const char32_t value = read_hexadecimal(begin, 1, 6);
      if (!skip("}")) fail_unknown(begin);
      return value;
    }
    if (c == 'x') return read_hexadecimal(begin, 2, 2);
    if (is_ascii_letter(c) || is_ascii_digit(c)) fail_unknown(begin);
    return c;
  }

  char32_t read_hexadecimal(std::size_t begin, std::size_t fewest, std::size_t most) {
    char32_t value = 0;
    std::size_t digits = 0;
    for (; digits < most && !at_end(); ++digits, ++place_) {
      const std::size_t digit = std::string_view("0123456789abcdef").find(static_cast<char>(text_[place_] | 0x20));
      if (!is_ascii_digit(static_cast<unsigned char>(text_[place_])) && (digit == std::string_view::npos || digit < 10))
        break;
      value = value * 16 + static_cast<char32_t>(digit);
    }
    if (digits < fewest || value > kLastCodePoint) fail_unknown(begin);
    return value;
  }

  // The inside of [..], behind its opening.
  CodePointSet read_set(int depth) {
    const std::size_t begin = place_;
    if (depth > kDeepest) fail(fmt::format("classes nest deeper than {}", kDeepest));
    const bool negated = skip("^");
    if (next_is("]") || (depth > 0 && next_is(":"))) fail_unknown(begin);
    std::optional<CodePointSet> before;  // what stands before &&
    CodePointSet set;
    while (!skip("]")) {
      if (skip("&&")) {
        before = before ? before->intersection(set) : set;
        set = {};
        continue;
      }
      add_item(set, depth);
    }
    if (before) set = before->intersection(set);
    return negated ? set.complement() : set;
  }

  void add_item(CodePointSet& set, int depth) {
    const std::size_t begin = place_;
    if (skip("[")) return set.add(read_set(depth + 1));
    if (skip("\\")) {
      if (const std::optional<CodePointSet> named = read_class_escape(begin)) return set.add(*named);
      place_ = begin;
    }
    const char32_t first = read_set_character();
    char32_t last = first;
    if (next_is("-") && !next_is("-]") && !next_is("-[")) {
      ++place_;
      last = read_set_character();
    }
    if (first > last) fail_unknown(begin);
    set.add({first, last});
  }

  char32_t read_set_character() {
    const std::size_t begin = place_;
    return skip("\\") ? read_character_escape(begin) : take();
  }

  // ---- from sets to bytes

  using Signature = std::bitset<kMostSets>;  // the sets that a code point is in

  Signature signature_of(char32_t c) const {
    Signature signature;
    for (std::size_t i = 0; i < sets_.size(); ++i) signature[i] = sets_[i].contains(c);
    return signature;
  }

  ByteExpression assemble() const {
    std::vector<char32_t> bounds = {kFirstClassed, kLastCodePoint + 1};
    for (const CodePointSet& set : sets_) {
      for (const auto& [first, last] : set.ranges()) {
        if (first > kFirstClassed) bounds.push_back(first);
        if (last >= kFirstClassed && last < kLastCodePoint) bounds.push_back(last + 1);
      }
    }
    std::ranges::sort(bounds);
    ByteExpression result;
    result.bytes.resize(kLastCodePoint + 1);
    std::vector<Signature> of_byte(256);
    for (char32_t c = 0; c < kFirstClassed; ++c) {
      result.bytes[c] = static_cast<std::uint8_t>(c);
      of_byte[c] = signature_of(c);
    }
    std::map<std::string, std::size_t> classes;
    for (std::size_t i = 0; i + 1 < bounds.size(); ++i) {
      if (bounds[i] == bounds[i + 1]) continue;
      const Signature signature = signature_of(bounds[i]);
      const std::size_t number = classes.emplace(signature.to_string(), classes.size()).first->second;
      if (number >= kMostClasses) fail(fmt::format("it tells more than {} kinds of characters apart", kMostClasses));
      of_byte[kFirstClassed + number] = signature;
      std::fill(result.bytes.begin() + bounds[i], result.bytes.begin() + bounds[i + 1],
                static_cast<std::uint8_t>(kFirstClassed + number));
    }
    const std::size_t used = kFirstClassed + classes.size();
    for (const Part& part : parts_)
      result.pattern += part.set == kNoSet ? part.text : byte_class(part.set, of_byte, used);
    return result;
  }

  static std::string byte_class(std::size_t set, const std::vector<Signature>& of_byte, std::size_t used) {
    std::string members;
    for (std::size_t byte = 0; byte < used; ++byte) {
      if (of_byte[byte][set]) members += fmt::format("\\x{:02X}", byte);
    }
    if (members.empty()) return "(?!)";
    return members.size() == 4 ? members : "[" + members + "]";
  }

  std::string_view text_;
  const std::string& source_;
  std::size_t place_ = 0;
  std::vector<Part> parts_;
  std::vector<CodePointSet> sets_;
  std::vector<Group> groups_;
  bool ignores_case_ = false;
  std::size_t atom_ = kNoAtom;   // the part with which what a repeat repeats begins
  char32_t literal_before_ = 0;  // in lower case, where case is ignored
};

}  // namespace

ByteExpression read_split_expression(std::string_view expression, const std::string& source) {
  return ExpressionReader(expression, source).read();
}

std::string quote_for_expression(std::string_view text) {
  std::string quoted;
  for (const char c : text) {
    const auto byte = static_cast<char32_t>(static_cast<unsigned char>(c));
    if (byte < kFirstClassed && !is_ascii_letter(byte) && !is_ascii_digit(byte)) quoted += '\\';
    quoted += c;
  }
  return quoted;
}

}  // namespace nkat::data
