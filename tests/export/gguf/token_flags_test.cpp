#include "export/gguf/token_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"

namespace nkat::exporting {
namespace {

using data::AddedToken;
using ::testing::ElementsAre;

const AddedToken kUser = {.content = "<|user|>", .id = 5, .special = true, .strip_right = true};

TEST(TokenFlags, ATokenOfTheUserIsStrippedLikeARoleToken) {
  const AddedToken kept = {.content = "<kept>", .id = 6},
                   stripped = {.content = "<gone>", .id = 7, .strip_right = true};
  const TokenFlags with_role = compare_flags({kUser, kept, stripped}, /*normalizes=*/true);
  EXPECT_TRUE(with_role.strips_after_special);
  EXPECT_THAT(with_role.stripped_otherwise, ElementsAre("<kept>"));
  const TokenFlags alone = compare_flags({kept, stripped}, /*normalizes=*/true);
  EXPECT_FALSE(alone.strips_after_special);
  EXPECT_THAT(alone.stripped_otherwise, ElementsAre("<gone>"));
}

TEST(TokenFlags, WhiteSpaceBeforeATokenStaysInLlamaCpp) {
  const AddedToken left = {.content = "<left>", .id = 6, .strip_left = true, .strip_right = true};
  EXPECT_THAT(compare_flags({kUser, left}, true).stripped_otherwise, ElementsAre("<left>"));
}

TEST(TokenFlags, ANormalizedTokenIsFoundElsewhereWhereThereIsANormalizer) {
  const AddedToken plain = {.content = "<plain>", .id = 6, .special = true, .strip_right = true, .normalized = true};
  EXPECT_THAT(compare_flags({kUser, plain}, true).matched_otherwise, ElementsAre("<plain>"));
  EXPECT_THAT(compare_flags({kUser, plain}, true).stripped_otherwise, ElementsAre());
  EXPECT_THAT(compare_flags({kUser, plain}, false).matched_otherwise, ElementsAre());
}

TEST(TokenFlags, TokenizerJsonSaysWhetherThereIsANormalizer) {
  const nkat::testing::TemporaryFolder folder;
  EXPECT_TRUE(has_normalizer(folder.path()));
  for (const auto& [text, found] : {std::pair{R"({"normalizer": null})", false},
                                    {R"({"normalizer": {"type": "NFC"}})", true},
                                    {"{}", false},
                                    {"[]", false}}) {
    folder.write("tokenizer.json", text);
    EXPECT_EQ(has_normalizer(folder.path()), found) << text;
  }
}

}  // namespace
}  // namespace nkat::exporting
