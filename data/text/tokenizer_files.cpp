#include "data/text/tokenizer_files.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/json.h"
#include "core/message.h"
#include "core/random.h"
#include "core/utf8.h"
#include "data/formats/gguf_reader.h"
#include "data/run/given_folder.h"
#include "data/text/gguf_vocabulary.h"
#include "data/text/tokenizer.h"
#include "data/text/tokenizer_json.h"

namespace nkat::data {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kCheckTexts = 200;

constexpr std::string_view kFragments[] = {"Hello, world!",
                                           " the quick brown fox",
                                           "  two  spaces",
                                           "\n\n",
                                           "\t",
                                           "don't we'll I'M",
                                           "12",
                                           "3.14159",
                                           "2026-11-28",
                                           "1,234,567",
                                           "x = [1, 2];",
                                           "if (a != b) {\n    return a->b;\n}",
                                           "<div class=\"x\">",
                                           "https://example.org/a?b=c&d=%20",
                                           "naïve café déjà-vu",
                                           "e\u0301le\u0300ve",
                                           "Größe Straße",
                                           "¿Qué tal, señor?",
                                           "não é só",
                                           "żółć gęślą",
                                           "İstanbul ığdır",
                                           "Привет, мир!",
                                           "Ελληνικά",
                                           "שלום עולם",
                                           "مرحبا بالعالم",
                                           "नमस्ते दुनिया",
                                           "বাংলা",
                                           "தமிழ்",
                                           "สวัสดีชาวโลก",
                                           "Tiếng Việt",
                                           "こんにちは、世界。",
                                           "東京都",
                                           "カタカナ",
                                           "你好，世界",
                                           "안녕하세요",
                                           "ქართული",
                                           "Հայերեն",
                                           "🦙🎉",
                                           "👩‍👩‍👧",
                                           "\u00a0",
                                           "\u3000",
                                           "\u2581",
                                           "…—“”",
                                           "°±²³",
                                           "ﬁ",
                                           "\u200b",
                                           "HELLO",
                                           "camelCaseWord",
                                           "snake_case_word",
                                           " ",
                                           "   ",
                                           "a"};

Json tokenizer_config(const fs::path& model_folder) {
  const fs::path path = model_folder / "tokenizer_config.json";
  if (!fs::exists(path)) return Json::object();
  Json config = parse_large_json(read_file(path, kTokenizerFileLimit), path.string(),
                                 {"tokenizer_class", "add_bos_token", "add_eos_token", "bos_token", "eos_token"});
  return config.is_object() ? config : Json::object();
}

std::optional<std::int32_t> find_token(const TokenizerModel& model, const std::string& text) {
  const auto added = std::ranges::find(model.added_tokens, text, &AddedToken::content);
  if (added != model.added_tokens.end()) return added->id;
  const auto piece = std::ranges::find(model.pieces, text, &Piece::text);
  if (piece != model.pieces.end()) return static_cast<std::int32_t>(piece - model.pieces.begin());
  return std::nullopt;
}

// LlamaTokenizer puts its own post-processor in the place of the file's.
void apply_config(const fs::path& model_folder, TokenizerModel& model) {
  const Json config = tokenizer_config(model_folder);
  const Json name = config.value("tokenizer_class", Json());
  const bool is_llama = name.is_string() && (name.get<std::string>() == "LlamaTokenizer" ||
                                             name.get<std::string>() == "LlamaTokenizerFast");
  if (!is_llama) return;
  const auto put = [&](const char* flag, bool when_absent, const char* key, const char* fallback,
                       std::vector<std::int32_t>& ids) {
    ids.clear();
    const Json wanted = config.value(flag, Json());
    if (wanted.is_boolean() ? !wanted.get<bool>() : !when_absent) return;
    Json text = config.value(key, Json(fallback));
    if (text.is_object()) text = text.value("content", Json());
    const std::optional<std::int32_t> id = text.is_string() ? find_token(model, text.get<std::string>()) : std::nullopt;
    if (!id) {
      throw FormatError(
          fmt::format("{}: tokenizer_config.json: {}", model_folder.string(),
                      expected(fmt::format("a token of the vocabulary as '{}', which {} needs", key, flag),
                               ellipsize(dump_json(text)))));
    }
    ids.push_back(*id);
  };
  put("add_bos_token", true, "bos_token", "<s>", model.begin_tokens);
  put("add_eos_token", false, "eos_token", "</s>", model.end_tokens);
}

TokenizerModel read_sentencepiece(const fs::path& path, std::vector<AddedToken> added_tokens) {
  TokenizerModel model;
  model.source = path.string();
  model.merges_by_score = true;
  model.pieces = parse_sentencepiece_model(read_file(path, kTokenizerFileLimit), path.string());
  model.added_tokens = std::move(added_tokens);
  // Symbols that sentencepiece would find by itself are left to the scan, which knows when they are plain text.
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    if (model.pieces[id].type != PieceType::kUserDefined) continue;
    if (!std::ranges::binary_search(model.added_tokens, static_cast<std::int32_t>(id), {}, &AddedToken::id)) {
      throw FormatError(fmt::format("{}: the user-defined piece '{}' of tokenizer.model must be an added token too",
                                    path.parent_path().string(), model.pieces[id].text));
    }
    model.pieces[id].type = PieceType::kControl;
  }
  return model;
}

// Does tokenizer.model mean the same? If so its hash is taken, by which older runs resume.
void compare_with_sentencepiece(const fs::path& path, TokenizerModel& model) {
  std::string sha256;
  std::optional<Tokenizer> by_model;
  try {
    TokenizerModel other = read_sentencepiece(path, model.added_tokens);
    sha256 = tokenizer_identity(other);
    by_model.emplace(std::move(other));
  } catch (const FormatError& error) {
    log::warning(fmt::format("{}; tokenizer.json counts", error.what()));
    return;
  }
  const Tokenizer by_json{TokenizerModel(model)};
  if (const auto other_cut = find_other_cut(by_json, *by_model)) {
    log::warning(fmt::format(
        "{}: it cuts {} into [{}], tokenizer.json into [{}]; tokenizer.json counts, as in transformers", path.string(),
        Json(other_cut->text).dump(), fmt::join(other_cut->right, ", "), fmt::join(other_cut->left, ", ")));
    return;
  }
  model.sha256 = sha256;
}

}  // namespace

TokenizerModel read_tokenizer_model(const fs::path& model_path) {
  const fs::path json = model_path / "tokenizer.json";
  const fs::path sentencepiece = model_path / "tokenizer.model";
  TokenizerModel model;
  if (gguf::is_gguf_model(model_path))
    return read_gguf_vocabulary(gguf::GgufFile::with_all_parts(model_path).metadata(), model_path.string());
  require_model_folder(model_path);
  if (fs::exists(json)) {
    model = parse_tokenizer_json(read_file(json, kTokenizerFileLimit), json.string());
    if (model.added_tokens.empty()) model.added_tokens = read_added_tokens(model_path);
    if (fs::exists(sentencepiece)) compare_with_sentencepiece(sentencepiece, model);
  } else if (fs::exists(sentencepiece)) {
    model = read_sentencepiece(sentencepiece, read_added_tokens(model_path));
  } else {
    const bool other = fs::exists(model_path / "vocab.json") || fs::exists(model_path / "tiktoken.model");
    throw DataError(fmt::format(
        "{}: {}", model_path.string(),
        expected("tokenizer.json or a sentencepiece tokenizer.model", other ? "another tokenizer's files" : "none",
                 other ? "save it by AutoTokenizer.from_pretrained(folder).save_pretrained(folder) of transformers"
                       : gguf_advice(model_path))));
  }
  apply_config(model_path, model);
  return model;
}

std::vector<std::string> tokenizer_check_texts() {
  RandomStream random(1, "tokenizer-check-texts");
  std::vector<std::string> texts;
  for (const std::string_view fragment : kFragments) texts.emplace_back(fragment);
  while (texts.size() < kCheckTexts) {
    std::string text;
    for (std::uint64_t count = 2 + random.below(4); count > 0; --count)
      text += kFragments[random.below(std::size(kFragments))];
    texts.push_back(std::move(text));
  }
  return texts;
}

std::optional<OtherCut> find_other_cut(const Tokenizer& left, const Tokenizer& right) {
  for (const std::string& text : tokenizer_check_texts()) {
    OtherCut cut{text, left.encode(text, AddedTokens::kText), right.encode(text, AddedTokens::kText)};
    if (cut.left != cut.right) return cut;
  }
  return std::nullopt;
}

}  // namespace nkat::data
