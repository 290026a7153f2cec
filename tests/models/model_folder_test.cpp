#include "models/model_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tiny_tokenizer.h"

namespace nkat::models {
namespace {

using namespace nkat::testing;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ModelFolderTest : public ::testing::Test {
 protected:
  TextProcessor text_with(std::int64_t vocab_size) {
    config_.vocab_size = vocab_size;
    return load_tokenizer_and_template(write_tiny_tokenizer(folder_), config_);
  }
  const fs::path& write_weights() const {
    folder_.write("model.safetensors", serialized(tiny_tensors(config_)));
    return folder_.path();
  }

  TemporaryFolder folder_;
  ModelConfig config_ = tiny_config();
};

TEST_F(ModelFolderTest, GivesTheFoldersTokenizerAndTemplate) {
  const TextProcessor text = text_with(311);  // the largest id is 310
  EXPECT_THAT(text.tokenizer.encode("hello", data::AddedTokens::kText), ElementsAre(tiny_id("\u2581hello")));
  EXPECT_EQ(text.chat_template.name(), "Phi-3.5");
}

TEST_F(ModelFolderTest, AllowsEmbeddingsWithoutATokenButNoTokenWithoutAnEmbedding) {
  EXPECT_EQ(text_with(320).tokenizer.vocabulary_size(), 311);
  EXPECT_THAT(message_of<FormatError>([&] { text_with(310); }),
              HasSubstr(folder_.path().string() + ": the tokenizer has 311 ids, vocab_size in config.json is 310"));
}

TEST_F(ModelFolderTest, AnAnswerEndsWhereTheTemplateClosesItsTurn) {
  const TextProcessor text = text_with(311);
  config_.end_tokens = {310, 300};
  end_answers_with_turns(config_, text.chat_template, text.tokenizer);
  EXPECT_THAT(config_.end_tokens, ElementsAre(300, 307, 310));  // <|end|> is 307
}

TEST_F(ModelFolderTest, OpensTheDecoderOfTheStoredWeights) {
  const Decoder opened = open_decoder(write_weights(), config_, {});
  const PackedBatch batch{.tokens = at::arange(20), .lengths = {9, 11}};
  EXPECT_TRUE(at::equal(opened.hidden(batch, {}), tiny_decoder(config_, at::kFloat).hidden(batch, {})));
}

TEST_F(ModelFolderTest, OpensItInTheTypeAndFormatAskedFor) {
  const Decoder opened =
      open_decoder(write_weights(), config_, {.dtype = at::kBFloat16, .forms = formats_of(BaseFormat::kAggressive)});
  EXPECT_EQ(opened.dtype(), at::kBFloat16);
  EXPECT_TRUE(std::holds_alternative<layers::Int8Matrix>(opened.layer_weights(1).down.form()));
  EXPECT_TRUE(std::holds_alternative<layers::Nf4Matrix>(opened.layer_weights(1).gate_up.form()));
}

}  // namespace
}  // namespace nkat::models
