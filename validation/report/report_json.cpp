#include "validation/report/report_json.h"

#include <nlohmann/json.hpp>

#include "core/json.h"
#include "validation/report/eval_json.h"
#include "validation/report/verdict_text.h"

namespace nkat::validation {
namespace {

using Json = nlohmann::ordered_json;

Json json_of(double value) { return finite_or_null(value); }
Json json_of(const Interval& interval) { return Json::array({json_of(interval.low), json_of(interval.high)}); }
Json json_of(std::int64_t value) { return value; }
Json json_of(bool value) { return value; }
Json json_of(const Estimate& estimate) {
  return {{"value", json_of(estimate.value)},
          {"interval", estimate.interval ? json_of(*estimate.interval) : Json(nullptr)}};
}

template <class Value>
Json json_of(const std::optional<Value>& value) {
  return value ? json_of(*value) : Json(nullptr);
}

Json levels_json(const std::vector<ForceLevel>& levels) {
  Json list = Json::array();
  for (const ForceLevel& level : levels) {
    list.push_back({{"from", level.from},
                    {"to", level.to},
                    {"force", json_of(level.force)},
                    {"interval", json_of(level.interval)}});
  }
  return list;
}

Json finding_json(const GateFinding& finding) {
  Json json = Json::object();
  if (finding.layer >= 0) json["layer"] = finding.layer;
  json["verdict"] = verdict_name(finding.verdict);
  json["specific"] = finding.specific ? Json(*finding.specific) : Json(nullptr);
  json["reclosed"] = finding.reclosed;
  json["shape"] = finding.shape ? Json(*finding.shape == RiseShape::kAbrupt ? "abrupt" : "gradual") : Json(nullptr);
  json["tau"] = json_of(finding.tau);
  json["tau_interval"] = json_of(finding.tau_interval);
  json["replicates_without_rise"] = json_of(finding.replicates_without_rise);
  json["sign_change"] = json_of(finding.sign_change);
  json["sign_change_interval"] = json_of(finding.sign_change_interval);
  json["levels"] = levels_json(finding.levels);
  json["opened_at"] = json_of(finding.opened_at);
  json["gate_first"] = json_of(finding.gate_first);
  json["gate_max"] = json_of(finding.gate_max);
  json["gate_last"] = json_of(finding.gate_last);
  json["smallest_step_seen"] = json_of(finding.smallest_step_seen);
  json["usable_steps"] = finding.usable_steps;
  json["noise_factor"] = json_of(finding.noise_factor);
  json["lag_one_correlation"] = json_of(finding.lag_one_correlation);
  return json;
}

Json run_json(const Findings& findings) {
  const GateResults& gates = findings.gates;
  Json by_verdict = Json::object();
  for (const Verdict verdict : kVerdicts) by_verdict[verdict_name(verdict)] = gates.count(verdict);
  Json crossings = Json::object();
  for (std::size_t i = 0; i < kCrossingLevels.size(); ++i)
    crossings[fmt::format("{:g}", kCrossingLevels[i])] = json_of(gates.crossings[i]);
  return {{"folder", findings.run.folder.string()},
          {"control", name_of(findings.run.settings.control, kControlNames)},
          {"steps", findings.run.metrics.size()},
          {"finished", json_of(gates.finished)},
          {"verdict", verdict_name(gates.sum.verdict)},
          {"tau", json_of(gates.sum.tau)},
          {"tau_interval", json_of(gates.sum.tau_interval)},
          {"layers_by_verdict", by_verdict},
          {"crossings", crossings},
          {"max_susceptibility_step", json_of(gates.max_susceptibility_step)},
          {"alpha_reach", json_of(gates.alpha_reach)},
          {"checkpoints", findings.run.checkpoints.size()},
          {"damaged", findings.run.damaged}};
}

Json quality_json(const RotationQuality& quality) {
  return {{"orthogonality_max", json_of(quality.orthogonality_max)},
          {"orthogonality_mean", json_of(quality.orthogonality_mean)},
          {"determinant_max", json_of(quality.determinant_max)},
          {"triality", json_of(quality.triality)}};
}

Json geometry_json(const std::vector<GeometryRow>& rows) {
  Json list = Json::array();
  for (const GeometryRow& row : rows) {
    list.push_back({{"step", row.step},
                    {"layer", row.layer},
                    {"orthogonality_max", json_of(row.exact.orthogonality_max)},
                    {"orthogonality_mean", json_of(row.exact.orthogonality_mean)},
                    {"determinant_max", json_of(row.exact.determinant_max)},
                    {"angle_max", json_of(row.angle_max)},
                    {"angle_median", json_of(row.angle_median)},
                    {"norm_max", json_of(row.norm_max)},
                    {"triality", json_of(row.exact.triality)},
                    {"bf16", quality_json(row.bf16)}});
  }
  return list;
}

Json checks_json(const std::vector<Check>& checks) {
  Json list = Json::array();
  for (const Check& check : checks) {
    Json json = {
        {"name", check.name},           {"value", json_of(check.value)},       {"interval", json_of(check.interval)},
        {"threshold", check.threshold}, {"status", status_name(check.status)}, {"note", check.note}};
    if (!check.command.empty()) json["command"] = check.command;
    list.push_back(std::move(json));
  }
  return list;
}

Json stability_json(const StabilityResults& report) {
  Json json = {{"loss_first", json_of(report.loss_first)},
               {"loss_last", json_of(report.loss_last)},
               {"diverged_at", json_of(report.diverged_at)},
               {"peak_memory_bytes", report.peak_memory_bytes},
               {"hours", json_of(report.hours)},
               {"hours_planned", json_of(report.hours_planned)}};
  json["spikes"] = Json::array();
  for (const Outlier& spike : report.spikes)
    json["spikes"].push_back(
        {{"step", spike.step}, {"what", spike.what}, {"value", json_of(spike.value)}, {"z", json_of(spike.z)}});
  json["skipped"] = Json::array();
  for (const auto& [step, reason] : report.skipped) json["skipped"].push_back({{"step", step}, {"reason", reason}});
  if (report.convergence) {
    json["convergence"] = {{"steps", report.convergence->steps},
                           {"slope", json_of(report.convergence->slope)},
                           {"relative_change", json_of(report.convergence->relative_change)},
                           {"converged", report.convergence->converged}};
  }
  if (report.overfitting) {
    json["overfitting"] = {{"validation_last", json_of(report.overfitting->validation_last)},
                           {"validation_lowest", json_of(report.overfitting->validation_lowest)},
                           {"lowest_step", report.overfitting->lowest_step},
                           {"rise", json_of(report.overfitting->rise)},
                           {"gap_trend", json_of(report.overfitting->gap_trend)},
                           {"turn_step", json_of(report.overfitting->turn_step)},
                           {"overfitted", report.overfitting->overfitted}};
  }
  json["phases"] = Json::array();
  for (const SpeedPhase& phase : report.phases)
    json["phases"].push_back({{"name", phase.name},
                              {"from", phase.from},
                              {"to", phase.to},
                              {"tokens_per_second", json_of(phase.tokens_per_second)}});
  return json;
}

// "sum" or the layer's number.
Json layer_json(std::int64_t layer) { return layer < 0 ? Json("sum") : Json(layer); }

Json layers_json(const std::vector<std::int64_t>& layers) {
  Json list = Json::array();
  for (const std::int64_t layer : layers) list.push_back(layer_json(layer));
  return list;
}

Json control_json(const ControlResult& control) {
  Json transitions_in_both = Json::array();
  for (const std::int64_t layer : control.in_both)
    if (layer >= 0 && !control.by_rise) transitions_in_both.push_back(layer);
  return {{"name", control.name},
          {"control", name_of(control.control, kControlNames)},
          {"effect", control.by_rise ? "rise" : "transition"},
          {"decided", control.decided()},
          {"finished", control.finished},
          {"last_step", control.last_step},
          {"transitions_in_both", transitions_in_both},
          {"in_both", layers_json(control.in_both)},
          {"only_here", layers_json(control.only_here)},
          {"only_there", layers_json(control.only_there)},
          {"not_decided", layers_json(control.not_decided)},
          {"unresolved", layers_json(control.unresolved)}};
}

Json comparison_json(const RunComparison& comparison) {
  Json json = {{"runs", Json::array()},
               {"tau_runs", comparison.spread_runs},
               {"tau_includes_this_run", comparison.spread_includes_main},
               {"tau", Json::array()},
               {"controls", Json::array()}};
  for (const BaselineRun& run : comparison.runs) {
    Json verdicts = Json::array();
    for (const GateFinding& layer : run.gates.layers) verdicts.push_back(verdict_name(layer.verdict));
    json["runs"].push_back({{"name", run.name},
                            {"control", name_of(run.control, kControlNames)},
                            {"seed", json_of(run.seed)},
                            {"finished", json_of(run.gates.finished)},
                            {"verdict", verdict_name(run.gates.sum.verdict)},
                            {"tau", json_of(run.gates.sum.tau)},
                            {"tau_interval", json_of(run.gates.sum.tau_interval)},
                            {"layers", verdicts}});
  }
  for (const TauSpread& spread : comparison.spreads) {
    Json tau = Json::array();
    for (const auto& one : spread.tau) tau.push_back(json_of(one));
    const bool any = spread.transitions > 0;
    json["tau"].push_back({{"layer", layer_json(spread.layer)},
                           {"tau", tau},
                           {"runs", spread.tau.size()},
                           {"transitions", spread.transitions},
                           {"median", any ? json_of(spread.median) : Json(nullptr)},
                           {"range", any ? json_of(spread.range) : Json(nullptr)}});
  }
  for (const ControlResult& control : comparison.controls) json["controls"].push_back(control_json(control));
  return json;
}

}  // namespace

nlohmann::ordered_json to_json(const Findings& findings) {
  Json layers = Json::array();
  for (const GateFinding& layer : findings.gates.layers) layers.push_back(finding_json(layer));
  Json json = {{"verdict", verdict_sentences(findings)},       {"run", run_json(findings)},
               {"sum", finding_json(findings.gates.sum)},      {"layers", layers},
               {"geometry", geometry_json(findings.geometry)}, {"checks", checks_json(findings.checks)}};
  if (findings.stability) json["stability"] = stability_json(*findings.stability);
  if (const Json eval = to_json(findings.eval); !eval.empty()) json["gain"] = eval;
  if (findings.comparison) json["comparison"] = comparison_json(*findings.comparison);
  return json;
}

}  // namespace nkat::validation
