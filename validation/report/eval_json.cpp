#include "validation/report/eval_json.h"

#include <nlohmann/json.hpp>

#include "data/datasets/record.h"

namespace nkat::validation {
namespace {

using Json = nlohmann::ordered_json;

Json interval_json(const std::optional<Interval>& interval) {
  return interval ? Json{interval->low, interval->high} : Json(nullptr);
}

Json loss_json(const Estimate& loss, const Estimate& perplexity) {
  return {{"loss", loss.value},
          {"interval", interval_json(loss.interval)},
          {"perplexity", perplexity.value},
          {"perplexity_interval", interval_json(perplexity.interval)}};
}

Json accuracy_json(const Accuracy& accuracy) {
  return {{"accuracy", accuracy.value()},
          {"interval", interval_json(accuracy.interval)},
          {"right", accuracy.right},
          {"questions", accuracy.questions}};
}

Json paired_json(const PairedAccuracy& accuracy) {
  Json json = accuracy_json(accuracy.model);
  if (!accuracy.base) return json;
  json["base"] = accuracy_json(*accuracy.base);
  json["gained"] = accuracy.gained;
  json["lost"] = accuracy.lost;
  if (accuracy.p) json["p"] = *accuracy.p;
  return json;
}

Json decision_json(const std::map<std::string, DecisionScore>& scores) {
  Json json = Json::object();
  for (const auto& [language, score] : scores) {
    Json& one = json[language] = paired_json(score.accuracy);
    one["macro_f1"] = score.macro_f1;
    one["confusion"] = score.confusion;
    if (score.base_macro_f1) one["base"]["macro_f1"] = *score.base_macro_f1;
    if (score.base_confusion) one["base"]["confusion"] = *score.base_confusion;
  }
  return json;
}

}  // namespace

Json to_json(const LossFinding& finding) {
  Json json = {{"file", finding.file}, {"samples", finding.samples}, {"tokens", finding.tokens}};
  json.update(loss_json(finding.loss, finding.perplexity));
  if (finding.base_loss) json["base"] = loss_json(*finding.base_loss, *finding.base_perplexity);
  if (finding.change) {
    json["change"] = {{"loss", finding.change->value}, {"interval", interval_json(finding.change->interval)}};
  }
  if (finding.divergence) {
    json["kl"] = finding.divergence->value;
    json["kl_interval"] = interval_json(finding.divergence->interval);
  }
  return json;
}

Json to_json(const DecisionFinding& finding) {
  return {{"file", finding.file},
          {"labels", data::kFourClasses},
          {"generated", decision_json(finding.generated)},
          {"likelihood", decision_json(finding.likelihood)}};
}

Json to_json(const MathFinding& finding) {
  Json scores = Json::object();
  for (const auto& [name, score] : finding.scores) scores[name] = paired_json(score);
  return {{"file", finding.file},
          {"scores", scores},
          {"unparsed", finding.unparsed},
          {"base_unparsed", finding.base_unparsed},
          {"unmarked_right", finding.unmarked_right},
          {"base_unmarked_right", finding.base_unmarked_right},
          {"any_form", paired_json(finding.any_form)},
          {"tokens_per_second", finding.tokens_per_second}};
}

Json to_json(const LayerAblation& ablation) {
  return {{"layer", ablation.layer},
          {"gate", ablation.gate},
          {"loss_change", ablation.loss_change.value},
          {"interval", interval_json(ablation.loss_change.interval)}};
}

Json to_json(const EvalResults& results) {
  Json json = results.held_out ? to_json(*results.held_out) : Json::object();
  if (results.general) json["general"] = to_json(*results.general);
  if (results.decision) json["decision"] = to_json(*results.decision);
  if (results.math) json["math"] = to_json(*results.math);
  for (const LayerAblation& ablation : results.ablation) json["ablation"].push_back(to_json(ablation));
  return json;
}

}  // namespace nkat::validation
