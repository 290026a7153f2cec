#include "export/export_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace nkat::exporting {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// One layer of each status: 0 kept, 1 weak, 2 lost, 3 unchanged.
ExportReport example() {
  ExportReport report;
  report.output = "out/m y.gguf";
  report.report_file = "out/export.json";
  report.modelfile = "out/Modelfile";
  report.format = "gguf";
  report.quantization = "q4_0";
  report.bytes = 3 << 20;
  report.in_place = true;
  report.context_length = report.served_context = 4096;
  report.tensors = {{"f32", 5}, {"q4_0", 8}};
  report.fallbacks = {"ffn_down.weight: q4_K as q5_0, rows of 96 (6)"};
  report.provenance = {.base_sha256 = "base", .adapter_sha256 = "adapter", .first_layer = 0, .gates = {0.5f, 0.25f}};
  report.self_test = "full";
  report.found.retention = {{.layer = 0, .type = "q4_0", .change = 0.5, .retained = 1.01, .noise = 0.2},
                            {.layer = 1, .type = "q4_0", .change = 0.5, .retained = 0.8, .noise = 0.2},
                            {.layer = 2, .type = "q4_0", .change = 0.1, .retained = 0.3, .noise = 9.1},
                            {.layer = 3, .type = "q4_0", .change = 0}};
  report.found.logits = LogitComparison{.prompts = 4,
                                        .tokens = 60,
                                        .mean_kl = 0.01,
                                        .largest_kl = 0.1,
                                        .top1_agreement = 0.75,
                                        .base_mean_kl = 0.02,
                                        .maximum_kl = 1};
  return report;
}

std::string refusal(const ExportReport& report) {
  try {
    require_retention(report);
  } catch (const CheckError& error) {
    EXPECT_EQ(error.exit_code(), ExitCode::kCheckFailed);
    return error.what();
  }
  return "";
}

TEST(ExportReport, LostLayersEndInACheckErrorThatNamesWhatWouldAcceptThem) {
  EXPECT_THAT(refusal(example()), AllOf(HasSubstr("out/m y.gguf"), HasSubstr("lost in layers 2:"),
                                        HasSubstr("stored as q4_0"), HasSubstr("a finer one with --quantization"),
                                        HasSubstr("--min-retention q4_0=0.3 --max-noise q4_0=9.1")));
  ExportReport patch = example();
  patch.format = "gguf-patch";
  EXPECT_THAT(refusal(patch), HasSubstr("a finer one with --patch-type"));
  ExportReport sound = example();
  sound.found.retention.erase(sound.found.retention.begin() + 2);
  EXPECT_EQ(refusal(sound), "");
  EXPECT_EQ(refusal(ExportReport{}), "");
}

TEST(ExportReport, TheJsonHoldsTheFiguresOfEachLayer) {
  const auto json = report_json(example());
  EXPECT_EQ(json["lost_layers"], nlohmann::ordered_json({2}));
  ASSERT_EQ(json["ffn_down"].size(), 4u);
  EXPECT_EQ(json["ffn_down"][1]["survived"], 0.8);
  EXPECT_EQ(json["ffn_down"][1]["minimum_survived"], 0.5);
  std::vector<std::string> statuses;
  for (const auto& layer : json["ffn_down"]) statuses.push_back(layer["fate"].get<std::string>());
  EXPECT_EQ(statuses, (std::vector<std::string>{"kept", "weak", "lost", "unchanged"}));
  EXPECT_EQ(json["logits"]["nearer_than_base"], true);
  EXPECT_EQ(json["adapter"]["gates"], nlohmann::ordered_json({0.5, 0.25}));
  EXPECT_TRUE(json["adapter"]["training_step"].is_null());
  EXPECT_TRUE(json["importance"].is_null());
}

TEST(ExportReport, WhatIsAbsentIsNull) {
  const auto json = report_json(ExportReport{});
  for (const char* key : {"modelfile", "context_length", "served_context", "importance", "adapter", "logits"})
    EXPECT_TRUE(json[key].is_null()) << key;
  EXPECT_EQ(json["in_place"], false);
}

TEST(ExportReport, TheTextSaysWhatWasWrittenLostAndHowToServeIt) {
  const std::string text = report_text(example());
  EXPECT_THAT(text, HasSubstr("out/m y.gguf: 3 MiB of q4_0, 5 f32, 8 q4_0 tensors"));
  EXPECT_THAT(text, HasSubstr("LOST in layers 2, stored as q4_0"));
  EXPECT_THAT(text, HasSubstr("weak in layers 1:"));
  EXPECT_THAT(text, HasSubstr("fallback: ffn_down.weight: q4_K as q5_0, rows of 96 (6)"));
  EXPECT_THAT(text, HasSubstr("llama-server -m 'out/m y.gguf' -c 4096"));
  EXPECT_THAT(text, HasSubstr("koboldcpp --model 'out/m y.gguf' --contextsize 3840    (it adds up to 128 of its own)"));
  EXPECT_THAT(text, Not(HasSubstr("unchanged")));
  EXPECT_THAT(text, Not(HasSubstr("NO NEARER")));
}

TEST(ExportReport, TheTextSaysThatAFileIsNoNearerThanItsBase) {
  ExportReport report = example();
  report.found.logits->base_mean_kl = 0.005;
  EXPECT_THAT(report_text(report), HasSubstr("NO NEARER"));
}

TEST(ExportReport, AFileThatFailedACheckIsNotServed) {
  ExportReport report = example();
  report.in_place = false;
  EXPECT_THAT(report_text(report), AllOf(HasSubstr("NOT PUBLISHED"), Not(HasSubstr("llama-server"))));
}

TEST(ExportReport, AFailedCheckWaitsForTheReportAndOtherErrorsDoNot) {
  EXPECT_FALSE(failed_check([] {}).has_value());
  const auto failed = failed_check([] { throw CheckError("too far off"); });
  ASSERT_TRUE(failed.has_value());
  EXPECT_STREQ(failed->what(), "too far off");
  EXPECT_THROW(failed_check([] { throw DeviceError("full"); }), DeviceError);
}

TEST(ExportReport, VerificationKeepsItsFindingsAndRefusesPredictionsTooFarOff) {
  ExportReport report;
  SelfTest found = example().found;
  found.logits->mean_kl = 2;
  ExportOptions options;
  EXPECT_THROW(test_written(options, report, [&] { return found; }), CheckError);
  EXPECT_EQ(report.found.retention.size(), 4u);
  ExportReport untested;
  options.self_test = SelfTestScope::kOff;
  EXPECT_NO_THROW(test_written(options, untested, [&] { return found; }));
  EXPECT_TRUE(untested.found.retention.empty());
}

}  // namespace
}  // namespace nkat::exporting
