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

#include "data/run/run_layout.h"

namespace nkat::data {

inline constexpr const char* kRunKey = "nkat_run";
inline constexpr std::int64_t kRunVersion = 1;

// Defaults of `nkat train`, for readers of a run that doesn't say.
inline constexpr double kDefaultAlphaInit = -5.0;
inline constexpr double kDefaultVramBudgetGib = 11.5;

// The value of nkat_run; nothing if the JSON is not a run's config.
std::optional<std::int64_t> run_version(const nlohmann::ordered_json& config);

struct RunFacts {
  std::string requested_checkpointing = "auto";                    // --checkpointing before `auto` was resolved
  std::optional<std::int64_t> recomputed_layers = std::nullopt;    // of activation checkpointing
  std::optional<std::int64_t> micro_batch_samples = std::nullopt;  // at most, after out-of-memory fallbacks
  std::optional<std::int64_t> head_rows = std::nullopt;            // rows of logits held at once
  std::vector<std::string> memory_events = {};                     // what the fallbacks did, in order
  std::int64_t ranks = 1;
  std::string validation_sha256 = "";
  std::int64_t validation_since = 0;  // validation losses up to this step are of other data
};

// The file's text; `options` is the object of all options.
std::string run_config_text(const nlohmann::ordered_json& options, const RunFacts& facts);
// What is missing or of another type keeps its default.
RunFacts run_facts(const nlohmann::ordered_json& config);

// The options of a run that others than the trainer look at; what the file doesn't have is unknown.
struct RunSettings {
  std::optional<std::int64_t> max_steps = std::nullopt;
  std::optional<std::int64_t> warmup_steps = std::nullopt;
  std::optional<std::int64_t> annealing_warmup = std::nullopt;
  std::optional<std::int64_t> seed = std::nullopt;
  std::int64_t validation_since = 0;  // of RunFacts
  std::optional<double> alpha_init = std::nullopt;
  std::optional<double> vram_budget_gib = std::nullopt;
  std::string control = "none";  // none, identity, shuffled, frozen-gates
  std::string device = "";       // "cpu", "cuda:0"
  std::string model_path = "";
  std::optional<std::int64_t> first_adapter_layer = std::nullopt;
};

// All unknown, and a warning in the log, if the file is not a run's. FormatError naming file and key for a value of
// another type.
RunSettings read_run_settings(const fs::path& config_json);

}  // namespace nkat::data
