#include "data/text/tokenizer_files.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/tiny_tokenizer.h"

namespace nkat::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::string kJson =
    R"({"added_tokens":[{"id":0,"content":"<s>"}],"model":{"type":"BPE","vocab":{"<s>":0,"</s>":1,"a":2},"merges":[]},
        "pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},
        "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}],
                          "special_tokens":{"<s>":{"ids":[0]}}}})";

class TokenizerFiles : public ::testing::Test {
 protected:
  TokenizerModel read() { return read_tokenizer_model(folder_.path()); }
  std::string complaint() {
    return nkat::testing::message_of([&] { read(); });
  }
  nkat::testing::TemporaryFolder folder_;
};

TEST_F(TokenizerFiles, TakeTokenizerJsonBeforeTokenizerModel) {
  nkat::testing::write_tiny_tokenizer(folder_);
  EXPECT_TRUE(read().merges_by_score);
  folder_.write("tokenizer.json", kJson);
  const TokenizerModel model = read();
  EXPECT_FALSE(model.merges_by_score);
  EXPECT_EQ(model.kind, VocabularyKind::kByteLevel);
  EXPECT_EQ(model.sha256, "");  // tokenizer.model cuts otherwise
  folder_.write("tokenizer.model", "nonsense");
  EXPECT_EQ(read().pieces.size(), 3u);
}

TEST_F(TokenizerFiles, LetLlamasClassDecideWhatStandsAroundAText) {
  folder_.write("tokenizer.json", kJson);
  EXPECT_THAT(read().begin_tokens, ElementsAre(0));
  folder_.write("tokenizer_config.json", R"({"tokenizer_class":"PreTrainedTokenizerFast","add_bos_token":false})");
  EXPECT_THAT(read().begin_tokens, ElementsAre(0));
  folder_.write("tokenizer_config.json",
                R"({"tokenizer_class":"LlamaTokenizer","add_bos_token":false,"add_eos_token":true})");
  EXPECT_THAT(read().begin_tokens, ElementsAre());
  EXPECT_THAT(read().end_tokens, ElementsAre(1));
  folder_.write("tokenizer_config.json", R"({"tokenizer_class":"LlamaTokenizerFast","bos_token":{"content":"</s>"}})");
  EXPECT_THAT(read().begin_tokens, ElementsAre(1));
  folder_.write("tokenizer_config.json", R"({"tokenizer_class":"LlamaTokenizer","bos_token":"<none>"})");
  EXPECT_THAT(complaint(),
              HasSubstr("a token of the vocabulary as 'bos_token', which add_bos_token needs, found \"<none>\""));
}

TEST_F(TokenizerFiles, NameWhatIsMissing) {
  EXPECT_THAT(complaint(), HasSubstr("expected tokenizer.json or a sentencepiece tokenizer.model, found none"));
  folder_.write("vocab.json", "{}");
  EXPECT_THAT(complaint(), HasSubstr("found another tokenizer's files; save it by"));
}

TEST(TokenizerCheckTexts, AreTwoHundredDifferentTexts) {
  const std::vector<std::string> texts = tokenizer_check_texts();
  EXPECT_EQ(texts.size(), 200u);
  EXPECT_GT(std::set<std::string>(texts.begin(), texts.end()).size(), 190u);
}

}  // namespace
}  // namespace nkat::data
