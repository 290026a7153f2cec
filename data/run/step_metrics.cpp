#include "data/run/step_metrics.h"

#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json.h"

namespace nkat::data {
namespace {

using Json = nlohmann::ordered_json;

Json list_of(const std::vector<double>& values) {
  Json list = Json::array();
  for (const double value : values) list.push_back(finite_or_null(value));
  return list;
}

double number(const Json& json, const char* key) {
  const Json& value = json.at(key);
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

std::vector<double> numbers(const Json& json, const char* key) {
  std::vector<double> values;
  for (const Json& value : json.at(key))
    values.push_back(value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>());
  return values;
}

}  // namespace

std::string to_json_line(const StepMetrics& m) {
  Json json = {{"step", m.step},
               {"loss", finite_or_null(m.loss)},
               {"triality", finite_or_null(m.triality)},
               {"lambda", m.triality_weight},
               {"tokens", m.tokens},
               {"target_tokens", m.target_tokens},
               {"grad_norm", finite_or_null(m.grad_norm)},
               {"weight_grad_rms", finite_or_null(m.weight_grad_rms)},
               {"learning_rate", m.learning_rate},
               {"alpha_learning_rate", m.alpha_learning_rate},
               {"alpha", list_of(m.alpha)},
               {"gate_force", list_of(m.gate_force)},
               {"step_seconds", m.step_seconds},
               {"tokens_per_second", m.tokens_per_second()},
               {"memory_bytes", m.memory_bytes}};
  if (m.validation_loss) json["validation_loss"] = finite_or_null(*m.validation_loss);
  if (m.skipped) json["skipped"] = *m.skipped;
  return json.dump() + "\n";
}

StepMetrics parse_metrics_line(const std::string& line, const std::string& source) {
  const Json json = parse_json(line, source);
  StepMetrics m;
  try {
    m.step = json.at("step").get<std::int64_t>();
    m.loss = number(json, "loss");
    m.triality = number(json, "triality");
    m.triality_weight = number(json, "lambda");
    m.tokens = json.at("tokens").get<std::int64_t>();
    m.target_tokens = json.at("target_tokens").get<std::int64_t>();
    m.grad_norm = number(json, "grad_norm");
    m.weight_grad_rms = number(json, "weight_grad_rms");
    m.learning_rate = number(json, "learning_rate");
    m.alpha_learning_rate = number(json, "alpha_learning_rate");
    m.alpha = numbers(json, "alpha");
    m.gate_force = numbers(json, "gate_force");
    m.step_seconds = number(json, "step_seconds");
    m.memory_bytes = json.at("memory_bytes").get<std::uint64_t>();
    if (json.contains("validation_loss")) m.validation_loss = number(json, "validation_loss");
    if (json.contains("skipped")) m.skipped = json.at("skipped").get<std::string>();
  } catch (const nlohmann::json::exception& error) {
    throw FormatError(fmt::format("{}: this is no metrics line: {}", source, error.what()));
  }
  return m;
}

}  // namespace nkat::data
