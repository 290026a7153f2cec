#include "data/sentencepiece_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <cmath>

#include "core/error.h"
#include "tests/support/mutations.h"
#include "tests/support/tiny_tokenizer.h"

namespace nkat::data {
namespace {

using nkat::testing::proto_bytes;
using nkat::testing::proto_number;
using nkat::testing::proto_piece;
using nkat::testing::tiny_normalizer;
using nkat::testing::tiny_pieces;
using nkat::testing::tiny_trainer;
using ::testing::HasSubstr;

void read(const std::string& bytes) { parse_sentencepiece_model(bytes, "tokenizer.model"); }

TEST(SentencePieceModel, ReadsTextScoreAndType) {
  const std::vector<Piece> pieces = parse_sentencepiece_model(nkat::testing::tiny_model(), "tokenizer.model");
  ASSERT_EQ(pieces.size(), 259 + nkat::testing::kTinyPieces.size());
  EXPECT_EQ(pieces[0].type, PieceType::kUnknown);
  EXPECT_EQ(pieces[13].text, "<0x0A>");
  EXPECT_EQ(pieces[13].type, PieceType::kByte);
  EXPECT_EQ(pieces[260].text, "ll");
  EXPECT_EQ(pieces[260].score, -2);
  EXPECT_EQ(pieces[260].type, PieceType::kNormal);
}

TEST(SentencePieceModel, SkipsFieldsItDoesNotKnow) {
  EXPECT_NO_THROW(read(nkat::testing::tiny_model() + proto_bytes(4, "self test") + proto_number(200, 7)));
}

TEST(SentencePieceModel, RefusesEachCorruptionByName) {
  const std::string pieces = tiny_pieces();
  const std::string end = tiny_trainer() + tiny_normalizer();
  const auto normalizer = [](const std::string& fields) { return proto_bytes(3, fields); };
  const struct {
    const char* name;
    std::string bytes;
    const char* message;
  } corruptions[] = {
      {"Empty", "", "no pieces"},
      {"NoPieces", end, "no pieces"},
      {"FieldNumberZero", std::string("\x02\x00", 2), "field number 0"},
      {"GroupWireType", "\x0B", "wire type 3"},
      {"LengthBeyondFile", "\x0A\x7Fxx", "127 bytes where 2 are left"},
      {"LengthOverflows", "\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01xx", "where 2 are left"},
      {"EndlessVarint", "\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", "longer than 10 bytes"},
      {"CutFixed", std::string("\x15\x00\x00", 3), "4 bytes where 2"},
      {"EmptyPiece", proto_piece("", 0, 1) + pieces + end, "has 0 bytes"},
      {"LongPiece", proto_piece(std::string(65'537, 'a'), 0, 1) + pieces + end, "1 to 65536 allowed"},
      {"PieceNotUtf8", pieces + proto_piece("\xFF", 0, 1) + end, "not UTF-8"},
      {"PieceWithNul", pieces + proto_piece(std::string_view("a\0b", 3), 0, 1) + end, "not UTF-8"},
      {"PieceTypeSeven", pieces + proto_piece("zz", 0, 7) + end, "has type 7"},
      {"PieceTypeZero", pieces + proto_piece("zz", 0, 0) + end, "has type 0"},
      {"ScoreNotFinite", pieces + proto_piece("zz", NAN, 1) + end, "no finite score"},
      {"PieceTwice", pieces + proto_piece("he", 0, 1) + end, "stands twice"},
      {"SecondUnknown", pieces + proto_piece("zz", 0, 2) + end, "one UNKNOWN piece"},
      {"BytePieceMisspelt", pieces + proto_piece("<0xZZ>", 0, 6) + end, "is '<0xZZ>'"},
      {"BytePieceMissing", proto_piece("<unk>", 0, 2) + end, "<0x00> is missing"},
      {"Unigram", pieces + proto_bytes(2, proto_number(3, 1) + proto_number(35, 1)) + tiny_normalizer(),
       "byte-pair model"},
      {"NoByteFallback", pieces + proto_bytes(2, proto_number(3, 2)) + tiny_normalizer(), "byte_fallback"},
      {"SpaceAsSuffix",
       pieces + proto_bytes(2, proto_number(3, 2) + proto_number(35, 1) + proto_number(24, 1)) + tiny_normalizer(),
       "prefix"},
      {"CharacterMap", pieces + tiny_trainer() + normalizer(proto_bytes(2, "map") + proto_number(4, 0)),
       "identity normalizer"},
      {"NoDummyPrefix", pieces + tiny_trainer() + normalizer(proto_number(3, 0) + proto_number(4, 0)),
       "add_dummy_prefix"},
      {"RemovesSpaces", pieces + tiny_trainer() + normalizer(proto_number(3, 1)), "remove_extra_whitespaces"},
  };
  for (const auto& one : corruptions)
    EXPECT_THAT(nkat::testing::complaint_about(read, one.bytes), HasSubstr(one.message)) << one.name;
}

TEST(SentencePieceModel, RefusesEveryTruncationAndSurvivesBitFlips) {
  const std::string model = nkat::testing::tiny_model();
  EXPECT_EQ(nkat::testing::refused_truncations(read, model), static_cast<int>(model.size()));
  EXPECT_GT(nkat::testing::refused_bit_flips(read, model, model.size() - 120), 100);
}

}  // namespace
}  // namespace nkat::data
