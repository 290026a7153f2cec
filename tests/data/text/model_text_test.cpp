#include "data/text/model_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/formats/gguf_writer.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_tokenizer.h"

namespace nkat::data {
namespace {

using gguf::GgufValue;
using nkat::testing::message_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ModelTextTest : public ::testing::Test {
 protected:
  // A byte-level vocabulary of three letters and an end token.
  fs::path write(const std::string& chat_template) const {
    gguf::GgufMetadata keys("test");
    keys.add("general.architecture", GgufValue::string("llama"));
    keys.add("tokenizer.ggml.model", GgufValue::string("gpt2"));
    keys.add("tokenizer.ggml.pre", GgufValue::string("gpt-2"));
    keys.add("tokenizer.ggml.tokens", GgufValue::strings(std::vector<std::string>{"a", "b", "ab", "<|im_end|>"}));
    keys.add("tokenizer.ggml.token_type", GgufValue::numbers<std::int32_t>(std::vector<std::int32_t>{1, 1, 1, 3}));
    keys.add("tokenizer.ggml.merges", GgufValue::strings(std::vector<std::string>{"a b"}));
    keys.add("tokenizer.ggml.eos_token_id", GgufValue::number<std::uint32_t>(3));
    if (!chat_template.empty()) keys.add("tokenizer.chat_template", GgufValue::string(chat_template));
    const fs::path path = folder_.path() / "x.gguf";
    gguf::write_gguf(path, keys, {}, [](const auto&, const auto&) {});
    return path;
  }
  const nkat::testing::TemporaryFolder folder_;
};

TEST_F(ModelTextTest, AFilesTokenizerIsThatOfItsKeys) {
  const Tokenizer tokenizer(write(""));
  EXPECT_THAT(tokenizer.encode("abb<|im_end|>", AddedTokens::kControl), ElementsAre(2, 1, 3));
}

TEST_F(ModelTextTest, AFilesTemplateIsThatOfItsKeysOrTheDefault) {
  EXPECT_EQ(open_chat_template(write("")).name(), "Phi-3.5");
  const ChatTemplate own = open_chat_template(write("{{ messages[0]['content'] + eos_token }}"));
  EXPECT_EQ(own.render({{.role = Role::kUser, .content = "hello"}}, false), "hello<|im_end|>");
}

TEST_F(ModelTextTest, SpecialTokensGoByTheirNamesInAFolder) {
  const GgufText text = read_gguf_text(write("x"));
  EXPECT_THAT(text.special_tokens, ElementsAre(std::pair<const std::string, std::string>("eos_token", "<|im_end|>")));
  EXPECT_EQ(text.chat_template, "x");
}

TEST_F(ModelTextTest, AFolderIsReadAsSuch) {
  const fs::path folder = nkat::testing::write_tiny_tokenizer(folder_);
  EXPECT_EQ(open_chat_template(folder).name(), "Phi-3.5");
}

TEST_F(ModelTextTest, AFileThatIsNoGgufIsRefused) {
  EXPECT_THAT(message_of<FormatError>([&] { open_chat_template(folder_.write("x.gguf", "{}")); }), HasSubstr("x.gguf"));
}

}  // namespace
}  // namespace nkat::data
