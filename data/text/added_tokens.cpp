#include "data/text/added_tokens.h"

#include <algorithm>
#include <charconv>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/json.h"
#include "core/message.h"
#include "core/utf8.h"
#include "data/text/tokenizer_files.h"
#include "data/text/unicode/categories.h"

namespace nkat::data {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kTokenLimit = 65'536;
constexpr std::size_t kContentLimit = 64 * 1024;
constexpr std::int64_t kIdLimit = 1 << 24;

// What was found in place of a token's object with content.
std::string shown_type(const Json& token) { return token.is_object() ? "an object without it" : token.type_name(); }

bool flag(const Json& token, const char* name) { return token.contains(name) && token[name] == Json(true); }

AddedToken parse_token(const Json& token, std::int64_t id, const std::string& source) {
  if (!token.is_object() || !token.contains("content") || !token["content"].is_string()) {
    throw FormatError(fmt::format("{}: added token {}: {}", source, id,
                                  expected("an object with a string 'content'", shown_type(token))));
  }
  const std::string content = token["content"].get<std::string>();
  if (content.empty() || content.size() > kContentLimit) {
    throw FormatError(
        fmt::format("{}: added token {}: {}", source, id,
                    expected(fmt::format("1 to {} bytes", kContentLimit), std::to_string(content.size()))));
  }
  if (id < 0 || id >= kIdLimit) {
    throw FormatError(fmt::format("{}: added token '{}': {}", source, content,
                                  expected(fmt::format("an id from 0 to {}", kIdLimit - 1), std::to_string(id))));
  }
  return {.content = content,
          .id = static_cast<std::int32_t>(id),
          .special = flag(token, "special"),
          .strip_left = flag(token, "lstrip"),
          .strip_right = flag(token, "rstrip"),
          .normalized = flag(token, "normalized"),
          .single_word = flag(token, "single_word")};
}

std::vector<AddedToken> from_tokenizer_json(const Json& tokens, const std::string& source) {
  if (!tokens.is_array())
    throw FormatError(fmt::format("{}: key 'added_tokens': {}", source, expected("a list", tokens.type_name())));
  std::vector<AddedToken> all;
  for (const Json& token : tokens) {
    if (!token.is_object() || !token.contains("id") || !token["id"].is_number_integer()) {
      throw FormatError(fmt::format("{}: added token number {} has no integer 'id'", source, all.size()));
    }
    all.push_back(parse_token(token, token["id"].get<std::int64_t>(), source));
  }
  return all;
}

std::vector<AddedToken> from_decoder_map(const Json& tokens, const std::string& source) {
  if (!tokens.is_object())
    throw FormatError(
        fmt::format("{}: key 'added_tokens_decoder': {}", source, expected("an object", tokens.type_name())));
  std::vector<AddedToken> all;
  for (const auto& entry : tokens.items()) {
    std::int64_t id = -1;
    const std::string& key = entry.key();
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size()) {
      throw FormatError(fmt::format("{}: added_tokens_decoder: '{}' is no id", source, key));
    }
    all.push_back(parse_token(entry.value(), id, source));
  }
  return all;
}

std::vector<AddedToken> from_id_map(const Json& ids, const std::string& source) {
  if (!ids.is_object())
    throw FormatError(fmt::format("{}: {}", source, expected("an object from strings to ids", ids.type_name())));
  std::vector<AddedToken> all;
  for (const auto& entry : ids.items()) {
    if (!entry.value().is_number_integer())
      throw FormatError(fmt::format("{}: '{}' has no integer id", source, entry.key()));
    all.push_back(
        parse_token({{"content", entry.key()}, {"special", true}}, entry.value().get<std::int64_t>(), source));
  }
  return all;
}

// Sorted by id, without duplicates.
std::vector<AddedToken> checked(std::vector<AddedToken> tokens, const std::string& source) {
  std::set<std::string_view> contents;
  std::set<std::int32_t> ids;
  for (const AddedToken& token : tokens) {
    if (!contents.insert(token.content).second || !ids.insert(token.id).second) {
      throw FormatError(
          fmt::format("{}: added token '{}' ({}): duplicate text or id", source, token.content, token.id));
    }
  }
  if (tokens.size() > kTokenLimit) {
    throw FormatError(
        fmt::format("{}: {}", source,
                    expected(fmt::format("at most {} added tokens", kTokenLimit), std::to_string(tokens.size()))));
  }
  std::ranges::sort(tokens, {}, &AddedToken::id);
  return tokens;
}

// How many bytes of white space begin the text.
std::size_t leading_white_space(std::string_view text) {
  std::size_t length = 0;
  while (length < text.size()) {
    const DecodedCodePoint point = decode_code_point(text, length);
    if (!is_unicode_white_space(point.value)) break;
    length += point.length;
  }
  return length;
}

// Where the white space that ends text[floor, end) begins.
std::size_t trailing_white_space(std::string_view text, std::size_t floor, std::size_t end) {
  while (end > floor) {
    std::size_t start = end - 1;
    while (start > floor && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
    if (!is_unicode_white_space(decode_code_point(text, start).value)) break;
    end = start;
  }
  return end;
}

// Does a character of a word stand beside the range?
bool touches_word(std::string_view text, ByteRange range) {
  std::size_t before = range.begin;
  while (before > 0 && before + 4 > range.begin && (static_cast<unsigned char>(text[--before]) & 0xC0) == 0x80) {
  }
  return (before < range.begin && is_word_character(decode_code_point(text, before).value)) ||
         (range.end < text.size() && is_word_character(decode_code_point(text, range.end).value));
}

}  // namespace

bool touches(ByteRange range, std::span<const ByteRange> sorted) {
  const auto first = std::ranges::partition_point(sorted, [&](const ByteRange& one) { return one.end <= range.begin; });
  return first != sorted.end() && first->begin < range.end;
}

std::vector<AddedToken> parse_added_tokens(const Json& tokens, const std::string& source) {
  return checked(from_tokenizer_json(tokens, source), source);
}

std::vector<AddedToken> read_added_tokens(const fs::path& model_folder) {
  struct Source {
    const char* file;
    const char* key;  // nullptr: the whole file
    std::vector<AddedToken> (*parse)(const Json&, const std::string&);
  };
  static constexpr std::array kSources = {Source{"tokenizer.json", "added_tokens", from_tokenizer_json},
                                          Source{"tokenizer_config.json", "added_tokens_decoder", from_decoder_map},
                                          Source{"added_tokens.json", nullptr, from_id_map}};
  for (const Source& source : kSources) {
    const fs::path path = model_folder / source.file;
    if (!fs::exists(path)) continue;
    const std::vector<std::string> wanted =
        source.key == nullptr ? std::vector<std::string>() : std::vector<std::string>{source.key};
    const Json file = parse_large_json(read_file(path, kTokenizerFileLimit), path.string(), wanted);
    if (source.key != nullptr && (!file.is_object() || !file.contains(source.key))) continue;
    if (source.key == nullptr) {
      log::warning(path.string() +
                   " says nothing about white space after added tokens; it is kept. tokenizer_config.json would say");
    }
    return checked(source.parse(source.key == nullptr ? file : file[source.key], path.string()), path.string());
  }
  return {};
}

AddedTokenScanner::AddedTokenScanner(std::span<const AddedToken> tokens, bool normalized, const Normalize& normalize) {
  for (const AddedToken& token : tokens) {
    if (token.normalized != normalized) continue;
    Candidate candidate{normalize ? normalize(token.content) : token.content, &token};
    by_first_byte_[static_cast<unsigned char>(candidate.text[0])].push_back(std::move(candidate));
    empty_ = false;
  }
  for (auto& candidates : by_first_byte_) {
    std::ranges::stable_sort(candidates, std::ranges::greater(), [](const Candidate& one) { return one.text.size(); });
  }
}

std::vector<TextPart> AddedTokenScanner::scan(std::string_view text, std::span<const ByteRange> literal) const {
  std::vector<TextPart> parts;
  std::size_t done = 0;
  for (std::size_t position = 0; position < text.size();) {
    std::size_t length = 0;
    const AddedToken* found = nullptr;
    for (const Candidate& candidate : by_first_byte_[static_cast<unsigned char>(text[position])]) {
      length = candidate.text.size();
      if (text.substr(position, length) != candidate.text || touches({position, position + length}, literal)) continue;
      found = candidate.token;
      break;
    }
    if (found == nullptr) {
      ++position;
      continue;
    }
    std::size_t begin = position;
    position += length;
    if (found->single_word && touches_word(text, {begin, position})) continue;
    std::size_t end = position;
    if (found->strip_left) begin = trailing_white_space(text, std::min(done, begin), begin);
    if (found->strip_right) end += leading_white_space(text.substr(end));
    if (begin > done) parts.push_back({nullptr, {done, begin}});
    parts.push_back({found, {begin, end}});
    done = end;
  }
  if (done < text.size()) parts.push_back({nullptr, {done, text.size()}});
  return parts;
}

}  // namespace nkat::data
