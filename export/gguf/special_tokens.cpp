#include "export/gguf/special_tokens.h"

#include <algorithm>
#include <optional>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "data/text/tokenizer_files.h"

namespace nkat::exporting {
namespace {

using Json = nlohmann::json;

Json read_json(const fs::path& path, const std::vector<std::string>& keys) {
  if (!fs::exists(path)) return nullptr;
  const Json file = parse_large_json(read_file(path, data::kTokenizerFileLimit), path.string(), keys);
  return file.is_object() ? file : Json();
}

Json at(const Json& object, const char* key) {
  return object.is_object() && object.contains(key) ? object[key] : Json();
}

// Of an entry of a template: the token, or the text (A or B), that stands there; empty if it is another one.
std::string entry(const Json& list, std::size_t place, const char* kind) {
  if (!list.is_array() || place >= list.size()) return "";
  const Json id = at(at(list[place], kind), "id");
  return id.is_string() ? id.get<std::string>() : "";
}

class Reader {
 public:
  Reader(const fs::path& folder, std::int64_t vocab_size) : vocab_size_(vocab_size) {
    tokenizer_ = read_json(folder / "tokenizer.json", {"added_tokens", "post_processor"});
    config_ = read_json(folder / "tokenizer_config.json", {});
    model_ = read_json(folder / "config.json", {});
  }

  SpecialTokens read() {
    has_config_ = config_.is_object() && !config_.empty();
    if (tokenizer_.is_object()) read_post_processor();
    if (const Json prefix = at(config_, "add_prefix_space"); prefix.is_boolean())
      found_.prefix_space = prefix.get<bool>();
    if (has_config_) {
      for (const std::string& purpose : purposes_) read_purpose(purpose);
    }
    for (const std::string& purpose : purposes_) set(purpose, at(model_, (purpose + "_token_id").c_str()));
    return std::move(found_);
  }

 private:
  Json token(const char* purpose) const { return at(config_, (std::string(purpose) + "_token").c_str()); }
  static bool is_given(const Json& token) { return !token.is_null() && token != Json("") && token != Json(false); }

  void read_post_processor() {
    if (has_config_ && !is_given(token("bos")) && is_given(token("cls"))) config_["bos_token"] = token("cls");
    if (has_config_ && !is_given(token("eos")) && is_given(token("sep"))) config_["eos_token"] = token("sep");
    begin_ = token("bos");
    end_ = token("eos");
    const Json whole = at(tokenizer_, "post_processor");
    const Json parts = at(whole, "processors");
    for (const Json& one : parts.is_array() ? parts : Json::array({whole})) {
      const Json type = at(one, "type");
      if (type == Json("RobertaProcessing")) found_.added = {{"bos", true}, {"eos", true}, {"sep", true}};
      if (type == Json("TemplateProcessing")) read_template(at(one, "single"), at(one, "pair"));
    }
  }

  void read_template(const Json& single, const Json& pair) {
    std::string first, last;
    if (single.is_array() && single.size() > 1) {
      first = entry(single, 0, "SpecialToken");
      last = entry(single, single.size() - 1, "SpecialToken");
      if (!first.empty()) {
        if (!has_config_) begin_ = first;
        found_.added["bos"] = Json(first) == begin_ || Json(first) == token("cls");
      }
      if (!last.empty()) read_last(last);
    }
    read_pair(pair, first, last);
  }

  // A text that ends in another token than the config's end token: that one then ends a turn.
  void read_last(const std::string& last) {
    if (has_config_ && Json(last) != end_) {
      const bool has_turn = std::ranges::find(purposes_, std::string("eot")) != purposes_.end();
      const char* purpose = has_turn ? "eom" : "eot";
      if (std::ranges::find(purposes_, std::string(purpose)) == purposes_.end()) {
        purposes_.emplace_back(purpose);
        config_[std::string(purpose) + "_token"] = end_;
      }
      config_["eos_token"] = last;
    }
    end_ = last;
    found_.added["eos"] = true;
  }

  // Of "begin A separator B end": is a separator put between two texts?
  void read_pair(const Json& pair, const std::string& first, const std::string& last) {
    if (!pair.is_array() || pair.empty()) return;
    const std::size_t begin = !first.empty() && entry(pair, 0, "SpecialToken") == first ? 1 : 0;
    const std::size_t end =
        pair.size() - (!last.empty() && entry(pair, pair.size() - 1, "SpecialToken") == last ? 1 : 0);
    if (begin + 2 >= end || entry(pair, begin, "Sequence") != "A" || entry(pair, end - 1, "Sequence") != "B") return;
    const auto separates = [&](std::size_t place) {
      const std::string middle = entry(pair, place, "SpecialToken");
      return !middle.empty() && (Json(middle) == token("sep") || Json(middle) == end_);
    };
    const std::size_t middles = end - begin - 2;
    const bool separator = (separates(begin + 1) && last.empty()) || (middles == 2 && separates(begin + 2));
    found_.added["sep"] = separator;
    if (separator && !is_given(token("sep")) && has_config_) config_["sep_token"] = end_;
  }

  void read_purpose(const std::string& purpose) {
    const Json is_added = at(config_, ("add_" + purpose + "_token").c_str());
    if (is_added.is_boolean()) found_.added[purpose] = is_added.get<bool>();
    Json text = token(purpose.c_str());
    if (text.is_object()) text = at(text, "content");
    if (!text.is_string()) return;
    const Json added = at(tokenizer_, "added_tokens");
    if (!added.is_array()) return;
    const auto same = std::ranges::find_if(added, [&](const Json& one) { return at(one, "content") == text; });
    if (same != added.end()) set(purpose, at(*same, "id"));
  }

  void set(const std::string& purpose, const Json& id) {
    if (!id.is_number_integer()) return;
    const auto value = id.get<std::int64_t>();
    if (value >= 0 && value < vocab_size_) found_.ids.emplace(purpose, static_cast<std::uint32_t>(value));
  }

  std::int64_t vocab_size_;
  Json tokenizer_, config_, model_;
  bool has_config_ = false;
  Json begin_, end_;
  std::vector<std::string> purposes_ = {"bos", "eos", "unk", "sep", "pad", "cls", "mask"};
  SpecialTokens found_;
};

}  // namespace

SpecialTokens read_special_tokens(const fs::path& model_folder, std::int64_t vocab_size) {
  return Reader(model_folder, vocab_size).read();
}

}  // namespace nkat::exporting
