// What the ranks settle before the first step: device, the run that rank 0 found in its folder, that all of them train
// the same thing, and the state to go on from. Each function is called by all ranks; in one process it changes nothing.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "train/distributed/process_group.h"
#include "train/run/checkpoint.h"
#include "train/train_config.h"

namespace nkat::train {

// The ranks of this process's environment, connected. ConfigError when they can't share a window.
std::unique_ptr<ProcessGroup> init_process_group(const TrainConfig& config);

// --device as asked for; auto with several ranks: the GPU of the local rank's number, if there are GPUs. ConfigError
// for one GPU asked for by all ranks of a machine.
std::string rank_device(const std::string& asked, const RankEnvironment& environment);

// Rank 0's, on each.
std::optional<nlohmann::ordered_json> broadcast_json(ProcessGroup& ranks,
                                                     const std::optional<nlohmann::ordered_json>& json);
bool broadcast_flag(ProcessGroup& ranks, bool flag);

// Before anything is computed together: everything that decides which messages the ranks send, and what the state comes
// to, is the same on all of them: the program's version, the options, and the data and the model that they have read,
// by hash. RankMismatch, on all ranks, that says which rank differs in what. Options with per_rank may differ.
// validation_sha256: empty without validation data.
void require_same_run(ProcessGroup& ranks, const TrainConfig& config, const RunIdentity& identity,
                      const std::string& validation_sha256);

// Rank 0's state, on each.
void broadcast_state(ProcessGroup& ranks, TrainerState& state);

// The first 64 bits of SHA-256 over all numbers of the state.
std::uint64_t state_digest(const TrainerState& state);

}  // namespace nkat::train
