#include "export/patch/patch_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "export/merge/export_source.h"

namespace nkat::exporting {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

PatchReport example() {
  PatchReport report{.base = "base.gguf",
                     .merged_from = kMergedFromFile,
                     .paired_by = kPairedByWeights,
                     .replaced = {"ffn_down.weight: q4_1 to q5_K (6)"}};
  report.report.provenance = {.base_sha256 = "abc", .adapter_sha256 = "def"};
  return report;
}

TEST(PatchReport, SaysWhatIsReplacedAndThatTheRestIsUntouched) {
  const std::string text = report_text(example());
  EXPECT_THAT(text, HasSubstr("all others bit for bit"));
  EXPECT_THAT(text, HasSubstr("  ffn_down.weight: q4_1 to q5_K (6)\n"));
  EXPECT_THAT(text, HasSubstr("serve it as you served base.gguf"));
  EXPECT_THAT(text, Not(HasSubstr("nothing proves")));
}

TEST(PatchReport, SaysThatAQuantizedBaseWasRoundedTwice) {
  PatchReport report = example();
  EXPECT_FALSE(report_json(report).contains("rounded_twice"));  // a patch
  report.is_export = report.encoded_anew = report.rounded_twice = true;
  EXPECT_THAT(report_text(report), HasSubstr("every weight was rounded twice"));
  EXPECT_THAT(report_text(report), Not(HasSubstr("bit for bit:")));
  EXPECT_EQ(report_json(report)["rounded_twice"], true);
}

TEST(PatchReport, SaysWhereNothingProvesThePair) {
  PatchReport report = example();
  report.paired_by = kPairedByNothing;
  EXPECT_THAT(report_text(report), HasSubstr("nothing proves that the adapter belongs to this file"));
  report.report.provenance.adapter_sha256 = "";  // the base alone
  EXPECT_THAT(report_text(report), Not(HasSubstr("nothing proves")));
}

}  // namespace
}  // namespace nkat::exporting
