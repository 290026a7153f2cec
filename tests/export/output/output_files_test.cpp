#include "export/output/output_files.h"

#include <string>

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace nkat::exporting {
namespace {

class CompanionFilesTest : public ::testing::Test {
 protected:
  std::string report_name(const std::string& output) const { return report_path(folder_.path() / output).filename(); }
  std::string modelfile_name(const std::string& output) const {
    return modelfile_path(folder_.path() / output).filename();
  }
  nkat::testing::TemporaryFolder folder_;
};

constexpr const char* kReport = R"({"nkat": "1", "format": "gguf", "output": "elsewhere/a.gguf"})";

TEST(ResolvedOutput, FollowsLinksAndRefusesOneToItself) {
  const nkat::testing::TemporaryFolder folder;
  const auto at = [&](const std::string& name) { return folder.path() / name; };
  const auto complaint = [&](const std::string& name) {
    return nkat::testing::message_of<ConfigError>([&] { resolved_output(at(name)); });
  };
  fs::create_symlink("self", at("self"));
  fs::create_symlink("second", at("first"));
  fs::create_symlink(at("first"), at("second"));
  EXPECT_EQ(complaint("self"), "--output: " + at("self").string() + " is a link to itself");
  EXPECT_EQ(complaint("first"), "--output: " + at("first").string() + " is a link to itself");
  // As many in a row as the system itself follows.
  for (int i = 0; i < 41; ++i) fs::create_symlink(std::to_string(i), at(std::to_string(i + 1)));
  EXPECT_EQ(resolved_output(at("40")), at("0"));
  EXPECT_NE(complaint("41"), "");
}

TEST_F(CompanionFilesTest, HaveTheirPlainNamesInAFreshFolderAndForTheSameExport) {
  EXPECT_EQ(report_name("a.gguf"), "export.json");
  EXPECT_EQ(modelfile_name("a.gguf"), "Modelfile");
  folder_.write("export.json", kReport);
  folder_.write("Modelfile", marked("FROM ./a.gguf\nPARAMETER num_ctx 4096\n"));
  EXPECT_EQ(report_name("a.gguf"), "export.json");
  EXPECT_EQ(modelfile_name("a.gguf"), "Modelfile");
}

TEST_F(CompanionFilesTest, GoBesideThoseOfAnotherExport) {
  folder_.write("export.json", kReport);
  folder_.write("Modelfile", marked("FROM ./a.gguf\n"));
  EXPECT_EQ(report_name("b.q4.gguf"), "b.q4.export.json");
  EXPECT_EQ(modelfile_name("b.q4.gguf"), "b.q4.Modelfile");
}

TEST_F(CompanionFilesTest, LeaveTheUsersFilesAlone) {
  for (const std::string text : {"", "FROM ./a.gguf\n", "FROM ./a.gguf\nSYSTEM mine\n# written by nkat export, 0\n"}) {
    folder_.write("Modelfile", text);
    EXPECT_EQ(modelfile_name("a.gguf"), "a.Modelfile") << text;
  }
  for (const std::string text : {"", "{", "[]", R"({"output": "a.gguf"})", R"({"nkat": "1", "output": 3})"}) {
    folder_.write("export.json", text);
    EXPECT_EQ(report_name("a.gguf"), "a.export.json") << text;
  }
  std::string edited = marked("FROM ./a.gguf\nPARAMETER num_ctx 4096\n");
  edited.insert(edited.find("PARAMETER"), "SYSTEM mine\n");
  folder_.write("Modelfile", edited);
  folder_.write("a.Modelfile", "FROM llama3\n");
  folder_.write("a.2.Modelfile", marked("FROM ./a.gguf\n") + "SYSTEM mine\n");
  EXPECT_EQ(modelfile_name("a.gguf"), "a.3.Modelfile");
}

TEST_F(CompanionFilesTest, AreNeverTheOutputItselfNorALinkOrAFolder) {
  EXPECT_EQ(modelfile_name("Modelfile"), "Modelfile.Modelfile");
  fs::create_directory(folder_.path() / "export.json");
  fs::create_symlink("/nowhere", folder_.path() / "Modelfile");
  EXPECT_EQ(report_name("a.gguf"), "a.export.json");
  EXPECT_EQ(modelfile_name("a.gguf"), "a.Modelfile");
}

TEST_F(CompanionFilesTest, AFoldersReportNamesItsFiles) {
  const fs::path report = folder_.write(
      "export.json", R"({"nkat": "1", "format": "hf", "output": "a", "files": ["export.json", "config.json", 7]})");
  EXPECT_EQ(reported_files(report), (std::set<std::string>{"config.json", "export.json"}));
  EXPECT_TRUE(reported_files(folder_.path() / "none").empty());
  EXPECT_TRUE(reported_files(folder_.write("of_a_file.json", kReport)).empty());
}

TEST_F(CompanionFilesTest, OnlyTheReportOfTheSameFileIsRemoved) {
  folder_.write("export.json", kReport);
  remove_outdated_report(folder_.path() / "b.gguf");
  EXPECT_TRUE(fs::exists(folder_.path() / "export.json"));
  remove_outdated_report(folder_.path() / "a.gguf");
  EXPECT_FALSE(fs::exists(folder_.path() / "export.json"));
}

}  // namespace
}  // namespace nkat::exporting
