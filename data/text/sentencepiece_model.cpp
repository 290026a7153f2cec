#include "data/text/sentencepiece_model.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <optional>
#include <unordered_set>

#include <fmt/format.h>

#include "core/error.h"
#include "core/files/other_content.h"
#include "core/message.h"
#include "core/protobuf_wire.h"
#include "core/utf8.h"

namespace nkat::data {
namespace {

constexpr std::size_t kPieceLimit = std::size_t{1} << 19;
constexpr std::size_t kPieceBytes = 64 * 1024;
constexpr std::uint64_t kBpe = 2;

using protobuf::Field, protobuf::MessageReader, protobuf::WireType;
using protobuf::put_bytes, protobuf::put_float, protobuf::put_varint;

Piece parse_piece(ByteCursor message, std::size_t id) {
  MessageReader reader(message);
  Piece piece;
  while (std::optional<Field> next = reader.next()) {
    Field& field = *next;
    if (field.number == 1 && field.wire == WireType::kBytes) {
      const std::uint64_t length = field.bytes->remaining();
      if (length == 0 || length > kPieceBytes)
        reader.fail(fmt::format("piece {}: {}", id,
                                expected(fmt::format("1 to {} bytes", kPieceBytes), std::to_string(length))));
      piece.text = field.bytes->text(length, kPieceBytes, "a piece");
    }
    if (field.number == 2 && field.wire == WireType::kFixed32) {
      piece.score = std::bit_cast<float>(static_cast<std::uint32_t>(field.value));
    }
    if (field.number == 3 && field.wire == WireType::kVarint) {
      if (field.value < 1 || field.value > 6) reader.fail(fmt::format("piece {} has type {}", id, field.value));
      piece.type = static_cast<PieceType>(field.value);
    }
  }
  if (piece.text.empty())
    reader.fail(fmt::format("piece {}: {}", id, expected(fmt::format("1 to {} bytes", kPieceBytes), "0")));
  if (find_invalid_utf8(piece.text) != std::string::npos || piece.text.find('\0') != std::string::npos) {
    reader.fail(fmt::format("piece {} is not UTF-8 text", id));
  }
  if (!std::isfinite(piece.score)) reader.fail(fmt::format("piece {} has no finite score", id));
  return piece;
}

struct Settings {
  std::uint64_t model_type = 1;
  std::uint64_t space_as_suffix = 0;
  std::uint64_t byte_fallback = 0;
  bool has_character_map = false;
  std::uint64_t dummy_prefix = 1;
  std::uint64_t remove_extra_spaces = 1;
  std::uint64_t escape_spaces = 1;
};

void parse_trainer(ByteCursor message, Settings& settings) {
  MessageReader reader(message);
  while (std::optional<Field> next = reader.next()) {
    const Field& field = *next;
    if (field.wire != WireType::kVarint) continue;
    if (field.number == 3) settings.model_type = field.value;
    if (field.number == 24) settings.space_as_suffix = field.value;
    if (field.number == 35) settings.byte_fallback = field.value;
  }
}

void parse_normalizer(ByteCursor message, Settings& settings) {
  MessageReader reader(message);
  while (std::optional<Field> next = reader.next()) {
    const Field& field = *next;
    if (field.number == 2 && field.wire == WireType::kBytes) settings.has_character_map = !field.bytes->at_end();
    if (field.wire != WireType::kVarint) continue;
    if (field.number == 3) settings.dummy_prefix = field.value;
    if (field.number == 4) settings.remove_extra_spaces = field.value;
    if (field.number == 5) settings.escape_spaces = field.value;
  }
}

void check_settings(const Settings& settings, const std::string& source) {
  const auto require = [&](bool condition, const char* required) {
    if (!condition) {
      throw FormatError(
          fmt::format("{}: expected {}, as in Phi-3's tokenizer; this one gives other ids", source, required));
    }
  };
  require(settings.model_type == kBpe, "a byte-pair model (model_type BPE)");
  require(settings.byte_fallback != 0, "byte_fallback");
  require(settings.space_as_suffix == 0, "white space as prefix");
  require(!settings.has_character_map, "the identity normalizer");
  require(settings.dummy_prefix != 0, "add_dummy_prefix");
  require(settings.remove_extra_spaces == 0, "remove_extra_whitespaces = false");
  require(settings.escape_spaces != 0, "escape_whitespaces");
}

// "<0x00>" to "<0xFF>".
const std::array<std::string, 256>& byte_texts() {
  static const std::array<std::string, 256> texts = [] {
    std::array<std::string, 256> all;
    for (std::size_t byte = 0; byte < all.size(); ++byte) all[byte] = fmt::format("<0x{:02X}>", byte);
    return all;
  }();
  return texts;
}

void check_pieces(const std::vector<Piece>& pieces, const std::string& source) {
  std::unordered_set<std::string_view> texts;
  std::array<bool, 256> bytes{};
  std::size_t unknown = 0;
  for (std::size_t id = 0; id < pieces.size(); ++id) {
    const Piece& piece = pieces[id];
    if (!texts.insert(piece.text).second) {
      throw FormatError(fmt::format("{}: duplicate piece '{}', again at {}", source, ellipsize(piece.text), id));
    }
    unknown += piece.type == PieceType::kUnknown ? 1 : 0;
    if (piece.type != PieceType::kByte) continue;
    const auto value = std::ranges::find(byte_texts(), piece.text) - byte_texts().begin();
    if (value == 256)
      throw FormatError(fmt::format("{}: byte piece {}: {}", source, id,
                                    expected("<0x00> to <0xFF>", fmt::format("'{}'", ellipsize(piece.text)))));
    bytes[static_cast<std::size_t>(value)] = true;
  }
  if (unknown != 1)
    throw FormatError(fmt::format("{}: {}", source, expected("one UNKNOWN piece", std::to_string(unknown))));
  for (std::size_t byte = 0; byte < 256; ++byte) {
    if (!bytes[byte]) throw FormatError(fmt::format("{}: the byte piece <0x{:02X}> is missing", source, byte));
  }
}

}  // namespace

std::vector<Piece> parse_sentencepiece_model(std::string_view bytes, const std::string& source) {
  std::vector<Piece> pieces;
  Settings settings;
  if (!bytes.empty()) refuse_other_content(bytes, "a sentencepiece model", source);
  const std::string where = source + ": not a sentencepiece model of the Llama kind";
  MessageReader reader(ByteCursor(bytes, where));
  while (std::optional<Field> next = reader.next()) {
    const Field& field = *next;
    if (field.wire != WireType::kBytes) continue;
    if (field.number == 1) {
      if (pieces.size() == kPieceLimit) reader.fail(fmt::format("more than {} pieces", kPieceLimit));
      pieces.push_back(parse_piece(*field.bytes, pieces.size()));
    }
    if (field.number == 2) parse_trainer(*field.bytes, settings);
    if (field.number == 3) parse_normalizer(*field.bytes, settings);
  }
  if (pieces.empty()) reader.fail("it has no pieces");
  check_settings(settings, source);
  check_pieces(pieces, source);
  return pieces;
}

std::string serialize_sentencepiece_model(const std::vector<Piece>& pieces) {
  std::string model;
  std::string unknown_text;
  for (const Piece& piece : pieces) {
    std::string message;
    put_bytes(message, 1, piece.text);
    put_float(message, 2, piece.score);
    put_varint(message, 3, static_cast<std::uint64_t>(piece.type));
    put_bytes(model, 1, message);
    if (piece.type == PieceType::kUnknown) unknown_text = piece.text;
  }
  std::string trainer;
  put_varint(trainer, 3, kBpe);
  put_varint(trainer, 35, 1);
  put_bytes(trainer, 45, unknown_text);
  put_bytes(model, 2, trainer);
  std::string normalizer;
  put_bytes(normalizer, 1, "identity");
  put_varint(normalizer, 3, 0);
  put_varint(normalizer, 4, 0);
  put_varint(normalizer, 5, 1);
  put_bytes(model, 3, normalizer);
  return model;
}

}  // namespace nkat::data
