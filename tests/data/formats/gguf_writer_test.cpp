#include "data/formats/gguf_writer.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/formats/gguf_reader.h"
#include "tests/support/counted_memory.h"
#include "tests/support/message_of.h"
#include "tests/support/mutations.h"
#include "tests/support/raw_gguf.h"
#include "tests/support/temporary_folder.h"

namespace nkat::gguf {
namespace {

using nkat::testing::RawGguf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The metadata and tensors of RawGguf as it stands.
GgufMetadata metadata() {
  GgufMetadata all("test");
  all.add("general.architecture", GgufValue::string("phi3"));
  all.add("phi3.block_count", GgufValue::number<std::uint32_t>(2));
  all.add("tokens", GgufValue::strings(std::vector<std::string>{"a", "bc"}));
  all.add("add_bos", GgufValue::number(false));
  return all;
}
std::vector<GgufTensorPlan> plan() {
  return {{"a.weight", {3, 2}, GgmlType::kF32}, {"b.weight", {32}, GgmlType::kQ8_0}};
}
// The first tensor at once, the second byte by byte.
void produce(const GgufTensor& tensor, const AppendBytes& append) {
  const std::vector<std::byte> bytes(tensor.bytes, tensor.name == "a.weight" ? std::byte{1} : std::byte{2});
  if (tensor.name == "a.weight") {
    append(bytes);
  } else {
    for (const std::byte& one : bytes) append({&one, 1});
  }
}

class GgufWriterTest : public ::testing::Test {
 protected:
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const auto& entry : fs::directory_iterator(folder_.path())) all.push_back(entry.path().filename());
    return all;
  }
  nkat::testing::TemporaryFolder folder_;
  fs::path path_ = folder_.path() / "x.gguf";
};

TEST_F(GgufWriterTest, WritesTheLayoutByteForByte) {
  write_gguf(path_, metadata(), plan(), produce);
  const std::string expected = RawGguf{}.bytes();
  EXPECT_EQ(read_file(path_, 10'000), expected);
  EXPECT_EQ(gguf_file_size(metadata(), plan()), expected.size());
  EXPECT_THAT(names(), ElementsAre("x.gguf"));
}

TEST_F(GgufWriterTest, CopiesWhatTheReaderRead) {
  GgufMetadata all = metadata();
  all.add("general.alignment", GgufValue::number<std::uint32_t>(64));
  all.add("numbers", GgufValue::numbers<float>(std::vector<float>{1, 2.5F}));
  write_gguf(path_, all, plan(), produce);
  const GgufFile first(path_);
  EXPECT_EQ(first.alignment(), 64U);
  std::vector<GgufTensorPlan> copied;
  for (const GgufTensor& one : first.tensors())
    copied.push_back({one.name, {one.ne.begin(), one.ne.begin() + one.dimensions}, one.type});
  write_gguf(
      folder_.path() / "y.gguf", first.metadata(), copied,
      [&](const GgufTensor& tensor, const AppendBytes& append) { append(first.bytes(*first.find(tensor.name))); });
  EXPECT_EQ(read_file(folder_.path() / "y.gguf", 10'000), read_file(path_, 10'000));
}

TEST_F(GgufWriterTest, HoldsNoTensor) {
  const std::vector<GgufTensorPlan> large = {{"a", {1024, 16'384}, GgmlType::kF32}};
  const nkat::testing::CountedMemory memory;
  const std::vector<std::byte> piece(64 * 1024);
  write_gguf(path_, metadata(), large, [&](const GgufTensor& tensor, const AppendBytes& append) {
    for (std::uint64_t done = 0; done < tensor.bytes; done += piece.size()) append(piece);
  });
  EXPECT_EQ(fs::file_size(path_), gguf_file_size(metadata(), large));
  EXPECT_LT(memory.peak(), 1 << 20);
}

TEST_F(GgufWriterTest, RefusesWhatTheReaderWouldRefuse) {
  const auto complaint = [&](const GgufMetadata& all, const std::vector<GgufTensorPlan>& tensors) {
    return nkat::testing::message_of([&] { write_gguf(path_, all, tensors, produce); });
  };
  GgufMetadata badly_aligned = metadata();
  badly_aligned.add("general.alignment", GgufValue::number<std::uint32_t>(1U << 31));
  EXPECT_THAT(complaint(badly_aligned, plan()), HasSubstr("power of two"));
  EXPECT_THAT(complaint(metadata(), {{std::string(64, 'n'), {4}}}), HasSubstr("at most 63 bytes"));
  EXPECT_THAT(complaint(metadata(), {{"a", {4}}, {"a", {4}}}), HasSubstr("duplicate tensor"));
  EXPECT_THAT(complaint(metadata(), {{"a", {16, 2}, GgmlType::kQ8_0}}), HasSubstr("blocks of 32, found rows of 16"));
  EXPECT_THAT(complaint(metadata(), {{"a", {16}, GgmlType::kQ8_0}}), HasSubstr("[16] can't be stored as q8_0"));
  EXPECT_THAT(complaint(metadata(), {{"a", {UINT64_MAX, 2}}}), HasSubstr("can't be stored"));
  EXPECT_THAT(complaint(metadata(), {{"a", {1, 1, 1, 1, 1}}}), HasSubstr("1 to 4 dimensions"));
  EXPECT_THAT(complaint(metadata(), {{"a", {0}}}), HasSubstr("expected at least 1"));
  GgufMetadata twice = metadata();
  EXPECT_THROW(twice.add("add_bos", GgufValue::number(true)), FormatError);
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(GgufWriterTest, RefusesAFileThatTheDiskHasNoRoomFor) {
  const std::vector<GgufTensorPlan> huge = {{"a", {std::uint64_t{1} << 59}, GgmlType::kI8}};
  const auto write = [&](const std::string&) { write_gguf(path_, metadata(), huge, produce); };
  EXPECT_THAT(nkat::testing::complaint_about(write, ""), HasSubstr("bytes of free disk space"));
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(GgufWriterTest, LeavesTheOldFileWhenATensorCannotBeMade) {
  folder_.write("x.gguf", "old");
  const auto fail = [](const GgufTensor& tensor, const AppendBytes& append) {
    if (tensor.name == "b.weight") throw DataError("no");
    produce(tensor, append);
  };
  EXPECT_THROW(write_gguf(path_, metadata(), plan(), fail), DataError);
  EXPECT_EQ(read_file(path_, 10), "old");
  EXPECT_THAT(names(), ElementsAre("x.gguf"));
}

TEST_F(GgufWriterTest, ShowsTheWholeFileBeforeItGetsItsName) {
  folder_.write("x.gguf", "old");
  int calls = 0;
  write_gguf(path_, metadata(), plan(), produce, [&](const fs::path& temporary) {
    EXPECT_EQ(read_file(temporary, 10'000), RawGguf{}.bytes());
    EXPECT_EQ(read_file(path_, 10), "old");
    ++calls;
  });
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(read_file(path_, 10'000), RawGguf{}.bytes());
}

TEST_F(GgufWriterTest, LeavesTheOldFileWhenTheNewOneIsRefused) {
  folder_.write("x.gguf", "old");
  const auto refuse = [](const fs::path&) { throw CheckError("no"); };
  EXPECT_THROW(write_gguf(path_, metadata(), plan(), produce, refuse), CheckError);
  EXPECT_EQ(read_file(path_, 10), "old");
  EXPECT_THAT(names(), ElementsAre("x.gguf"));
}

TEST_F(GgufWriterTest, TakesTooManyOrTooFewBytesForABug) {
  const auto too_many = [](const GgufTensor& tensor, const AppendBytes& append) {
    append(std::vector<std::byte>(tensor.bytes + 1));
  };
  EXPECT_THROW(write_gguf(path_, metadata(), plan(), too_many), InternalError);
  EXPECT_THROW(write_gguf(path_, metadata(), plan(), [](const auto&, const auto&) {}), InternalError);
  EXPECT_THAT(names(), IsEmpty());
}

// A child is killed in the second tensor; the next write removes what it left.
TEST_F(GgufWriterTest, LeavesTheOldFileWhenKilled) {
  folder_.write("x.gguf", "old");
  const pid_t child = fork();
  if (child == 0) {
    write_gguf(path_, metadata(), plan(), [](const GgufTensor& tensor, const AppendBytes& append) {
      if (tensor.name == "b.weight") kill(getpid(), SIGKILL);
      produce(tensor, append);
    });
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(read_file(path_, 10), "old");
  EXPECT_EQ(names().size(), 2U);
  write_gguf(path_, metadata(), plan(), produce);
  EXPECT_EQ(read_file(path_, 10'000), RawGguf{}.bytes());
  EXPECT_THAT(names(), ElementsAre("x.gguf"));
}

}  // namespace
}  // namespace nkat::gguf
