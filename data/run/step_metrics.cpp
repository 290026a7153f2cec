#include "data/run/step_metrics.h"

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "core/json_object.h"

namespace nkat::data {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char *kStep = "step", *kLoss = "loss", *kTriality = "triality", *kLambda = "lambda",
                     *kTokens = "tokens", *kTargetTokens = "target_tokens", *kGradNorm = "grad_norm",
                     *kWeightGradRms = "weight_grad_rms", *kLearningRate = "learning_rate",
                     *kAlphaLearningRate = "alpha_learning_rate", *kAlpha = "alpha", *kGateForce = "gate_force",
                     *kStepSeconds = "step_seconds", *kTokensPerSecond = "tokens_per_second",
                     *kMemoryBytes = "memory_bytes", *kValidationLoss = "validation_loss", *kSkipped = "skipped";

Json list_of(const std::vector<double>& values) {
  Json list = Json::array();
  for (const double value : values) list.push_back(finite_or_null(value));
  return list;
}

}  // namespace

Json to_json(const StepMetrics& m) {
  Json json = {{kStep, m.step},
               {kLoss, finite_or_null(m.loss)},
               {kTriality, finite_or_null(m.triality)},
               {kLambda, m.triality_weight},
               {kTokens, m.tokens},
               {kTargetTokens, m.target_tokens},
               {kGradNorm, finite_or_null(m.grad_norm)},
               {kWeightGradRms, finite_or_null(m.weight_grad_rms)},
               {kLearningRate, m.learning_rate},
               {kAlphaLearningRate, m.alpha_learning_rate},
               {kAlpha, list_of(m.alpha)},
               {kGateForce, list_of(m.gate_force)},
               {kStepSeconds, m.step_seconds},
               {kTokensPerSecond, m.tokens_per_second()},
               {kMemoryBytes, m.memory_bytes}};
  if (m.validation_loss) json[kValidationLoss] = finite_or_null(*m.validation_loss);
  if (m.skipped) json[kSkipped] = *m.skipped;
  return json;
}

std::string to_json_line(const StepMetrics& metrics) { return to_json(metrics).dump() + "\n"; }

StepMetrics metrics_from_json(const Json& json, const std::string& source) {
  const JsonObject line(json, source);
  StepMetrics m;
  m.step = line.integer(kStep);
  m.loss = line.number(kLoss);
  m.triality = line.number(kTriality);
  m.triality_weight = line.number(kLambda);
  m.tokens = line.integer(kTokens);
  m.target_tokens = line.integer(kTargetTokens);
  m.grad_norm = line.number(kGradNorm);
  m.weight_grad_rms = line.number(kWeightGradRms);
  m.learning_rate = line.number(kLearningRate);
  m.alpha_learning_rate = line.number(kAlphaLearningRate);
  m.alpha = line.numbers(kAlpha);
  m.gate_force = line.numbers(kGateForce);
  m.step_seconds = line.number(kStepSeconds);
  m.memory_bytes = static_cast<std::uint64_t>(line.integer(kMemoryBytes));
  // Null is a loss that isn't finite, not a missing one.
  if (json.contains(kValidationLoss)) m.validation_loss = line.number(kValidationLoss);
  m.skipped = line.optional_string(kSkipped);
  return m;
}

StepMetrics parse_metrics_line(const std::string& line, const std::string& source) {
  return metrics_from_json(parse_json(line, source), source);
}

}  // namespace nkat::data
