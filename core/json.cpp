#include "core/json.h"

#include <fmt/format.h>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "core/error.h"
#include "core/utf8.h"

namespace nkat {
namespace {

// The library quotes the whole token that it stopped in, however long.
std::string shortened(const std::string& complaint) {
  constexpr std::size_t kLongest = 200;
  if (complaint.size() <= kLongest) return complaint;
  const std::string_view head = std::string_view(complaint).substr(0, kLongest);
  return fmt::format("{} ...", head.substr(0, complete_utf8_prefix(head)));
}

// Builds the value while it checks depth and keys. The library's own callback parser walks over the whole parent at the
// end of every child, which takes hours for a header of a million keys.
template <class Json>
class CheckedBuilder {
 public:
  CheckedBuilder(Json& result, const std::string& source, const std::vector<std::string>& wanted_keys, int max_depth)
      : build_(result), source_(source), wanted_keys_(wanted_keys), max_depth_(max_depth) {}

  bool null() { return skipped() || build_.null(); }
  bool boolean(bool value) { return skipped() || build_.boolean(value); }
  bool number_integer(typename Json::number_integer_t value) { return skipped() || build_.number_integer(value); }
  bool number_unsigned(typename Json::number_unsigned_t value) { return skipped() || build_.number_unsigned(value); }
  bool number_float(typename Json::number_float_t value, const std::string& text) {
    return skipped() || build_.number_float(value, text);
  }
  bool string(std::string& value) { return skipped() || build_.string(value); }
  bool binary(typename Json::binary_t& value) { return skipped() || build_.binary(value); }

  bool start_object(std::size_t size) {
    enter();
    keys_.emplace_back();
    return skipping_ || build_.start_object(size);
  }
  bool key(std::string& name) {
    if (!keys_.back().insert(name).second) {
      throw FormatError(fmt::format("{}: the key '{}' stands twice", source_, name));
    }
    if (depth_ == 1) skipping_ = !wanted_keys_.empty() && std::ranges::find(wanted_keys_, name) == wanted_keys_.end();
    return skipping_ || build_.key(name);
  }
  bool end_object() {
    keys_.pop_back();
    return leave() || build_.end_object();
  }
  bool start_array(std::size_t size) {
    enter();
    return skipping_ || build_.start_array(size);
  }
  bool end_array() { return leave() || build_.end_array(); }

  [[noreturn]] bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) {
    // The library's text opens with its own error number and position, up to the first colon.
    const std::string text = error.what();
    const std::size_t colon = text.find(": ");
    const std::string complaint = colon == std::string::npos ? text : text.substr(colon + 2);
    throw FormatError(fmt::format("{}: not valid JSON at byte {}: {}", source_, position, shortened(complaint)));
  }

 private:
  bool skipped() const { return skipping_; }
  void enter() {
    if (++depth_ > max_depth_) {
      throw FormatError(fmt::format("{}: JSON nested deeper than {} levels", source_, max_depth_));
    }
  }
  // Is the value that ends here left out? The outermost object itself never is.
  bool leave() {
    if (--depth_ == 0) skipping_ = false;
    return skipping_;
  }

  nlohmann::detail::json_sax_dom_parser<Json> build_;
  const std::string& source_;
  const std::vector<std::string>& wanted_keys_;
  int max_depth_;
  int depth_ = 0;
  bool skipping_ = false;  // inside a value of the outermost object that nobody wants
  std::vector<std::set<std::string>> keys_;
};

template <class Json>
Json parse(std::string_view text, const std::string& source, const std::vector<std::string>& wanted_keys,
           int max_depth) {
  Json result;
  CheckedBuilder<Json> builder(result, source, wanted_keys, max_depth);
  Json::sax_parse(text, &builder);
  return result;
}

}  // namespace

nlohmann::ordered_json parse_json(std::string_view text, const std::string& source, int max_depth) {
  return parse<nlohmann::ordered_json>(text, source, {}, max_depth);
}

nlohmann::json parse_large_json(std::string_view text, const std::string& source,
                                const std::vector<std::string>& wanted_keys, int max_depth) {
  return parse<nlohmann::json>(text, source, wanted_keys, max_depth);
}

}  // namespace nkat
