#include "data/text/sentencepiece_model.h"

#include <cmath>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
      {"WebPage", "<!doctype html>", "expected a sentencepiece model, found a web page; download it again"},
      {"NoPieces", end, "no pieces"},
      {"FieldNumberZero", std::string("\x02\x00", 2), "a field of number 0"},
      {"GroupWireType", "\x0B", "wire type 3"},
      {"LengthBeyondFile", "\x0A\x7Fxx", "at byte 2: a field: expected 127 bytes, found 2"},
      {"LengthOverflows", "\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01xx", "bytes, found 2"},
      {"EndlessVarint", "\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", "expected a number of at most 64 bits"},
      {"CutFixed", std::string("\x15\x00\x00", 3), "expected 4 bytes, found 2"},
      {"CutVarint", "\x08\xFF", "at byte 2: a number: expected 1 byte, found 0"},
      {"CutFixed64", "\x11xyz", "a number: expected 8 bytes, found 3"},
      {"WireTypeSeven", "\x0F", "wire type 7"},
      {"PieceWithoutText", proto_bytes(1, proto_number(3, 1)) + pieces + end,
       "piece 0: expected 1 to 65536 bytes, found 0"},
      {"PieceLongerThanItsField",
       proto_bytes(1,
                   "\x0A\x05"
                   "abc") +
           pieces + end,
       "at byte 4: a field: expected 5 bytes, found 3"},
      {"PieceOfAnotherWireType", proto_bytes(1, proto_number(1, 5)) + pieces + end,
       "piece 0: expected 1 to 65536 bytes, found 0"},
      {"PieceOverlong", pieces + proto_piece("\xC0\x80", 0, 1) + end, "not UTF-8"},
      {"PieceSurrogate", pieces + proto_piece("\xED\xA0\x80", 0, 1) + end, "not UTF-8"},
      {"ScoreInfinite", pieces + proto_piece("zz", INFINITY, 1) + end, "no finite score"},
      {"PieceTypeHuge", pieces + proto_piece("zz", 0, -1) + end, "has type 18446744073709551615"},
      {"LongPieceTwice",
       pieces + proto_piece(std::string(60'000, 'a'), 0, 1) + proto_piece(std::string(60'000, 'a'), 0, 1) + end,
       "duplicate piece 'aaa"},
      {"EmptyPiece", proto_piece("", 0, 1) + pieces + end, "expected 1 to 65536 bytes, found 0"},
      {"LongPiece", proto_piece(std::string(65'537, 'a'), 0, 1) + pieces + end,
       "expected 1 to 65536 bytes, found 65537"},
      {"PieceNotUtf8", pieces + proto_piece("\xFF", 0, 1) + end, "not UTF-8"},
      {"PieceWithNul", pieces + proto_piece(std::string_view("a\0b", 3), 0, 1) + end, "not UTF-8"},
      {"PieceTypeSeven", pieces + proto_piece("zz", 0, 7) + end, "has type 7"},
      {"PieceTypeZero", pieces + proto_piece("zz", 0, 0) + end, "has type 0"},
      {"ScoreNotFinite", pieces + proto_piece("zz", NAN, 1) + end, "no finite score"},
      {"PieceTwice", pieces + proto_piece("he", 0, 1) + end, "duplicate piece 'he'"},
      {"SecondUnknown", pieces + proto_piece("zz", 0, 2) + end, "one UNKNOWN piece"},
      {"BytePieceMisspelt", pieces + proto_piece("<0xZZ>", 0, 6) + end, "found '<0xZZ>'"},
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

TEST(SentencePieceModel, RefusesMorePiecesThanTheLimit) {
  std::string many = tiny_pieces();
  for (int i = 0; i <= 1 << 19; ++i) many += proto_bytes(1, proto_bytes(1, fmt::format("#{}", i)));
  EXPECT_THAT(nkat::testing::complaint_about(read, many), HasSubstr("more than 524288 pieces"));
}

}  // namespace
}  // namespace nkat::data
