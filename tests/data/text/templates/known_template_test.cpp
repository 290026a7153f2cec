#include "data/text/templates/known_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nkat::data {
namespace {

const std::string kPhi35 = default_template().source;

TEST(KnownTemplate, IsRecognizedInEverySpelling) {
  EXPECT_STREQ(recognize_template(kPhi35)->name, "Phi-3.5");
  std::string spaced = kPhi35;
  // Behind a block; behind }} white space would be output.
  for (std::size_t at = 0; (at = spaced.find("%}{%", at)) != std::string::npos; at += 4) spaced.insert(at + 2, "\n  ");
  EXPECT_STREQ(recognize_template(spaced + "\n")->name, "Phi-3.5");
  EXPECT_EQ(canonical_template(spaced), canonical_template(kPhi35));
}

TEST(KnownTemplate, IsNoneOfThoseThatRenderOtherwise) {
  std::string other_role = kPhi35;
  other_role.replace(other_role.find("<|user|>"), 8, "<|usr|>");
  std::string space_in_text = kPhi35;
  space_in_text.replace(space_in_text.find("<|user|>"), 8, "<|user|> ");
  for (const std::string& source :
       {std::string("{{ messages }}"), other_role, space_in_text, "x" + kPhi35, kPhi35 + kPhi35, std::string()})
    EXPECT_EQ(recognize_template(source), nullptr) << source;
}

TEST(KnownTemplate, SaysWhichBytesCameFromWhichTurn) {
  const std::vector<Turn> turns = {{Role::kSystem, ""}, {Role::kUser, "hi"}, {Role::kAssistant, "yo"}};
  const RenderedConversation rendered = render(default_template(), turns, false, "<s>", "<|endoftext|>");
  EXPECT_EQ(rendered.text, "<|user|>\nhi<|end|>\n<|assistant|>\nyo<|end|>\n<|endoftext|>");
  ASSERT_EQ(rendered.parts.size(), 2u);
  EXPECT_EQ(rendered.parts[1].turn, 2u);
  EXPECT_EQ(rendered.text.substr(rendered.parts[1].bytes.begin, 2), "yo");
}

}  // namespace
}  // namespace nkat::data
