// The line of metrics.jsonl that each optimizer step of a run writes (product.md, Files). Everything but
// validation_loss belongs to the state before the step's update; what is not finite is written as null and read back as
// NaN.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nkat::data {

struct StepMetrics {
  std::int64_t step = 0;  // from 1
  double loss = 0.0;      // L_LM, nats per target token of the window
  double triality = 0.0;  // unweighted
  double triality_weight = 0.0;
  std::int64_t tokens = 0;  // all tokens of the window's samples
  std::int64_t target_tokens = 0;
  double grad_norm = 0.0;        // over W and α, before clipping
  double weight_grad_rms = 0.0;  // of W, after clipping
  double learning_rate = 0.0;
  double alpha_learning_rate = 0.0;
  std::vector<double> alpha = {};       // one a layer with an adapter
  std::vector<double> gate_force = {};  // NaN in a skipped step
  double step_seconds = 0.0;            // without validation and checkpoints
  std::uint64_t memory_bytes = 0;       // the step's peak
  std::optional<double> validation_loss = std::nullopt;
  std::optional<std::string> skipped = std::nullopt;  // why the update was left out
  bool clipped = false;                               // not in the line; counted in the summary

  double tokens_per_second() const { return step_seconds > 0 ? static_cast<double>(tokens) / step_seconds : 0.0; }
};

std::string to_json_line(const StepMetrics& metrics);
// The inverse; throws FormatError naming `source`.
StepMetrics parse_metrics_line(const std::string& line, const std::string& source);

}  // namespace nkat::data
