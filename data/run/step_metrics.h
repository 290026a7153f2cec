// One line of metrics.jsonl: what a run measured in one optimizer step. Everything but validation_loss belongs to the
// state before the step's update. NaN and infinity are written as null and read back as NaN.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace nkat::data {

inline constexpr std::int64_t kSkippedStepsToStop = 3;  // in a row: the trainer gives up

struct StepMetrics {
  std::int64_t step = 0;  // from 1
  double loss = 0.0;      // cross-entropy, nats per target token of the global batch
  double triality = 0.0;  // unweighted
  double triality_weight = 0.0;
  std::int64_t tokens = 0;  // all tokens of the global batch
  std::int64_t target_tokens = 0;
  double grad_norm = 0.0;        // over W and α, before clipping
  double weight_grad_rms = 0.0;  // of W, after clipping
  double learning_rate = 0.0;
  double alpha_learning_rate = 0.0;
  std::vector<double> alpha = {};       // one per layer with an adapter
  std::vector<double> gate_force = {};  // NaN in a skipped step
  double step_seconds = 0.0;            // without validation and checkpoints
  std::uint64_t memory_bytes = 0;       // the step's peak
  std::optional<double> validation_loss = std::nullopt;
  std::optional<std::string> skipped = std::nullopt;  // why the update was left out

  double tokens_per_second() const { return step_seconds > 0 ? static_cast<double>(tokens) / step_seconds : 0.0; }
};

nlohmann::ordered_json to_json(const StepMetrics& metrics);
std::string to_json_line(const StepMetrics& metrics);

// The inverses. FormatError "<source>: key ..." for what is missing or of another type.
StepMetrics metrics_from_json(const nlohmann::ordered_json& json, const std::string& source);
StepMetrics parse_metrics_line(const std::string& line, const std::string& source);

}  // namespace nkat::data
