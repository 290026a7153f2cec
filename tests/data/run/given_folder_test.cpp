#include "data/run/given_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace nkat::data {
namespace {

using nkat::testing::message_of;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kOurs = R"({"peft_type": "NKAT_SO8T", "base_model_name_or_path": "models/phi"})";
constexpr const char* kLora = R"({"peft_type": "LORA", "base_model_name_or_path": "microsoft/Phi-3.5-mini-instruct"})";

class GivenFolderTest : public ::testing::Test {
 protected:
  // A file with the folders above it; returns its path.
  fs::path put(const std::string& name, const std::string& text = "{}") const {
    fs::create_directories((folder_.path() / name).parent_path());
    return folder_.write(name, text);
  }
  fs::path at(const std::string& name) const { return folder_.path() / name; }
  std::string as_model(const std::string& name, const char* needed = "config.json") const {
    return message_of<DataError>([&] { require_model_folder(at(name), needed); });
  }
  std::string as_adapter(const std::string& name) const {
    return message_of<DataError>([&] { find_adapter_folder(at(name)); });
  }
  nkat::testing::TemporaryFolder folder_;
};

TEST_F(GivenFolderTest, AModelFolderNeedsWhatIsAskedFor) {
  put("model/tokenizer.json");
  EXPECT_EQ(as_model("model", ""), "");
  EXPECT_THAT(as_model("model"),
              EndsWith("model: expected a model folder, with config.json in it, found tokenizer.json"));
  put("model/config.json");
  EXPECT_EQ(as_model("model"), "");
}

TEST_F(GivenFolderTest, WhatLiesInTheModelsPlaceIsNamedWithWhatToGive) {
  put("file/config.json");
  EXPECT_THAT(as_model("file/config.json"),
              AllOf(HasSubstr("found a file; give the folder that it is in: "), EndsWith("file")));
  put("ours/adapter_config.json", kOurs);
  EXPECT_THAT(as_model("ours"),
              HasSubstr("found an adapter; give it as --adapter, and its base (models/phi) as --model-path"));
  put("lora/adapter_config.json", kLora);
  EXPECT_THAT(as_model("lora", ""), HasSubstr("found an adapter of peft (LORA); merge it into its base "
                                              "(microsoft/Phi-3.5-mini-instruct) with peft's merge_and_unload()"));
  put("run/config.json");
  put("run/metrics.jsonl");
  EXPECT_THAT(as_model("run"), HasSubstr("found a run of nkat train; give it as --adapter"));
  put("damaged/adapter_config.json", "{");
  EXPECT_THAT(as_model("damaged"), HasSubstr("found an adapter; give it as --adapter, and its base as --model-path"));
}

TEST_F(GivenFolderTest, AModelBesideAnAdapterOrACheckpointFolderIsAModel) {
  for (const char* file : {"both/model.safetensors", "both/config.json", "both/metrics.jsonl"}) put(file);
  put("both/adapter_config.json", kLora);
  EXPECT_EQ(as_model("both"), "");
}

TEST_F(GivenFolderTest, OfAFolderOfGgufFilesOneIsToBeNamed) {
  put("files/b.gguf");
  put("files/a.gguf");
  EXPECT_THAT(as_model("files"),
              EndsWith("found a.gguf, b.gguf; name the GGUF file itself: " + at("files/a.gguf").string()));
}

TEST_F(GivenFolderTest, AModelFurtherBelowIsFound) {
  put("cache/snapshots/3145e03/config.json");
  EXPECT_THAT(as_model("cache"), EndsWith("cache/snapshots/3145e03 is one"));
  put("trainer/checkpoint-50/config.json");
  put("trainer/checkpoint-70/config.json");
  EXPECT_THAT(as_model("trainer"), EndsWith("trainer/checkpoint-70 is one"));
  fs::create_directories(at("empty"));
  EXPECT_THAT(as_model("empty"), EndsWith("found an empty folder"));
}

TEST_F(GivenFolderTest, ANameOnTheHubIsToBeDownloaded) {
  for (const char* name : {"microsoft/Phi-3.5-mini-instruct", "https://huggingface.co/microsoft/Phi-3.5-mini-instruct",
                           "microsoft/Phi-3.5-mini-instruct/"}) {
    EXPECT_THAT(hub_advice(name),
                HasSubstr("(hf download microsoft/Phi-3.5-mini-instruct --local-dir Phi-3.5-mini-instruct)"));
  }
  put("here/other");
  for (const std::string& name :
       {std::string("phi"), std::string("./a/b"), std::string("../b"), std::string("/a/b"), std::string("a/b/c"),
        std::string("a b/c"), std::string(), std::string("/"), (at("here") / "none").string()}) {
    EXPECT_EQ(hub_advice(name), "") << name;
  }
  EXPECT_THAT(message_of<DataError>([] { require_model_folder("some-one/some-model"); }),
              HasSubstr("expected a model folder, found no folder of that name; a name on the Hub?"));
  EXPECT_THAT(message_of<DataError>([] { find_adapter_folder("some-one/some-adapter"); }), HasSubstr("hf download"));
}

TEST_F(GivenFolderTest, ANameOnTheHubMayHaveARevisionAFileOrAnAddress) {
  const struct {
    const char* given;
    const char* advice;
  } known[] = {
      {"some/model@v2", "(hf download some/model --revision v2 --local-dir model) and give that folder"},
      {"hf://some/model", "(hf download some/model --local-dir model) and give that folder"},
      {"http://huggingface.co/some/model", "(hf download some/model --local-dir model)"},
      {"https://hf.co/some/model?x=1", "(hf download some/model --local-dir model)"},
      {"https://huggingface.co/some/model/tree/main", "(hf download some/model --local-dir model)"},
      {"https://huggingface.co/some/model/tree/v2", "(hf download some/model --revision v2 --local-dir model)"},
      {"https://huggingface.co/some/model/resolve/main/m.gguf",
       "(hf download some/model m.gguf --local-dir model) and give that file: model/m.gguf"},
      {"some/model-GGUF/m.gguf",
       "(hf download some/model-GGUF m.gguf --local-dir model-GGUF) and give that file: model-GGUF/m.gguf"},
      {"hf.co/some/model:Q4_K_M", "(hf download some/model --local-dir model)"},
      {"~/models/phi", "the shell left the ~ as it is"},
      {"file:///a/b", "give the path alone: /a/b"},
  };
  for (const auto& one : known) EXPECT_THAT(hub_advice(one.given), HasSubstr(one.advice)) << one.given;
  for (const char* none : {"models/m.gguf", "a/b@", "https://huggingface.co/", "@/b", "a/b/c/d", "a/:x"})
    EXPECT_THAT(hub_advice(none), Not(HasSubstr("--revision"))) << none;
  EXPECT_THAT(as_model("m.gguf"), EndsWith("m.gguf: expected a GGUF file, found no file of that name"));
}

TEST_F(GivenFolderTest, AnAdapterOfPeftBesideTheWeightsIsNamed) {
  const auto said = [&](const char* config) {
    put("both/adapter_config.json", config);
    ::testing::internal::CaptureStderr();
    warn_of_adapter_beside(at("both"));
    return ::testing::internal::GetCapturedStderr();
  };
  EXPECT_THAT(said(kLora), HasSubstr("an adapter of peft (LORA) lies beside the weights and isn't applied"));
  EXPECT_EQ(said(kOurs), "");
  EXPECT_EQ(said("{"), "");
}

TEST_F(GivenFolderTest, AnAdapterOrCheckpointIsItself) {
  put("a/adapter_config.json", kOurs);
  EXPECT_EQ(find_adapter_folder(at("a")), at("a"));
  put("lora/adapter_config.json", kLora);  // what it is says read_adapter_config()
  EXPECT_EQ(find_adapter_folder(at("lora")), at("lora"));
}

TEST_F(GivenFolderTest, OfARunItIsTheNewestAdapter) {
  put("run/config.json");
  put("run/metrics.jsonl");
  fs::create_directories(at("run/checkpoints/step-000004"));
  fs::create_directories(at("run/checkpoints/step-000012"));
  EXPECT_EQ(find_adapter_folder(at("run")), at("run/checkpoints/step-000012"));
  EXPECT_EQ(find_adapter_folder(at("run/checkpoints")), at("run/checkpoints/step-000012"));
  put("run/adapter/adapter_config.json", kOurs);
  EXPECT_EQ(find_adapter_folder(at("run")), at("run/adapter"));
  put("young/metrics.jsonl");
  EXPECT_THAT(as_adapter("young"), HasSubstr("found a run without a checkpoint"));
}

TEST_F(GivenFolderTest, WhatLiesInTheAdaptersPlaceIsNamed) {
  put("model/config.json");
  EXPECT_THAT(as_adapter("model"), HasSubstr("adapter_config.json in it, found a model; give it as --model-path"));
  put("a/adapter_config.json", kOurs);
  EXPECT_THAT(as_adapter("a/adapter_config.json"), HasSubstr("found a file; give the folder that it is in"));
  put("other/notes.txt");
  EXPECT_THAT(as_adapter("other"), EndsWith("found notes.txt"));
  EXPECT_THAT(as_adapter("none"), AllOf(HasSubstr("found no folder of that name"), Not(HasSubstr("Hub"))));
}

}  // namespace
}  // namespace nkat::data
