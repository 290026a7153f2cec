#include "data/text/tokenizer_model.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"

namespace nkat::data {
namespace {

using ::testing::HasSubstr;

TokenizerModel small() {
  TokenizerModel model;
  model.source = "folder/tokenizer.json";
  model.pieces = {{"a"}, {"b"}, {"ab"}};
  model.merges = {{0, 1}};
  model.split_steps = {{.expression = "x"}};
  model.added_tokens = {{.content = "<s>", .id = 9}};
  return model;
}

TEST(TokenizerModel, HasAnotherHashWhereAnythingThatDecidesIdsDiffers) {
  using Change = void (*)(TokenizerModel&);
  const Change changes[] = {
      [](TokenizerModel&) {},
      [](TokenizerModel& m) { m.kind = VocabularyKind::kByteLevel; },
      [](TokenizerModel& m) { m.pieces[2].text = "ba"; },
      [](TokenizerModel& m) { m.pieces[2].type = PieceType::kByte; },
      [](TokenizerModel& m) {
        m.merges[0] = {1, 0};
      },
      [](TokenizerModel& m) { m.ignore_merges = true; },
      [](TokenizerModel& m) { m.nfc = true; },
      [](TokenizerModel& m) { m.spaces.prefix = SpaceRule::Prefix::kFirst; },
      [](TokenizerModel& m) { m.spaces.metaspace = true; },
      [](TokenizerModel& m) { m.spaces.split = true; },
      [](TokenizerModel& m) { m.split_steps[0].expression = "y"; },
      [](TokenizerModel& m) { m.split_steps[0].keep_gaps = false; },
      [](TokenizerModel& m) { m.split_steps[0].keep_matches = false; },
      [](TokenizerModel& m) { m.split_steps[0].prefix_space = true; },
      [](TokenizerModel& m) { m.added_tokens[0].single_word = true; },
      [](TokenizerModel& m) { m.added_tokens[0].strip_left = true; },
      [](TokenizerModel& m) { m.begin_tokens = {9}; },
      [](TokenizerModel& m) { m.end_tokens = {9}; },
      [](TokenizerModel& m) { m.merges_by_score = true; },
      [](TokenizerModel& m) { m.sha256 = "known"; },
  };
  std::set<std::string> hashes;
  for (const Change change : changes) {
    TokenizerModel model = small();
    change(model);
    EXPECT_TRUE(hashes.insert(tokenizer_identity(model)).second) << hashes.size();
  }
  TokenizerModel renamed = small();
  renamed.source = "elsewhere";
  EXPECT_TRUE(hashes.contains(tokenizer_identity(renamed)));
}

TEST(TokenizerModel, RefusesAddedTokensThatDoNotBelongToThePieces) {
  const auto complaint = [](const TokenizerModel& model) {
    return nkat::testing::message_of<FormatError>([&] { check_added_tokens(model); });
  };
  TokenizerModel model = small();
  EXPECT_EQ(complaint(model), "");
  model.added_tokens.insert(model.added_tokens.begin(), {.content = "<x>", .id = 1});
  EXPECT_THAT(complaint(model), HasSubstr("added token '<x>' has id 1, which tokenizer.json gives to 'b'"));
  model = small();
  model.begin_tokens = {9};
  EXPECT_EQ(complaint(model), "");
  model.end_tokens = {10};
  EXPECT_THAT(complaint(model), HasSubstr("id 10"));
}

}  // namespace
}  // namespace nkat::data
