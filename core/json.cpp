#include "core/json.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files/other_content.h"
#include "core/message.h"
#include "core/utf8.h"

namespace nkat {
namespace {

constexpr std::size_t kLongestToken = 4 << 20;
constexpr std::size_t kMemoryLimit = 48 << 20;
// What the value takes, estimated from above: a slot in a list that was doubled, a list or object itself, a node of the
// parent and of the set of its keys.
constexpr std::size_t kValueCost = 48;
constexpr std::size_t kContainerCost = 64;
constexpr std::size_t kKeyCost = 112;

// An ordered object looks a key up by walking over all of them.
constexpr std::size_t kMostOrderedKeys = 4096;

// The library collects a whole string or number, however long, before it calls the builder.
void check_token_lengths(std::string_view text, const std::string& source) {
  const auto check = [&](std::size_t begin, std::size_t end) {
    if (end - begin > kLongestToken) {
      throw FormatError(fmt::format("{}: {}", source,
                                    expected(fmt::format("a JSON string or number of at most {} bytes", kLongestToken),
                                             fmt::format("{} at byte {}", end - begin, begin))));
    }
  };
  std::size_t begin = 0;  // of the string or number around i
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') {
      begin = i++;
      while (i < text.size() && text[i] != '"') i += text[i] == '\\' ? 2 : 1;
      check(begin, std::min(i, text.size()));
      begin = i + 1;
    } else if (std::string_view(" \t\r\n,:[]{}").find(text[i]) != std::string_view::npos) {
      check(begin, i);
      begin = i + 1;
    }
  }
  if (begin < text.size()) check(begin, text.size());
}

// Builds the value while it checks depth and keys. The library's own callback parser walks over the whole parent at the
// end of every child, which takes hours for a header of a million keys.
template <class Json>
class CheckedBuilder {
 public:
  using PartHandler = std::function<void(const std::string&, const std::string&, const Json&)>;

  CheckedBuilder(Json& result, const std::string& source, int max_depth)
      : result_(result), build_(std::in_place, result), source_(source), max_depth_(max_depth) {}
  // Of the top-level object only these keys are kept; none: all.
  void keep_only(const std::vector<std::string>& wanted_keys) { wanted_keys_ = &wanted_keys; }
  // `result` holds one entry of the top-level object, or of what lies under these paths, at a time.
  void hand_over_entries(const std::vector<std::string>& opened_paths, const PartHandler& handle) {
    opened_paths_ = &opened_paths;
    handle_entry_ = &handle;
  }

  bool null() { return scalar(0) || (build_->null() && finished()); }
  bool boolean(bool value) { return scalar(0) || (build_->boolean(value) && finished()); }
  bool number_integer(typename Json::number_integer_t value) {
    return scalar(0) || (build_->number_integer(value) && finished());
  }
  bool number_unsigned(typename Json::number_unsigned_t value) {
    return scalar(0) || (build_->number_unsigned(value) && finished());
  }
  bool number_float(typename Json::number_float_t value, const std::string& text) {
    return scalar(0) || (build_->number_float(value, text) && finished());
  }
  bool string(std::string& value) { return scalar(value.size()) || (build_->string(value) && finished()); }
  bool binary(typename Json::binary_t& value) { return scalar(value.size()) || (build_->binary(value) && finished()); }

  bool start_object(std::size_t size) {
    keys_.emplace_back();
    return enter(/*is_list=*/false) || skipping_ || build_->start_object(size);
  }
  bool key(std::string& name) {
    add_cost(kKeyCost + 2 * name.size());
    if (is_handed_over()) {
      begin_entry(name);
      return true;
    }
    if (!keys_.back().insert(name).second) {
      throw FormatError(fmt::format("{}: duplicate key '{}'", source_, ellipsize(name)));
    }
    if (std::is_same_v<Json, nlohmann::ordered_json> && keys_.back().size() > kMostOrderedKeys)
      throw FormatError(fmt::format("{}: {}", source_,
                                    expected(fmt::format("an object of at most {} keys", kMostOrderedKeys), "more")));
    if (depth_ == 1 && wanted_keys_ != nullptr && !wanted_keys_->empty())
      skipping_ = std::ranges::find(*wanted_keys_, name) == wanted_keys_->end();
    return skipping_ || build_->key(name);
  }
  bool end_object() {
    keys_.pop_back();
    return leave() || (build_->end_object() && finished());
  }
  bool start_array(std::size_t size) { return enter(/*is_list=*/true) || skipping_ || build_->start_array(size); }
  bool end_array() { return leave() || (build_->end_array() && finished()); }

  [[noreturn]] bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) {
    // The library quotes the whole token that it stopped in, however long. Its text opens with its own error number and
    // position, up to the first colon.
    const std::string text = error.what();
    const std::size_t colon = text.find(": ");
    const std::string complaint = colon == std::string::npos ? text : text.substr(colon + 2);
    throw FormatError(fmt::format("{}: not valid JSON at byte {}: {}", source_, position, ellipsize(complaint, 200)));
  }

 private:
  // An object or a list whose entries are handed over one at a time.
  struct Opened {
    std::string path;
    bool is_list = false;
  };

  // Accounts for a scalar; true if it is being skipped.
  bool scalar(std::size_t text_size) {
    if (skipping_) return true;
    if (handle_entry_ != nullptr && depth_ == 0) refuse_no_object();
    begin_list_entry();
    add_cost(kValueCost + text_size);
    return false;
  }
  // Begins an object or a list; true if its entries are handed over, so that it is not built.
  bool enter(bool is_list) {
    const bool opens = opens_here(is_list);
    if (!opens) begin_list_entry();
    if (++depth_ > max_depth_) {
      throw FormatError(fmt::format("{}: JSON nested deeper than {} levels", source_, max_depth_));
    }
    if (!skipping_) add_cost(kValueCost + kContainerCost);
    return opens;
  }
  bool opens_here(bool is_list) {
    if (handle_entry_ == nullptr || static_cast<std::size_t>(depth_) != opened_.size()) return false;
    if (depth_ == 0) {
      if (is_list) refuse_no_object();
      opened_.push_back({});
      return true;
    }
    // A key with a dot would spell another path.
    const std::string path = opened_.back().path.empty() ? entry_ : opened_.back().path + "." + entry_;
    if (opened_.back().is_list || entry_.find('.') != std::string::npos ||
        std::ranges::find(*opened_paths_, path) == opened_paths_->end())
      return false;
    opened_.push_back({path, is_list});
    return true;
  }
  // Ends a value; true if it is being skipped or its entries were handed over.
  bool leave() {
    const bool was_opened = is_handed_over();
    if (was_opened) opened_.pop_back();
    if (--depth_ == 0) skipping_ = false;
    return skipping_ || was_opened;
  }
  // Directly in an object or a list whose entries are handed over; it is not built.
  bool is_handed_over() const { return !opened_.empty() && static_cast<std::size_t>(depth_) == opened_.size(); }
  void begin_entry(const std::string& name) {
    entry_ = name;
    result_ = Json();
    build_.emplace(result_);
    cost_ = 0;
  }
  void begin_list_entry() {
    if (is_handed_over() && opened_.back().is_list) begin_entry("");
  }
  bool finished() {
    if (is_handed_over()) (*handle_entry_)(opened_.back().path, entry_, result_);
    return true;
  }
  void add_cost(std::size_t bytes) {
    cost_ += bytes;
    if (cost_ > kMemoryLimit) {
      throw FormatError(fmt::format(
          "{}: {}", source_,
          expected(fmt::format("JSON values that fit in {} MiB, as those of every known file do", kMemoryLimit >> 20),
                   "more")));
    }
  }
  [[noreturn]] void refuse_no_object() const {
    throw FormatError(fmt::format("{}: {}", source_, expected("a JSON object", "another value")));
  }

  Json& result_;
  std::optional<nlohmann::detail::json_sax_dom_parser<Json>> build_;
  const std::string& source_;
  int max_depth_;
  const std::vector<std::string>* wanted_keys_ = nullptr;
  const PartHandler* handle_entry_ = nullptr;
  const std::vector<std::string>* opened_paths_ = nullptr;
  std::vector<Opened> opened_;  // from the top-level object inward
  std::string entry_;           // the entry's key
  std::size_t cost_ = 0;
  int depth_ = 0;
  bool skipping_ = false;  // inside a skipped top-level value
  std::vector<std::set<std::string>> keys_;
};

template <class Json>
void run(CheckedBuilder<Json>& builder, std::string_view text, const std::string& source) {
  // The library takes a NUL byte for the end of the text.
  if (const std::size_t place = text.find('\0'); place != std::string_view::npos)
    throw FormatError(fmt::format("{}: not valid JSON at byte {}: a NUL byte", source, place));
  if (const bool empty = text.empty(); empty || is_web_page(text)) {
    throw FormatError(
        fmt::format("{}: not valid JSON at byte 1: {}", source, empty ? "it is empty" : "it is a web page"));
  }
  check_token_lengths(text, source);
  Json::sax_parse(text, &builder);
}

}  // namespace

nlohmann::ordered_json parse_json(std::string_view text, const std::string& source, int max_depth) {
  nlohmann::ordered_json result;
  CheckedBuilder<nlohmann::ordered_json> builder(result, source, max_depth);
  run(builder, text, source);
  return result;
}

nlohmann::json parse_large_json(std::string_view text, const std::string& source,
                                const std::vector<std::string>& wanted_keys, int max_depth) {
  nlohmann::json result;
  CheckedBuilder<nlohmann::json> builder(result, source, max_depth);
  builder.keep_only(wanted_keys);
  run(builder, text, source);
  return result;
}

void for_each_json_entry(std::string_view text, const std::string& source, const JsonEntryHandler& handle,
                         int max_depth) {
  for_each_json_part(
      text, source, {},
      [&](const std::string&, const std::string& key, const nlohmann::json& value) { handle(key, value); }, max_depth);
}

void for_each_json_part(std::string_view text, const std::string& source, const std::vector<std::string>& opened,
                        const JsonPartHandler& handle, int max_depth) {
  nlohmann::json result;
  CheckedBuilder<nlohmann::json> builder(result, source, max_depth);
  builder.hand_over_entries(opened, handle);
  run(builder, text, source);
}

std::string dump_json(const nlohmann::ordered_json& json, int indent) {
  return json.dump(indent, ' ', /*ensure_ascii=*/false, nlohmann::ordered_json::error_handler_t::replace);
}

nlohmann::ordered_json finite_or_null(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

}  // namespace nkat
