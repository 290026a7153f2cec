// The plan of a run as a table and as JSON: memory by purpose, what must recompute, the longest sequence, hours on a
// named card (an estimate), and how far gates and angles can get with the rates given.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "models/planning/time_plan.h"
#include "train/train_config.h"

namespace nkat::train {

struct CardChoice {
  models::Card card;
  double efficiency = 0.65;  // of the card's peak that the run is taken to reach
};

struct RunPlan {
  models::PlanRequest request;
  std::string base;  // as --base names it
  models::MemoryPlan memory;
  bool fits = false;
  std::int64_t longest_sequence = 0;
  std::int64_t run_samples = 0;  // of all steps
  double sample_flops = 0;       // of a sample as long as the limit
  models::TimeByKind hours;      // of the whole run
  double alpha_reach = 0;        // Σ rates: how far α can move
  double gate_reach = 0;         // σ(alpha-init + reach)
  double angle_reach = 0;        // radians; cot(π/16) Σ rates, all entries of A alike
};

// With --tokens-per-micro-batch auto resolved into packed_tokens.
models::PlanRequest plan_request(const models::Phi3Config& model, const TrainConfig& config, std::int64_t element_bytes,
                                 bool on_gpu);
RunPlan plan_run(const models::Phi3Config& model, const TrainConfig& config, const models::PlanRequest& request,
                 const CardChoice& card);

// --checkpointing resolved to a number of layers: auto takes the fewest that fit. DeviceError with the table and what
// would fit if the plan exceeds the budget.
std::int64_t resolve_recomputed_layers(const models::Phi3Config& model, const TrainConfig& config,
                                       const models::PlanRequest& request);

std::string plan_table(const models::Phi3Config& model, const TrainConfig& config, const RunPlan& plan,
                       const CardChoice& card);
nlohmann::ordered_json plan_json(const RunPlan& plan, const CardChoice& card);

}  // namespace nkat::train
