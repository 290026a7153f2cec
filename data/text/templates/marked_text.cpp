#include "data/text/templates/marked_text.h"

#include <algorithm>
#include <map>
#include <stdexcept>
#include <vector>

#include <jinja/runtime.h>

#include "core/utf8.h"
#include "data/text/unicode/categories.h"

namespace nkat::data {
namespace {

using jinja::func_args;
using jinja::mk_val;
using jinja::value;

constexpr char kMark = '\1';
constexpr std::int64_t kAll = -1;  // splits, replacements

bool is_string(const value& one) { return jinja::is_val<jinja::value_string>(one); }

MarkedText self_of(const func_args& args) { return MarkedText::of(args.get_pos(0)->as_string()); }

// The argument after the string itself, by name or place; none where it is absent or None.
std::optional<value> argument(const func_args& args, const char* name, std::size_t place) {
  const value found = args.get_kwarg_or_pos(name, place);
  if (found->is_undefined() || found->is_none()) return std::nullopt;
  return found;
}

std::string text_argument(const func_args& args, const char* name, std::size_t place) {
  const std::optional<value> found = argument(args, name, place);
  if (!found || !is_string(*found)) throw std::runtime_error(args.func_name + "() needs a string as '" + name + "'");
  return (*found)->as_string().str();
}

std::int64_t number_argument(const func_args& args, const char* name, std::size_t place) {
  const std::optional<value> found = argument(args, name, place);
  return found ? (*found)->as_int() : kAll;
}

// str.isspace(): Unicode's white space and the four separators of ASCII.
bool is_python_space(char32_t code_point) {
  return is_unicode_white_space(code_point) || (code_point >= 0x1C && code_point <= 0x1F);
}

// Where each code point begins, and the end.
std::vector<std::size_t> boundaries(std::string_view text) {
  std::vector<std::size_t> places;
  for (std::size_t at = 0; at < text.size(); at += decode_code_point(text, at).length) places.push_back(at);
  places.push_back(text.size());
  return places;
}

template <class Predicate>
MarkedText strip_while(const MarkedText& text, bool left, bool right, const Predicate& strips) {
  const std::vector<std::size_t> places = boundaries(text.bytes);
  std::size_t begin = 0;
  std::size_t end = places.size() - 1;
  const auto code_point = [&](std::size_t i) { return decode_code_point(text.bytes, places[i]).value; };
  while (left && begin < end && strips(code_point(begin))) ++begin;
  while (right && end > begin && strips(code_point(end - 1))) --end;
  return text.part(places[begin], places[end]);
}

template <bool kLeft, bool kRight>
value strip(const func_args& args) {
  const MarkedText text = self_of(args);
  if (!argument(args, "chars", 1)) return strip_while(text, kLeft, kRight, is_python_space).value();
  const std::string chars = text_argument(args, "chars", 1);
  std::vector<char32_t> set;
  for (std::size_t at = 0; at < chars.size(); at += decode_code_point(chars, at).length)
    set.push_back(decode_code_point(chars, at).value);
  return strip_while(text, kLeft, kRight, [&](char32_t one) { return std::ranges::find(set, one) != set.end(); })
      .value();
}

value list_of(const std::vector<MarkedText>& texts) {
  auto list = mk_val<jinja::value_array>();
  for (const MarkedText& text : texts) list->push_back(text.value());
  return list;
}

std::vector<MarkedText> split_at(const MarkedText& text, const std::string& separator, std::int64_t most) {
  if (separator.empty()) throw std::runtime_error("split() needs a separator that is not empty");
  std::vector<MarkedText> pieces;
  std::size_t begin = 0;
  for (std::size_t at = 0; most != 0 && (at = text.bytes.find(separator, begin)) != std::string::npos; --most) {
    pieces.push_back(text.part(begin, at));
    begin = at + separator.size();
  }
  pieces.push_back(text.part(begin, text.bytes.size()));
  return pieces;
}

std::vector<MarkedText> split_at_from_right(const MarkedText& text, const std::string& separator, std::int64_t most) {
  if (separator.empty()) throw std::runtime_error("rsplit() needs a separator that is not empty");
  std::vector<MarkedText> pieces;
  std::size_t end = text.bytes.size();
  while (most != 0 && end >= separator.size()) {
    const std::size_t at = text.bytes.rfind(separator, end - separator.size());
    if (at == std::string::npos) break;
    pieces.push_back(text.part(at + separator.size(), end));
    end = at;
    --most;
  }
  pieces.push_back(text.part(0, end));
  std::ranges::reverse(pieces);
  return pieces;
}

// At runs of white space, none of them empty; what is left of it after `most` cuts is the last piece.
std::vector<MarkedText> split_at_spaces(const MarkedText& text, std::int64_t most) {
  std::vector<MarkedText> pieces;
  MarkedText rest = strip_while(text, true, false, is_python_space);
  while (!rest.bytes.empty()) {
    std::size_t at = 0;
    while (at < rest.bytes.size() && !is_python_space(decode_code_point(rest.bytes, at).value))
      at += decode_code_point(rest.bytes, at).length;
    if (most-- == 0) at = rest.bytes.size();
    pieces.push_back(rest.part(0, at));
    rest = strip_while(rest.part(at, rest.bytes.size()), true, false, is_python_space);
  }
  return pieces;
}

value split(const func_args& args) {
  const std::int64_t most = number_argument(args, "maxsplit", 2);
  if (!argument(args, "sep", 1)) return list_of(split_at_spaces(self_of(args), most));
  return list_of(split_at(self_of(args), text_argument(args, "sep", 1), most));
}

value rsplit(const func_args& args) {
  const std::int64_t most = number_argument(args, "maxsplit", 2);
  if (!argument(args, "sep", 1) && most < 0) return list_of(split_at_spaces(self_of(args), most));
  return list_of(split_at_from_right(self_of(args), text_argument(args, "sep", 1), most));
}

value splitlines(const func_args& args) {
  const MarkedText text = self_of(args);
  std::vector<MarkedText> lines;
  for (std::size_t begin = 0; begin < text.bytes.size();) {
    const std::size_t end = std::min(text.bytes.find_first_of("\r\n", begin), text.bytes.size());
    lines.push_back(text.part(begin, end));
    begin = text.bytes.compare(end, 2, "\r\n") == 0 ? end + 2 : end + 1;
  }
  return list_of(lines);
}

value replace(const func_args& args) {
  const MarkedText text = self_of(args);
  const std::string old_text = text_argument(args, "old", 1);
  text_argument(args, "new", 2);
  const MarkedText new_text = MarkedText::of(args.get_pos(2)->as_string());
  std::int64_t most = number_argument(args, "count", 3);
  MarkedText result;
  std::size_t begin = 0;
  while (most-- != 0) {
    // Without a text to replace, the new one goes before each code point and to the end.
    const std::size_t at = old_text.empty() ? begin : text.bytes.find(old_text, begin);
    if (at == std::string::npos || at > text.bytes.size()) break;
    result.append(text.part(begin, at));
    result.append(new_text);
    begin = at + old_text.size();
    if (!old_text.empty()) continue;
    if (begin == text.bytes.size()) return result.value();
    const std::size_t next = begin + decode_code_point(text.bytes, begin).length;
    result.append(text.part(begin, next));
    begin = next;
  }
  result.append(text.part(begin, text.bytes.size()));
  return result.value();
}

template <bool kPrefix>
value remove_affix(const func_args& args) {
  const MarkedText text = self_of(args);
  const std::string affix = text_argument(args, "affix", 1);
  if (kPrefix && text.bytes.starts_with(affix)) return text.part(affix.size(), text.bytes.size()).value();
  if (!kPrefix && text.bytes.ends_with(affix)) return text.part(0, text.bytes.size() - affix.size()).value();
  return text.value();
}

std::int64_t code_points(std::string_view text) { return static_cast<std::int64_t>(boundaries(text).size()) - 1; }

value length(const func_args& args) { return mk_val<jinja::value_int>(code_points(self_of(args).bytes)); }

value find(const func_args& args) {
  const std::string text = self_of(args).bytes;
  const std::size_t at = text.find(text_argument(args, "sub", 1));
  return mk_val<jinja::value_int>(at == std::string::npos ? -1 : code_points(text.substr(0, at)));
}

value count(const func_args& args) {
  const auto pieces = split_at(self_of(args), text_argument(args, "sub", 1), kAll);
  return mk_val<jinja::value_int>(static_cast<std::int64_t>(pieces.size()) - 1);
}

// Letters whose case the methods below change in ASCII alone: small ones for upper(), capital ones for lower().
const CodePointSet& small_letters() {
  static const CodePointSet kSet = CodePointSet::of_category("Ll");
  return kSet;
}
const CodePointSet& capital_letters() {
  static const CodePointSet kSet = [] {
    CodePointSet set = CodePointSet::of_category("Lu");
    set.add(CodePointSet::of_category("Lt"));
    return set;
  }();
  return kSet;
}

// Bytes [begin, end) in the other case. Letters beyond ASCII that have one would silently keep it: they are refused.
void change_case(MarkedText& text, std::size_t begin, std::size_t end, bool to_capital, const std::string& name) {
  const CodePointSet& changed = to_capital ? small_letters() : capital_letters();
  for (std::size_t at = begin; at < end;) {
    const DecodedCodePoint point = decode_code_point(text.bytes, at);
    if (point.value >= 0x80 && changed.contains(point.value))
      throw std::runtime_error(name + "() of '" + text.bytes.substr(at, point.length) + "' is not supported");
    const char first = to_capital ? 'a' : 'A';
    if (text.bytes[at] >= first && text.bytes[at] < first + 26)
      text.bytes[at] = static_cast<char>(text.bytes[at] ^ 0x20);
    at += point.length;
  }
}

template <bool kFirstToCapital, bool kOthersToCapital>
value in_case(const func_args& args) {
  MarkedText text = self_of(args);
  const std::size_t first = text.bytes.empty() ? 0 : decode_code_point(text.bytes, 0).length;
  change_case(text, 0, first, kFirstToCapital, args.func_name);
  change_case(text, first, text.bytes.size(), kOthersToCapital, args.func_name);
  return text.value();
}

MarkedText joined(const MarkedText& separator, const std::vector<value>& items) {
  MarkedText text;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) text.append(separator);
    text.append(MarkedText::of(items[i]->as_string()));
  }
  return text;
}

// separator.join(list)
value join(const func_args& args) { return joined(self_of(args), args.get_pos(1)->as_array()).value(); }

std::int64_t clamped(std::int64_t index, std::int64_t size) {
  return std::clamp<std::int64_t>(index < 0 ? index + size : index, 0, size);
}

}  // namespace

MarkedText MarkedText::of(const jinja::string& string) {
  MarkedText text;
  for (const jinja::string_part& part : string.parts) {
    text.bytes += part.val;
    text.marks.append(part.val.size(), part.is_input ? kMark : '\0');
    text.holds_mark |= part.is_input;
  }
  return text;
}

value MarkedText::value() const {
  jinja::string string;
  for (std::size_t begin = 0; begin < bytes.size();) {
    const std::size_t end = std::min(marks.find(marks[begin] == kMark ? '\0' : kMark, begin), bytes.size());
    string.parts.push_back({marks[begin] == kMark, bytes.substr(begin, end - begin)});
    begin = end;
  }
  if (bytes.empty() && holds_mark) string.parts.push_back({true, ""});
  return mk_val<jinja::value_string>(string);
}

MarkedText MarkedText::part(std::size_t begin, std::size_t end) const {
  return {bytes.substr(begin, end - begin), marks.substr(begin, end - begin), holds_mark};
}

void MarkedText::append(const MarkedText& other) {
  bytes += other.bytes;
  marks += other.marks;
  holds_mark |= other.holds_mark;
}

const jinja::func_handler* find_string_method(std::string_view name) {
  static const std::map<std::string_view, jinja::func_handler> kMethods = {
      {"strip", strip<true, true>},
      {"lstrip", strip<true, false>},
      {"rstrip", strip<false, true>},
      {"split", split},
      {"rsplit", rsplit},
      {"splitlines", splitlines},
      {"replace", replace},
      {"removeprefix", remove_affix<true>},
      {"removesuffix", remove_affix<false>},
      {"length", length},
      {"find", find},
      {"count", count},
      {"join", join},
      {"upper", in_case<true, true>},
      {"lower", in_case<false, false>},
      {"capitalize", in_case<true, false>},
  };
  const auto found = kMethods.find(name);
  return found == kMethods.end() ? nullptr : &found->second;
}

value join_strings(const func_args& args) {
  const std::optional<value> separator = argument(args, "d", 1);
  const std::optional<value> attribute = argument(args, "attribute", 2);
  std::vector<value> items = args.get_pos(0)->as_array();
  if (attribute) {
    value undefined = mk_val<jinja::value_undefined>();
    for (value& item : items) item = item->at(*attribute, undefined);
  }
  return joined(separator ? MarkedText::of((*separator)->as_string()) : MarkedText(), items).value();
}

value slice_string(const value& string, std::optional<std::int64_t> start, std::optional<std::int64_t> stop) {
  const MarkedText text = MarkedText::of(string->as_string());
  const std::vector<std::size_t> places = boundaries(text.bytes);
  const auto size = static_cast<std::int64_t>(places.size()) - 1;
  const std::int64_t begin = clamped(start.value_or(0), size);
  const std::int64_t end = std::max(begin, clamped(stop.value_or(size), size));
  return text.part(places[static_cast<std::size_t>(begin)], places[static_cast<std::size_t>(end)]).value();
}

value string_item(const value& string, std::int64_t index) {
  const std::int64_t size = code_points(string->as_string().str());
  const std::int64_t place = index < 0 ? index + size : index;
  if (place < 0 || place >= size) return mk_val<jinja::value_undefined>("string index");
  return slice_string(string, place, place + 1);
}

}  // namespace nkat::data
