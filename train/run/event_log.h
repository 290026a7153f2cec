// The metrics of a run as curves in TensorBoard: event files, written without any of TensorBoard's code.
//
//   RUN/tensorboard/events.out.tfevents.SECONDS.MICROSECONDS.nkat     when the program was started, since 1970
//
//   record   u64 length | u32 check of these 8 bytes | an Event of that many bytes | u32 check of the Event
//   check    CRC-32C, rotated right by 15 bits, plus 0xA282EAD8 modulo 2^32
//   Event    1 wall_time: double, seconds since 1970; then by record
//              first   3 file_version: "brain.Event:2"
//              second  7 session_log: a message of 1 status: 1, "start"; a reader drops what it has of this step and later
//              others  2 step: varint, 5 summary: a message of 1 value, repeated: 1 tag, 2 simple_value: float
//
// Sources, of TensorFlow: io/record_writer.h (records), util/event.proto, framework/summary.proto. data/FORMATS.md 9.5
// lists the tags. metrics.jsonl stays the one record of a run: each start writes the curves anew from it, so that a step
// that is trained again after a kill is there once, and a kill at any moment costs nothing. A TensorBoard that is running
// follows, too.
#pragma once

#include <string>
#include <vector>

#include "core/files/atomic_file.h"
#include "data/run/step_metrics.h"

namespace nkat::train {

class EventLog {
 public:
  // Empties what earlier starts wrote into `folder` and writes `history`, whose steps end now and took step_seconds each.
  EventLog(const fs::path& folder, const std::vector<data::StepMetrics>& history, std::int64_t first_layer);
  // One write(2); DeviceError when the disk refuses.
  void append(const data::StepMetrics& metrics);
  void sync() { file_.sync(); }

 private:
  std::int64_t first_layer_;
  AppendFile file_;
};

// The record of a step; scalars that are not finite are left out. wall_time: seconds since 1970.
std::string event_record(const data::StepMetrics& metrics, std::int64_t first_layer, double wall_time);

}  // namespace nkat::train
