#include "data/text/tokenizer_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/mutations.h"

namespace nkat::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kSteps =
    R"("normalizer":null,"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},"decoder":{"type":"ByteLevel"})";

std::string file(const std::string& model, const std::string& rest = kSteps) {
  return R"({"model":)" + model + "," + rest + "}";
}

std::string complaint(const std::string& text) {
  return nkat::testing::message_of<FormatError>([&] { parse_tokenizer_json(text, "t.json"); });
}

TEST(TokenizerJson, ReadsPiecesAndMergesInBothSpellings) {
  for (const char* merges : {R"(["a b","ab c"])", R"([["a","b"],["ab","c"]])"}) {
    const TokenizerModel model = parse_tokenizer_json(
        file(std::string(R"({"type":"BPE","vocab":{"a":0,"b":1,"c":2,"ab":3,"abc":5},"ignore_merges":true,"merges":)") +
             merges + "}"),
        "t.json");
    EXPECT_EQ(model.source, "t.json");
    EXPECT_EQ(model.kind, VocabularyKind::kByteLevel);
    EXPECT_TRUE(model.ignore_merges);
    ASSERT_EQ(model.pieces.size(), 6u);
    EXPECT_EQ(model.pieces[5].text, "abc");
    EXPECT_EQ(model.pieces[4].text, "");
    ASSERT_EQ(model.merges.size(), 2u);
    EXPECT_EQ(model.merges[1].left, 3);
    EXPECT_EQ(model.merges[1].right, 2);
    EXPECT_FALSE(model.strip_leading_space);
  }
}

TEST(TokenizerJson, ReadsAddedTokensAndTheTypesOfByteFallbackPieces) {
  const TokenizerModel model = parse_tokenizer_json(
      R"({"added_tokens":[{"id":9,"content":"<x>","single_word":true,"lstrip":true,"special":true}],
          "model":{"byte_fallback":true,"unk_token":"<unk>","vocab":{"<unk>":0,"<0x0A>":1,"a":2},"merges":[]},
          "pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false}})",
      "t.json");
  EXPECT_EQ(model.kind, VocabularyKind::kByteFallback);
  EXPECT_EQ(model.pieces[0].type, PieceType::kUnknown);
  EXPECT_EQ(model.pieces[1].type, PieceType::kByte);
  EXPECT_EQ(model.pieces[2].type, PieceType::kNormal);
  ASSERT_EQ(model.added_tokens.size(), 1u);
  EXPECT_TRUE(model.added_tokens[0].single_word && model.added_tokens[0].strip_left && model.added_tokens[0].special);
}

TEST(TokenizerJson, RefusesByNameWhatWouldGiveOtherIds) {
  const struct {
    const char* name;
    std::string text;
    const char* message;
  } cases[] = {
      {"NoModel", "{}", "expected an object 'model' with an object 'vocab', found none"},
      {"ModelIsText", R"({"model":"x"})", "key 'model': expected an object"},
      {"Unigram", file(R"({"type":"Unigram","vocab":[["a",-1.5]]})"), "found Unigram"},
      {"WordPiece", file(R"({"type":"WordPiece","vocab":{"a":0}})"), "found WordPiece"},
      {"VocabIsList", file(R"({"vocab":[["a",0]]})"), "found a list"},
      {"NoVocab", file(R"({"vocab":{}})"), "'vocab'"},
      {"Dropout", file(R"({"vocab":{"a":0},"dropout":0.1})"), "model.dropout: expected none, found 0.1"},
      {"Prefix", file(R"({"vocab":{"a":0},"continuing_subword_prefix":"##"})"), "model.continuing_subword_prefix"},
      {"Suffix", file(R"({"vocab":{"a":0},"end_of_word_suffix":"</w>"})"), "model.end_of_word_suffix"},
      {"IdIsText", file(R"({"vocab":{"a":"0"}})"), "'a': expected an integer id"},
      {"NegativeId", file(R"({"vocab":{"a":-1}})"), "expected an id from 0"},
      {"HugeId", file(R"({"vocab":{"a":16777216}})"), "expected an id from 0"},
      {"SameId", file(R"({"vocab":{"a":0,"b":0}})"), "'a' and 'b' both have the id 0"},
      {"SamePiece", file(R"({"vocab":{"a":0,"a":1}})"), "duplicate piece 'a'"},
      {"EmptyPiece", file(R"({"vocab":{"":0}})"), "id 0"},
      {"MergeOfThree", file(R"({"vocab":{"a":0},"merges":["a a a"]})"), "merge 0"},
      {"MergeIsNumber", file(R"({"vocab":{"a":0},"merges":[5]})"), "merge 0"},
      {"MergeOfNoPiece", file(R"({"vocab":{"a":0},"merges":["a b"]})"), "'b' is no piece"},
      {"UnknownToken", file(R"({"vocab":{"a":0},"unk_token":"a"})"), "for the byte 0x00"},
      {"IgnoredMerges",
       R"({"model":{"byte_fallback":true,"ignore_merges":true,"vocab":{"a":0}},"pre_tokenizer":{"type":"Metaspace","replacement":"▁"}})",
       "ignore_merges"},
  };
  for (const auto& one : cases) EXPECT_THAT(complaint(one.text), HasSubstr(one.message)) << one.name;
}

TEST(TokenizerJson, SurvivesDamagedFiles) {
  const std::string whole =
      file(R"({"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]})",
           kSteps + R"(,"added_tokens":[{"id":9,"content":"<x>"}],"post_processor":{"type":"TemplateProcessing",
      "single":[{"SpecialToken":{"id":"<x>"}},{"Sequence":{"id":"A"}}],"special_tokens":{"<x>":{"ids":[9]}}})");
  const nkat::testing::Reader read = [](const std::string& text) { parse_tokenizer_json(text, "t.json"); };
  EXPECT_EQ(nkat::testing::complaint_about(read, whole), "");
  EXPECT_EQ(nkat::testing::refused_truncations(read, whole), static_cast<int>(whole.size()));
  EXPECT_EQ(nkat::testing::survive_mutations(read, whole, 3'000).tried, 3'000);
}

}  // namespace
}  // namespace nkat::data
