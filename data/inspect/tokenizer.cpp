// tokenizer.model files.
#include <fmt/format.h>

#include "core/error.h"
#include "data/inspect/inspection.h"
#include "data/text/sentencepiece_model.h"

namespace nkat::gguf {
namespace {

constexpr std::uint64_t kLargestModel = 64 << 20;

const char* type_name(data::PieceType type) {
  switch (type) {
    case data::PieceType::kNormal: return "normal";
    case data::PieceType::kUnknown: return "unknown";
    case data::PieceType::kControl: return "control";
    case data::PieceType::kUserDefined: return "user_defined";
    case data::PieceType::kUnused: return "unused";
    case data::PieceType::kByte: return "byte";
  }
  return "";
}

}  // namespace

Inspection inspect_tokenizer(const fs::path& path) {
  const std::string bytes = read_file(path, kLargestModel);
  const std::vector<data::Piece> pieces = data::parse_sentencepiece_model(bytes, path.string());
  Inspection inspection{.path = path.string(), .kind = "tokenizer.model"};
  std::map<std::string, std::uint64_t> types;
  std::size_t longest = 0;
  for (std::size_t id = 0; id < pieces.size(); ++id) {
    types[type_name(pieces[id].type)] += 1;
    if (pieces[id].text.size() > pieces[longest].text.size()) longest = id;
  }
  inspection.facts["bytes"] = bytes.size();
  inspection.facts["pieces"] = pieces.size();
  inspection.facts["types"] = types;
  inspection.facts["longest_piece"] = fmt::format("{}: {}", longest, pieces[longest].text);
  inspection.holds("a byte-pair model with byte fallback, as Phi-3's; pieces are unique, all 256 bytes there");
  return inspection;
}

}  // namespace nkat::gguf
