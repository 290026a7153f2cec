#include "export/export_options.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/support/message_of.h"

namespace nkat::exporting {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;
using Flags = OptionList::Flags;

std::string complaint(OptionList& options, const Flags& flags) {
  return nkat::testing::message_of<ConfigError>([&] { options.apply(flags, nlohmann::ordered_json::object(), ""); });
}

// What `nkat export` says to these flags; "" if it takes them.
std::string refusal_as_given(const Flags& flags) {
  ExportOptions config;
  OptionList options;
  declare_options(options, config);
  return complaint(options, flags);
}
// The same with a model and an output beside them.
std::string refusal(Flags flags) {
  flags.insert({{"model-path", {"model"}}, {"output", {"out"}}});
  return refusal_as_given(flags);
}
std::string patch_refusal(Flags flags) {
  flags.insert({{"file", {"base.gguf"}}, {"adapter", {"adapter"}}, {"output", {"out.gguf"}}});
  ExportOptions config;
  OptionList options;
  declare_patch_options(options, config);
  return complaint(options, flags);
}

TEST(ExportOptions, AutoIsQ80InAFileAndF32InAFolder) {
  ExportOptions config;
  EXPECT_EQ(config.resolved_quantization(), "q8_0");
  config.format = ExportFormat::kHf;
  EXPECT_EQ(config.resolved_quantization(), "f32");
  config.quantization = "bf16";
  EXPECT_EQ(config.resolved_quantization(), "bf16");
}

TEST(ExportOptions, AFolderTakesTheThreeTypesOfSafetensors) {
  for (const char* type : {"auto", "f32", "f16", "bf16"})
    EXPECT_EQ(refusal({{"format", {"hf"}}, {"quantization", {type}}}), "") << type;
  for (const char* type : {"q8_0", "q4_0", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m", "q6_k"}) {
    EXPECT_EQ(refusal({{"quantization", {type}}}), "") << type;
    EXPECT_THAT(refusal({{"format", {"hf"}}, {"quantization", {type}}}),
                HasSubstr(std::string("--quantization ") + type + ": a Hugging Face folder holds f32, f16 or bf16"));
  }
}

TEST(ExportOptions, WhatBelongsToTheOtherFormatIsNamedAllAtOnce) {
  const Flags of_a_file = {{"context-length", {"64"}}, {"name", {"phi3"}}};
  const Flags of_a_folder = {{"max-shard-mib", {"5"}}};
  const auto in_folder = [](Flags flags) {
    flags.insert({"format", {"hf"}});
    return refusal(flags);
  };
  EXPECT_EQ(refusal(of_a_file), "");
  EXPECT_EQ(in_folder(of_a_folder), "");
  EXPECT_EQ(in_folder(of_a_file), "--context-length belongs to --format gguf\n--name belongs to --format gguf");
  EXPECT_EQ(refusal(of_a_folder), "--max-shard-mib belongs to --format hf");
}

TEST(ExportOptions, AnImportanceNeedsATypeOfFourToSixBits) {
  const auto weighted = [](const char* type) {
    return refusal({{"importance", {"a.jsonl"}}, {"importance-tokens", {"9"}}, {"quantization", {type}}});
  };
  for (const char* type : {"q4_0", "q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m", "q6_k"}) EXPECT_EQ(weighted(type), "");
  for (const char* type : {"f32", "f16"})
    EXPECT_THAT(weighted(type), HasSubstr(std::string(type) + " rounds each weight alone"));
}

TEST(ExportOptions, ALimitNeedsTheTestThatMeasuresItInBothCommands) {
  for (const auto& refusal_of : {refusal, patch_refusal}) {
    const auto with = [&](const char* test, const char* option, const char* value) {
      return refusal_of({{"self-test", {test}}, {option, {value}}});
    };
    for (const char* option : {"min-retention", "max-noise"}) {
      EXPECT_EQ(with("tensors", option, "all=1"), "") << option;
      EXPECT_EQ(with("off", option, "all=1"), std::string("--") + option + " needs --self-test full or tensors");
    }
    EXPECT_EQ(with("full", "maximum-kl", "1"), "");
    EXPECT_EQ(with("tensors", "maximum-kl", "1"), "--maximum-kl needs --self-test full");
  }
}

TEST(ExportOptions, AMalformedLimitIsOneComplaintAmongOthers) {
  EXPECT_THAT(refusal({{"max-noise", {"q4_K"}}, {"allow-base-mismatch", {}}}),
              AllOf(HasSubstr("--max-noise: expected TYPE=NUMBER"), HasSubstr("found 'q4_K'"),
                    HasSubstr("--allow-base-mismatch needs --adapter")));
  EXPECT_THAT(patch_refusal({{"min-retention", {"all=x"}}}), HasSubstr("--min-retention: expected TYPE=NUMBER"));
}

TEST(ExportOptions, WithAFileToPatchTheRulesOfAnExportDoNotHold) {
  const Flags patching = {{"patch-type", {"q8_0"}}, {"adapter", {"adapter"}}, {"output", {"out.gguf"}}};
  EXPECT_THAT(refusal_as_given(patching),
              AllOf(HasSubstr("--model-path is required"), HasSubstr("--patch-type belongs to --patch")));
  Flags with_file = patching;
  with_file.insert({"patch", {"base.gguf"}});
  EXPECT_EQ(refusal_as_given(with_file), "");
}

TEST(ExportOptions, PatchTypesAreThoseWithAnEncoder) {
  ExportOptions config;
  OptionList of_export, of_patch;
  declare_options(of_export, config);
  declare_patch_options(of_patch, config);
  for (const OptionList* list : {&of_export, &of_patch}) {
    const auto option = std::ranges::find(list->options(), "patch-type", &OptionList::Option::name);
    ASSERT_NE(option, list->options().end());
    EXPECT_THAT(option->info.choices,
                UnorderedElementsAre("f32", "f16", "bf16", "q4_0", "q5_0", "q5_1", "q8_0", "q4_k", "q5_k", "q6_k"));
  }
}

}  // namespace
}  // namespace nkat::exporting
