// The files of a checkpoint, RUN/checkpoints/step-000050, beside the adapter's (adapter_config.h); names: run_layout.h.
//
//   trainer_state.json          version 1 and the fields of SavedTrainerState; pending_metrics is a line of metrics.jsonl
//   trainer_state.safetensors   Adam's moments, F32 with the shapes of the adapter's W (A, N, 8, 8) and alpha (A);
//                               series.alpha and series.gate_force, F32 (steps, A), row i of step i + 1;
//                               random_state, U64 (2): seed and step, from which every random stream is derived
//   manifest.json               {"version": 1, "files": {NAME: {"size": bytes, "sha256": hex}}}, written last
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "data/run/run_layout.h"
#include "data/run/step_metrics.h"

namespace nkat::data {

// files: name to bytes.
std::string manifest_text(const std::map<std::string, std::string>& files);
// Throws FormatError or DataError naming the first file that is missing or does not match the manifest, and
// NewerFormatError for the manifest of a newer nkat.
void verify_manifest(const fs::path& checkpoint);

inline constexpr const char* kFirstMomentWeight = "first_moment.weight";
inline constexpr const char* kFirstMomentAlpha = "first_moment.alpha";
inline constexpr const char* kSecondMomentWeight = "second_moment.weight";
inline constexpr const char* kSecondMomentAlpha = "second_moment.alpha";
inline constexpr const char* kAlphaSeries = "series.alpha";
inline constexpr const char* kGateForceSeries = "series.gate_force";
inline constexpr const char* kRandomState = "random_state";

struct SavedTrainerState {
  std::int64_t step = 0;           // finished optimizer steps
  std::int64_t data_position = 0;  // samples taken from the data stream
  std::int64_t updates = 0;        // Adam's count: steps whose update was not skipped
  std::uint64_t seed = 0;
  std::string data_sha256 = "";
  std::string base_sha256 = "";
  std::string program = "";   // version that wrote it
  std::string libtorch = "";  // version that it was built with
  // The line of `step` if a signal came before its validation ended; completed on resume.
  std::optional<StepMetrics> pending_metrics = std::nullopt;
};

std::string trainer_state_text(const SavedTrainerState& state);
// From a checkpoint folder. NewerFormatError for the state of a newer nkat; FormatError "<path>: key ..." for what is
// missing or of another type.
SavedTrainerState read_trainer_state(const fs::path& checkpoint);
// The same, but its step and pending_metrics alone: all that a reader of finished runs needs.
SavedTrainerState read_saved_step(const fs::path& checkpoint);

}  // namespace nkat::data
