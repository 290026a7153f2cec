#include "export/hf/hf_tokenizer.h"

#include <algorithm>
#include <functional>
#include <tuple>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/json.h"

namespace nkat::exporting {
namespace {

using data::TokenizerModel;
using Json = nlohmann::ordered_json;

constexpr const char* kSpace = "\u2581";

bool is_byte_level(const TokenizerModel& model) { return model.kind == data::VocabularyKind::kByteLevel; }

// Ids by text of what the BPE model itself may produce.
std::unordered_map<std::string, std::int32_t> vocabulary(const TokenizerModel& model) {
  std::unordered_map<std::string, std::int32_t> ids;
  for (std::size_t id = 0; id < model.pieces.size(); ++id) {
    const data::Piece& piece = model.pieces[id];
    if (!piece.text.empty() && piece.type != data::PieceType::kUnused)
      ids.emplace(piece.text, static_cast<std::int32_t>(id));
  }
  return ids;
}

using Pair = std::pair<std::string, std::string>;

std::vector<Pair> merges_of_scores(const TokenizerModel& model,
                                   const std::unordered_map<std::string, std::int32_t>& ids) {
  struct Scored {
    float score = 0;
    std::size_t left_length = 0, right_length = 0;  // characters
    Pair texts;
  };
  std::vector<Scored> found;
  for (const data::Piece& piece : model.pieces) {
    if (piece.type != data::PieceType::kNormal && piece.type != data::PieceType::kUserDefined) continue;
    std::vector<std::size_t> starts;
    for (std::size_t i = 0; i < piece.text.size(); ++i) {
      if ((static_cast<unsigned char>(piece.text[i]) & 0xC0) != 0x80) starts.push_back(i);
    }
    std::vector<std::pair<std::pair<std::int32_t, std::int32_t>, Scored>> cuts;
    for (std::size_t cut = 1; cut < starts.size(); ++cut) {
      const auto left = ids.find(piece.text.substr(0, starts[cut])), right = ids.find(piece.text.substr(starts[cut]));
      if (left == ids.end() || right == ids.end()) continue;
      cuts.push_back(
          {{left->second, right->second}, {piece.score, cut, starts.size() - cut, {left->first, right->first}}});
    }
    std::ranges::stable_sort(cuts, {}, [](const auto& one) { return one.first; });
    for (auto& [order, cut] : cuts) found.push_back(std::move(cut));
  }
  std::ranges::stable_sort(found, std::greater<>(),
                           [](const Scored& one) { return std::tuple(one.score, one.left_length, one.right_length); });
  std::vector<Pair> merges;
  for (Scored& one : found) merges.push_back(std::move(one.texts));
  return merges;
}

std::vector<Pair> merges_of(const TokenizerModel& model, const std::unordered_map<std::string, std::int32_t>& ids) {
  if (model.merges_by_score) return merges_of_scores(model, ids);
  std::vector<Pair> merges;
  for (const data::Merge& merge : model.merges) {
    merges.emplace_back(model.pieces[static_cast<std::size_t>(merge.left)].text,
                        model.pieces[static_cast<std::size_t>(merge.right)].text);
  }
  return merges;
}

Json model_json(const TokenizerModel& model) {
  const auto ids = vocabulary(model);
  std::vector<std::pair<std::string, std::int32_t>> by_id(ids.begin(), ids.end());
  std::ranges::sort(by_id, {}, [](const auto& one) { return one.second; });
  Json vocab = Json::object();
  auto& entries = vocab.get_ref<Json::object_t&>();  // its operator[] searches all keys
  for (const auto& [text, id] : by_id) entries.emplace_back(text, id);
  Json merges = Json::array();
  for (const auto& [left, right] : merges_of(model, ids)) merges.push_back(Json::array({left, right}));
  const auto unknown = std::ranges::find(model.pieces, data::PieceType::kUnknown, &data::Piece::type);
  const bool bytes = !is_byte_level(model);
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", bytes && unknown != model.pieces.end() ? Json(unknown->text) : Json(nullptr)},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", bytes},
          {"byte_fallback", bytes},
          {"ignore_merges", model.ignore_merges},
          {"vocab", std::move(vocab)},
          {"merges", std::move(merges)}};
}

Json sequence(const char* member, const char* type, Json steps) {
  if (steps.empty()) return nullptr;
  if (steps.size() == 1) return steps[0];
  return {{"type", type}, {member, std::move(steps)}};
}

Json normalizer_json(const TokenizerModel& model) {
  Json steps = Json::array();
  if (model.nfc) steps.push_back(Json::object({{"type", "NFC"}}));
  if (!is_byte_level(model) && !model.spaces.metaspace) {
    if (model.spaces.prefix != data::SpaceRule::Prefix::kNever)
      steps.push_back({{"type", "Prepend"}, {"prepend", kSpace}});
    steps.push_back({{"type", "Replace"}, {"pattern", Json::object({{"String", " "}})}, {"content", kSpace}});
  }
  return sequence("normalizers", "Sequence", std::move(steps));
}

const char* prepend_scheme(data::SpaceRule::Prefix prefix) {
  switch (prefix) {
    case data::SpaceRule::Prefix::kNever: return "never";
    case data::SpaceRule::Prefix::kFirst: return "first";
    default: return "always";
  }
}

Json pre_tokenizer_json(const TokenizerModel& model) {
  if (!is_byte_level(model)) {
    if (!model.spaces.metaspace) return nullptr;
    return {{"type", "Metaspace"},
            {"replacement", kSpace},
            {"prepend_scheme", prepend_scheme(model.spaces.prefix)},
            {"split", model.spaces.split}};
  }
  Json steps = Json::array();
  bool prefix_space = false;
  for (const data::SplitStep& step : model.split_steps) {
    prefix_space = prefix_space || step.prefix_space;
    if (step.expression.empty()) continue;
    steps.push_back({{"type", "Split"},
                     {"pattern", Json::object({{"Regex", step.expression}})},
                     {"behavior", step.keep_matches && step.keep_gaps ? "Isolated" : "Removed"},
                     {"invert", !step.keep_gaps}});
  }
  steps.push_back(
      {{"type", "ByteLevel"}, {"add_prefix_space", prefix_space}, {"trim_offsets", true}, {"use_regex", false}});
  return sequence("pretokenizers", "Sequence", std::move(steps));
}

Json decoder_json(const TokenizerModel& model) {
  if (is_byte_level(model))
    return {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  const Json space = Json::object({{"String", kSpace}});
  Json steps = Json::array({Json::object({{"type", "Replace"}, {"pattern", space}, {"content", " "}}),
                            Json::object({{"type", "ByteFallback"}}), Json::object({{"type", "Fuse"}})});
  if (model.strip_leading_space) steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return {{"type", "Sequence"}, {"decoders", std::move(steps)}};
}

std::string text_of(const TokenizerModel& model, std::int32_t id) {
  for (const data::AddedToken& token : model.added_tokens) {
    if (token.id == id) return token.content;
  }
  return model.pieces.at(static_cast<std::size_t>(id)).text;
}

// The tokens around a plain text, alone and in a pair.
Json post_processor_json(const TokenizerModel& model) {
  if (model.begin_tokens.empty() && model.end_tokens.empty()) return nullptr;
  Json special = Json::object();
  const auto around = [&](const char* part, int type) {
    Json list = Json::array();
    const auto add = [&](const std::vector<std::int32_t>& ids) {
      for (const std::int32_t id : ids) {
        const std::string text = text_of(model, id);
        list.push_back(Json::object({{"SpecialToken", Json::object({{"id", text}, {"type_id", type}})}}));
        special[text] = {{"id", text}, {"ids", Json::array({id})}, {"tokens", Json::array({text})}};
      }
    };
    add(model.begin_tokens);
    list.push_back(Json::object({{"Sequence", Json::object({{"id", part}, {"type_id", type}})}}));
    add(model.end_tokens);
    return list;
  };
  const Json single = around("A", 0);
  Json pair = single;
  for (const Json& item : around("B", 1)) pair.push_back(item);
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", special}};
}

Json added_token_json(const data::AddedToken& token) {
  return {{"content", token.content},    {"single_word", token.single_word}, {"lstrip", token.strip_left},
          {"rstrip", token.strip_right}, {"normalized", token.normalized},   {"special", token.special}};
}

}  // namespace

std::string tokenizer_json(const TokenizerModel& model) {
  Json added = Json::array();
  for (const data::AddedToken& token : model.added_tokens) {
    Json one = Json::object({{"id", token.id}});
    one.update(added_token_json(token));
    added.push_back(std::move(one));
  }
  return dump_json({{"version", "1.0"},
                    {"truncation", nullptr},
                    {"padding", nullptr},
                    {"added_tokens", std::move(added)},
                    {"normalizer", normalizer_json(model)},
                    {"pre_tokenizer", pre_tokenizer_json(model)},
                    {"post_processor", post_processor_json(model)},
                    {"decoder", decoder_json(model)},
                    {"model", model_json(model)}},
                   1) +
         "\n";
}

std::string tokenizer_config_json(const TokenizerModel& model, const NamedTokens& tokens,
                                  const std::string& chat_template) {
  Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false}};
  for (const auto& [key, text] : {std::pair{"bos_token", tokens.begin},
                                  {"eos_token", tokens.end},
                                  {"unk_token", tokens.unknown},
                                  {"pad_token", tokens.padding}}) {
    if (text) config[key] = *text;
  }
  Json added = Json::object();
  for (const data::AddedToken& token : model.added_tokens) added[std::to_string(token.id)] = added_token_json(token);
  config["added_tokens_decoder"] = std::move(added);
  if (!chat_template.empty()) config["chat_template"] = chat_template;
  return dump_json(config, 2) + "\n";
}

}  // namespace nkat::exporting
