#include "train/run/event_log.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/files/crc32c.h"
#include "core/protobuf_wire.h"
#include "tests/support/step_metrics.h"
#include "tests/support/temporary_folder.h"

namespace nkat::train {
namespace {

using ::testing::ElementsAre;
using testing::metrics_of_step;
using ::testing::Pair;
using testing::TemporaryFolder;

struct Event {
  double wall_time = 0;
  std::int64_t step = 0;
  std::string version;
  bool starts = false;
  std::map<std::string, float> scalars;
};

std::string text_of(ByteCursor bytes) { return bytes.text(bytes.remaining(), 1000, "a text"); }

void take_value(ByteCursor bytes, Event& event) {
  protobuf::MessageReader value(bytes);
  std::string tag;
  while (const auto field = value.next()) {
    if (field->number == 1) tag = text_of(*field->bytes);
    if (field->number == 2) event.scalars[tag] = std::bit_cast<float>(static_cast<std::uint32_t>(field->value));
  }
}

Event parse_event(const std::string& bytes) {
  protobuf::MessageReader message(ByteCursor(bytes, "event"));
  Event event;
  while (const auto field = message.next()) {
    if (field->number == 1) event.wall_time = std::bit_cast<double>(field->value);
    if (field->number == 2) event.step = static_cast<std::int64_t>(field->value);
    if (field->number == 3) event.version = text_of(*field->bytes);
    if (field->number == 7) event.starts = text_of(*field->bytes) == "\x08\x01";
    if (field->number != 5) continue;
    protobuf::MessageReader summary(*field->bytes);
    while (const auto value = summary.next()) take_value(*value->bytes, event);
  }
  return event;
}

// The masked check as TensorFlow writes it down, in two shifts.
std::uint32_t masked(std::string_view bytes) {
  const std::uint32_t crc = crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8U;
}

std::vector<Event> parse_records(const std::string& bytes) {
  ByteCursor cursor(bytes, "events");
  std::vector<Event> events;
  while (!cursor.at_end()) {
    const auto length = cursor.number<std::uint64_t>("the length");
    const std::string_view length_bytes(reinterpret_cast<const char*>(&length), sizeof length);
    EXPECT_EQ(cursor.number<std::uint32_t>("its check"), masked(length_bytes));
    const std::string event = cursor.text(length, 1 << 20, "an event");
    EXPECT_EQ(cursor.number<std::uint32_t>("its check"), masked(event));
    events.push_back(parse_event(event));
  }
  return events;
}

class EventLogTest : public ::testing::Test {
 protected:
  std::vector<fs::path> files() const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder_)) files.push_back(entry.path());
    std::ranges::sort(files);
    return files;
  }
  // Of the last start's file, behind the opening ones.
  std::vector<Event> events() const {
    std::vector<Event> events = parse_records(read_file(files().back(), 1 << 20));
    EXPECT_EQ(events.at(0).version, "brain.Event:2");
    EXPECT_TRUE(events.at(1).starts && events.at(1).step == 0);
    return {events.begin() + 2, events.end()};
  }
  std::vector<std::int64_t> steps() const {
    std::vector<std::int64_t> steps;
    for (const Event& event : events()) steps.push_back(event.step);
    return steps;
  }
  static std::vector<data::StepMetrics> lines(std::int64_t count) {
    std::vector<data::StepMetrics> lines;
    for (std::int64_t step = 1; step <= count; ++step) lines.push_back(metrics_of_step(step));
    return lines;
  }

  const TemporaryFolder parent_;
  const fs::path folder_ = parent_.path() / "tensorboard";
};

TEST_F(EventLogTest, HasTheNameThatReadersLookFor) {
  EventLog(folder_, {}, 0).append(metrics_of_step(1));
  EXPECT_EQ(steps(), std::vector<std::int64_t>{1});
  EXPECT_THAT(files().at(0).filename().string(), ::testing::MatchesRegex("events.out.tfevents.[0-9]+.[0-9]+.nkat"));
}

TEST_F(EventLogTest, HoldsTheScalarsOfAStep) {
  data::StepMetrics metrics = metrics_of_step(7);
  metrics.triality = 0.5;
  metrics.triality_weight = 0.125;
  metrics.grad_norm = 3.0;
  metrics.learning_rate = 0.25;
  metrics.alpha_learning_rate = 0.75;
  metrics.memory_bytes = 3ULL << 29;
  metrics.validation_loss = 1.25;
  metrics.alpha = {0.0, std::log(3.0)};
  EventLog(folder_, {}, 4).append(metrics);
  EXPECT_EQ(events().at(0).step, 7);
  EXPECT_THAT(events().at(0).scalars,
              ElementsAre(Pair("force/layer_4", 0.25F), Pair("force/layer_5", -0.5F), Pair("gate/layer_4", 0.5F),
                          Pair("gate/layer_5", 0.75F), Pair("gates/mean", 0.625F), Pair("gates/open", 1.0F),
                          Pair("gradient/norm", 3.0F), Pair("loss/training", 1.5F), Pair("loss/validation", 1.25F),
                          Pair("machine/memory_gib", 1.5F), Pair("machine/step_seconds", 2.0F),
                          Pair("machine/tokens_per_second", 50.0F), Pair("rate/gates", 0.75F),
                          Pair("rate/rotations", 0.25F), Pair("triality/lambda", 0.125F), Pair("triality/loss", 0.5F)));
}

TEST_F(EventLogTest, LeavesOutWhatIsNotFinite) {
  data::StepMetrics metrics = metrics_of_step(1);
  metrics.loss = std::nan("");
  metrics.grad_norm = std::numeric_limits<double>::infinity();
  metrics.gate_force = {std::nan(""), std::nan("")};
  EventLog(folder_, {}, 0).append(metrics);
  const auto scalars = events().at(0).scalars;
  for (const char* tag : {"loss/training", "loss/validation", "gradient/norm", "force/layer_0"})
    EXPECT_FALSE(scalars.contains(tag)) << tag;
  EXPECT_TRUE(scalars.contains("gate/layer_0"));
}

TEST_F(EventLogTest, AnotherStartWritesEachStepOfTheMetricsOnce) {
  {
    EventLog log(folder_, {}, 0);
    for (const auto& line : lines(5)) log.append(line);
  }
  EventLog log(folder_, lines(3), 0);  // the checkpoint was that of step 3
  ASSERT_EQ(files().size(), 2U);
  EXPECT_EQ(fs::file_size(files()[0]), 0U);  // for readers that are at its end
  EXPECT_EQ(steps(), (std::vector<std::int64_t>{1, 2, 3}));
  log.append(metrics_of_step(4));
  EXPECT_EQ(steps(), (std::vector<std::int64_t>{1, 2, 3, 4}));
}

TEST_F(EventLogTest, FilesOfOthersStay) {
  fs::create_directories(folder_);
  for (const char* name : {"events.out.tfevents.1.host.2", "notes.nkat"}) std::ofstream(folder_ / name) << "theirs";
  for (int start = 0; start < 4; ++start) EventLog(folder_, {}, 0).sync();
  EXPECT_EQ(files().size(), 2U + 2U);
  EXPECT_EQ(read_file(folder_ / "events.out.tfevents.1.host.2", 100), "theirs");
}

TEST_F(EventLogTest, StepsOfEarlierStartsLieAsFarApartAsTheyTook) {
  EventLog(folder_, lines(3), 0).append(metrics_of_step(4));
  const std::vector<Event> found = events();
  const double now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  ASSERT_EQ(found.size(), 4U);
  // Seconds since 1970 are about 2^31; their doubles lie 2^-22 apart.
  for (std::size_t i = 1; i < 3; ++i) EXPECT_NEAR(found[i].wall_time - found[i - 1].wall_time, 2.0, 1e-5);
  EXPECT_GE(found[3].wall_time, found[2].wall_time);
  EXPECT_NEAR(found[3].wall_time, now, 60);
}

}  // namespace
}  // namespace nkat::train
