#include "data/run/adapter_config.h"

#include <string>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace nkat::data {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

using Json = nlohmann::ordered_json;

class AdapterConfigTest : public ::testing::Test {
 protected:
  void write(const std::string& text) { folder_.write("adapter_config.json", text); }
  AdapterConfig read() { return read_adapter_config(folder_.path()); }
  template <class Expected>
  std::string error() {
    return nkat::testing::message_of<Expected>([&] { read(); });
  }
  static std::string key_error(const std::string& key, const std::string& what) {
    return "adapter_config.json: key '" + key + "': " + what;
  }

  nkat::testing::TemporaryFolder folder_;
  Json good_ = {{"peft_type", "NKAT_SO8T"}, {"version", 1},
                {"hidden_size", 16},        {"num_hidden_layers", 4},
                {"first_adapter_layer", 1}, {"base_model_name_or_path", "name"},
                {"base_sha256", "abc"}};
};

TEST_F(AdapterConfigTest, TheTextHasTheKeysThatPeftUsersExpect) {
  const AdapterConfig config{
      .base = {"a \"name\"", "abc", "def"}, .hidden_size = 3072, .num_hidden_layers = 32, .first_adapter_layer = 16};
  const std::string text = adapter_config_text(config);
  EXPECT_EQ(text, R"({
  "peft_type": "NKAT_SO8T",
  "version": 1,
  "base_model_name_or_path": "a \"name\"",
  "hidden_size": 3072,
  "num_hidden_layers": 32,
  "first_adapter_layer": 16,
  "base_sha256": "abc",
  "base_norms_sha256": "def"
}
)");
  write(text);
  EXPECT_EQ(read().base.base_model_name_or_path, "a \"name\"");
  EXPECT_EQ(read().base.base_norms_sha256, "def");
  EXPECT_EQ(read().blocks(), 384);
  EXPECT_EQ(read().layers(), 16);
}

TEST_F(AdapterConfigTest, AnUnknownHashOfTheNormsIsLeftOut) {
  EXPECT_EQ(Json::parse(adapter_config_text({})).count("base_norms_sha256"), 0U);
  good_["base_norms_sha256"] = nullptr;
  good_["inference_mode"] = true;  // keys of others are passed over
  write(good_.dump());
  EXPECT_EQ(read().base.base_norms_sha256, "");
}

TEST_F(AdapterConfigTest, SizesMayReachTheirLimits) {
  good_.update({{"hidden_size", 8}, {"num_hidden_layers", 512}, {"first_adapter_layer", 511}});
  write(good_.dump());
  EXPECT_EQ(read().blocks(), 1);
  good_.update({{"hidden_size", 1'048'576}, {"num_hidden_layers", 1}, {"first_adapter_layer", 0}});
  write(good_.dump());
  EXPECT_EQ(read().blocks(), 131'072);
}

TEST_F(AdapterConfigTest, AnImpossibleValueIsRefusedByItsKey) {
  const std::vector<std::tuple<std::string, Json, std::string>> cases = {
      {"peft_type", "LORA", "expected NKAT_SO8T, found \"LORA\"; this is no NKAT-SO8T adapter"},
      {"version", 0, "expected a whole number of at least 1, found 0"},
      {"version", 2, "expected at most 1, found 2; a newer nkat wrote it: use that version of nkat, or a later one"},
      {"hidden_size", 0, "expected a whole number from 8 to 1048576, found 0"},
      {"hidden_size", 12, "expected a multiple of 8, found 12"},
      {"hidden_size", 1'048'584, "expected a whole number from 8 to 1048576, found 1048584"},
      {"num_hidden_layers", 513, "expected a whole number from 1 to 512, found 513"},
      {"first_adapter_layer", -1, "expected a whole number from 0 to 3, found -1"},
      {"first_adapter_layer", 4, "expected a whole number from 0 to 3, found 4"},
      {"base_model_name_or_path", 7, "expected a string, found 7"},
      {"base_sha256", false, "expected a string, found false"},
      {"base_norms_sha256", 7, "expected a string, found 7"}};
  for (const auto& [key, value, what] : cases) {
    Json json = good_;
    json[key] = value;
    write(json.dump());
    EXPECT_THAT(error<FormatError>(), HasSubstr(key_error(key, what)));
  }
}

TEST_F(AdapterConfigTest, AKeyThatIsMissingIsNamed) {
  for (const auto& entry : good_.items()) {
    Json json = good_;
    json.erase(entry.key());
    write(json.dump());
    EXPECT_THAT(error<FormatError>(),
                AllOf(HasSubstr(key_error(entry.key(), "expected ")), HasSubstr("found nothing")));
  }
}

TEST_F(AdapterConfigTest, AFileThatIsNoObjectIsRefused) {
  write("[]");
  EXPECT_THAT(error<FormatError>(), HasSubstr("adapter_config.json: expected a JSON object, found []"));
  write("{\"peft_type\": \"NKAT_SO8T\"");
  EXPECT_THAT(error<FormatError>(), HasSubstr("adapter_config.json: not valid JSON at byte"));
}

TEST_F(AdapterConfigTest, AFileThatIsMissingOrTooLargeCannotBeRead) {
  EXPECT_THAT(error<DataError>(), HasSubstr("adapter_config.json"));
  std::string text = good_.dump();
  text.resize(1'048'576, ' ');
  write(text);
  EXPECT_EQ(read().layers(), 3);
  write(text + ' ');
  EXPECT_THAT(error<DataError>(), HasSubstr("adapter_config.json: expected at most 1048576 bytes, found 1048577"));
}

}  // namespace
}  // namespace nkat::data
