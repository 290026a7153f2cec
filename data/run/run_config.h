// config.json of a run folder: one object that holds, beside each other,
//
//   "nkat_run": 1                the version; a config.json without this key is not a run's
//   OPTION: VALUE                every option of `nkat train`, dashes as underscores, each `auto` resolved
//   "memory": {..}, "ranks": N, "validation": {..}      what the run found out by itself: RunFacts
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/enum_names.h"
#include "data/run/run_layout.h"

namespace nkat::data {

inline constexpr const char* kRunKey = "nkat_run";
inline constexpr std::int64_t kRunVersion = 1;

// Defaults of `nkat train`, for readers of a run that doesn't say.
inline constexpr double kDefaultAlphaInit = -5.0;
inline constexpr double kDefaultVramBudgetGib = 11.5;

// Ablations, each a baseline for a run without one.
enum class Control {
  kNone,
  kIdentity,     // the rotations stay at I
  kShuffled,     // the targets of a global batch are permuted
  kFrozenGates,  // the gates stay as they are
};
inline constexpr EnumNames<Control, 4> kControlNames = {{{Control::kNone, "none"},
                                                         {Control::kIdentity, "identity"},
                                                         {Control::kShuffled, "shuffled"},
                                                         {Control::kFrozenGates, "frozen-gates"}}};

// The value of nkat_run; nothing if the JSON is not a run's config.
std::optional<std::int64_t> run_version(const nlohmann::ordered_json& config);

// How a micro-batch trades time for memory; the trainer changes these when memory runs out.
struct MemorySettings {
  std::int64_t recomputed_layers = 0;
  std::int64_t head_rows = 256;          // rows whose logits exist at once
  std::int64_t micro_batch_samples = 1;  // samples that run together, at most
  std::int64_t batch_samples = 1;        // --batch-size, of the options: down to it, splitting comes before recomputing
};

// Written as soon as they change, not with a checkpoint.
struct RunFacts {
  std::string requested_checkpointing = "auto";  // --checkpointing before it was resolved to a number of layers
  MemorySettings memory = {};
  std::vector<std::string> memory_events = {};  // "step 7: recomputing 8 of 32 layers"
  std::string validation_sha256 = "";           // of the validation data; empty: none
  std::int64_t validation_since = 0;            // losses of steps up to here are of other validation data
  std::int64_t ranks = 1;
};

// The file's text; `options` is the object of all options.
std::string run_config_text(const nlohmann::ordered_json& options, const RunFacts& facts);
// What is missing or of another type keeps its default; memory.micro_batch_samples is then more than a batch holds.
RunFacts run_facts(const nlohmann::ordered_json& config);

// The options of a run that others than the trainer look at; what the file doesn't have is unknown.
struct RunSettings {
  std::optional<std::int64_t> max_steps = std::nullopt;
  std::optional<std::int64_t> warmup_steps = std::nullopt;
  std::optional<std::int64_t> annealing_warmup = std::nullopt;
  std::optional<std::int64_t> seed = std::nullopt;
  std::int64_t validation_since = 0;                                   // of RunFacts
  std::optional<std::int64_t> early_stopping_patience = std::nullopt;  // 0: off
  std::optional<double> alpha_init = std::nullopt;
  std::optional<double> vram_budget_gib = std::nullopt;
  Control control = Control::kNone;
  std::string device = "";  // "cpu", "cuda:0"
  std::string model_path = "";
  std::optional<std::int64_t> first_adapter_layer = std::nullopt;
};

// All unknown, and a warning in the log, if the file is not a run's. FormatError naming file and key for a value of
// another type.
RunSettings read_run_settings(const fs::path& config_json);

}  // namespace nkat::data
