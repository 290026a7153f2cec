// The plan of a run, as a table and as JSON: memory by purpose, recomputed layers, the longest sequence, hours on a
// named card (an estimate), and how far the learning rates let gates and angles move. The table begins with the model.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "models/planning/time_plan.h"
#include "train/train_config.h"

namespace nkat::train {

struct CardChoice {
  models::Card card;
  double efficiency = 0.65;  // assumed fraction of peak throughput
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
  double alpha_reach = 0;        // how far alpha can move: the sum of its rates
  double gate_reach = 0;         // sigma(alpha_init + alpha_reach)
  double angle_reach = 0;        // radians: cot(pi/16) · sum of rates, all entries of A alike
};

// --tokens-per-micro-batch auto is resolved into packed_tokens. ConfigError for a layer or length that the model lacks.
models::PlanRequest plan_request(const models::ModelConfig& model, const TrainConfig& config,
                                 std::int64_t element_bytes, bool on_gpu);
RunPlan plan_run(const models::ModelConfig& model, const TrainConfig& config, const models::PlanRequest& request,
                 const CardChoice& card);

// --checkpointing as a number of layers: auto takes the fewest that fit. DeviceError says what would fit if the plan
// exceeds the budget.
std::int64_t resolve_recomputed_layers(const models::ModelConfig& model, const TrainConfig& config,
                                       const models::PlanRequest& request);

std::string plan_table(const models::ModelConfig& model, const TrainConfig& config, const RunPlan& plan,
                       const CardChoice& card);
nlohmann::ordered_json plan_json(const RunPlan& plan, const CardChoice& card);

}  // namespace nkat::train
