#include "train/run/event_log.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "core/cli/progress.h"
#include "core/error.h"
#include "core/files/crc32c.h"
#include "core/files/number_bytes.h"
#include "core/protobuf_wire.h"
#include "layers/sigmoid.h"

namespace nkat::train {
namespace {

constexpr std::string_view kFileStart = "events.out.tfevents.", kFileEnd = ".nkat";
constexpr const char* kFileVersion = "brain.Event:2";
enum EventField : std::uint64_t { kWallTime = 1, kStep = 2, kVersion = 3, kSummary = 5, kSessionLog = 7 };
enum SessionLogField : std::uint64_t { kStatus = 1 };
enum SummaryField : std::uint64_t { kValue = 1 };
enum ValueField : std::uint64_t { kTag = 1, kSimpleValue = 2 };

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::uint32_t check(std::string_view bytes) { return std::rotr(crc32c(bytes), 15) + 0xA282EAD8U; }

std::string framed(const std::string& event) {
  const std::uint64_t length = event.size();
  const std::uint32_t length_check = check(bytes_of(length)), event_check = check(event);
  std::string record(bytes_of(length));
  return record.append(bytes_of(length_check)).append(event).append(bytes_of(event_check));
}

// The first two records. From a start at step 0 on, nothing of an earlier file counts.
std::string opening_records(double wall_time) {
  std::string version, start, status;
  protobuf::put_double(version, kWallTime, wall_time);
  protobuf::put_bytes(version, kVersion, kFileVersion);
  protobuf::put_varint(status, kStatus, 1);
  protobuf::put_double(start, kWallTime, wall_time);
  protobuf::put_bytes(start, kSessionLog, status);
  return framed(version) + framed(start);
}

class Summary {
 public:
  void add(std::string_view tag, double value) {
    if (!std::isfinite(value)) return;
    std::string entry;
    protobuf::put_bytes(entry, kTag, tag);
    protobuf::put_float(entry, kSimpleValue, static_cast<float>(value));
    protobuf::put_bytes(message_, kValue, entry);
  }
  const std::string& message() const { return message_; }

 private:
  std::string message_;
};

void add_gates(Summary& summary, const data::StepMetrics& m, std::int64_t first_layer) {
  std::vector<double> gates;
  for (const double alpha : m.alpha) gates.push_back(layers::sigmoid(alpha));
  const auto count = static_cast<double>(gates.size());
  summary.add("gates/mean", std::accumulate(gates.begin(), gates.end(), 0.0) / count);
  summary.add("gates/open", static_cast<double>(std::ranges::count_if(gates, [](double gate) { return gate > 0.5; })));
  for (std::size_t i = 0; i < gates.size(); ++i) {
    const std::int64_t layer = first_layer + static_cast<std::int64_t>(i);
    summary.add(fmt::format("gate/layer_{}", layer), gates[i]);
    summary.add(fmt::format("force/layer_{}", layer), m.gate_force.at(i));
  }
}

// What earlier starts left, by the names of this header alone: others' files in the folder stay. The last start's file is
// emptied and not removed, since a TensorBoard that reads it gets to the next one only while it is there.
void empty_event_files(const fs::path& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kFileStart) || !name.ends_with(kFileEnd)) continue;
    if (entry.file_size(error) == 0) {
      fs::remove(entry.path(), error);
    } else if (!error) {
      fs::resize_file(entry.path(), 0, error);
    }
    if (error) throw DeviceError(fmt::format("{}: can't be emptied: {}", entry.path().string(), error.message()));
  }
}

// A name of its own for each start: TensorBoard, which may be running, takes it for a new file.
fs::path new_event_file(const fs::path& folder) {
  create_folders(folder);
  empty_event_files(folder);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  return folder /
         fmt::format("{}{:010}.{:06}{}", kFileStart, microseconds / 1'000'000, microseconds % 1'000'000, kFileEnd);
}

}  // namespace

std::string event_record(const data::StepMetrics& m, std::int64_t first_layer, double wall_time) {
  Summary summary;
  summary.add("loss/training", m.loss);
  if (m.validation_loss) summary.add("loss/validation", *m.validation_loss);
  summary.add("triality/loss", m.triality);
  summary.add("triality/lambda", m.triality_weight);
  summary.add("rate/rotations", m.learning_rate);
  summary.add("rate/gates", m.alpha_learning_rate);
  summary.add("gradient/norm", m.grad_norm);
  summary.add("machine/tokens_per_second", m.tokens_per_second());
  summary.add("machine/step_seconds", m.step_seconds);
  summary.add("machine/memory_gib", static_cast<double>(m.memory_bytes) / kGiB);
  add_gates(summary, m, first_layer);
  std::string event;
  protobuf::put_double(event, kWallTime, wall_time);
  protobuf::put_varint(event, kStep, static_cast<std::uint64_t>(m.step));
  protobuf::put_bytes(event, kSummary, summary.message());
  return framed(event);
}

EventLog::EventLog(const fs::path& folder, const std::vector<data::StepMetrics>& history, std::int64_t first_layer)
    : first_layer_(first_layer), file_(new_event_file(folder), 0) {
  double wall_time = seconds_since_1970();
  for (const data::StepMetrics& line : history) wall_time -= line.step_seconds;
  std::string records = opening_records(wall_time);
  for (const data::StepMetrics& line : history) {
    wall_time += line.step_seconds;
    records += event_record(line, first_layer_, wall_time);
  }
  file_.append(records);
}

void EventLog::append(const data::StepMetrics& metrics) {
  file_.append(event_record(metrics, first_layer_, seconds_since_1970()));
}

}  // namespace nkat::train
