#include "validation/report/gain_section.h"

#include "data/record.h"

namespace nkat::validation {
namespace {

std::string estimate(const std::optional<Estimate>& value) {
  if (!value) return "-";
  if (!value->interval) return fmt::format("{:.4f}", value->value);
  return fmt::format("{:.4f} ({:.4f} to {:.4f})", value->value, value->interval->low, value->interval->high);
}

std::string accuracy(const std::optional<Accuracy>& value) {
  if (!value) return "-";
  return fmt::format("{} of {}: {:.1f} % ({:.1f} to {:.1f})", value->right, value->questions, 100 * value->value(),
                     100 * value->interval.low, 100 * value->interval.high);
}

void add_losses(Document& document, const GainReport& gain) {
  Table table{{"text", "targets", "loss with adapter", "loss without", "change, paired", "KL from the base"}, {}};
  for (const auto& [name, finding] : {std::pair{"held out", &gain.held_out}, std::pair{"general", &gain.general}}) {
    if (!*finding) continue;
    const LossFinding& loss = **finding;
    table.rows.push_back({fmt::format("{}: {}", name, loss.file), fmt::format("{}", loss.tokens), estimate(loss.loss),
                          estimate(loss.base_loss), estimate(loss.change), estimate(loss.divergence)});
  }
  if (table.rows.empty()) return;
  document.push_back(Paragraph{"Loss in nats per target token, 95 % intervals by bootstrap over samples:"});
  document.push_back(std::move(table));
}

std::vector<std::string> accuracy_row(const std::string& name, const PairedAccuracy& score) {
  return {name, accuracy(score.model), accuracy(score.base), fmt::format("+{} -{}", score.gained, score.lost),
          score.p ? fmt::format("{:.2g}", *score.p) : "-"};
}

void add_decisions(Document& document, const DecisionFinding& decision) {
  Table table{{"decisions", "with adapter", "without", "gained, lost", "McNemar's p"}, {}};
  for (const auto& [how, scores] :
       {std::pair{"generated", &decision.generated}, std::pair{"by likelihood", &decision.likelihood}})
    for (const auto& [language, score] : *scores) {
      auto row = accuracy_row(fmt::format("{}, {}", how, language.empty() ? "no language" : language), score.accuracy);
      row[1] += fmt::format(", macro F1 {:.3f}", score.macro_f1);
      table.rows.push_back(std::move(row));
    }
  document.push_back(Paragraph{fmt::format("Four-class decisions of {}:", decision.file)});
  document.push_back(std::move(table));
  if (!decision.generated.contains("all")) return;
  Table confusion{{"true label", "ALLOW", "ESCALATION", "DENY", "REFUSE", "no label"}, {}};
  for (std::size_t label = 0; label < data::kFourClasses.size(); ++label) {
    std::vector<std::string> row = {std::string(data::kFourClasses[label])};
    for (const std::int64_t count : decision.generated.at("all").confusion[label])
      row.push_back(fmt::format("{}", count));
    confusion.rows.push_back(std::move(row));
  }
  document.push_back(Paragraph{"Generated answers with the adapter, by true label:"});
  document.push_back(std::move(confusion));
}

void add_math(Document& document, const MathFinding& math) {
  Table table{{"problems", "with adapter", "without", "gained, lost", "McNemar's p"}, {}};
  for (const auto& [name, score] : math.scores) table.rows.push_back(accuracy_row(name, score));
  document.push_back(Paragraph{fmt::format(
      "Arithmetic and geometry, {}: exact match of the parsed answer ({} answers without one, {} of the base):",
      math.file, math.unparsed, math.base_unparsed)});
  document.push_back(std::move(table));
}

void add_ablation(Document& document, const std::vector<LayerAblation>& ablation) {
  Table table{{"layer", "gate", "change of the held-out loss when shut"}, {}};
  for (const LayerAblation& layer : ablation)
    table.rows.push_back(
        {fmt::format("{}", layer.layer), fmt::format("{:.3f}", layer.gate), estimate(layer.loss_change)});
  document.push_back(
      Paragraph{"Which gates carry the gain: the held-out loss with one gate shut, less that of the whole adapter:"});
  document.push_back(std::move(table));
}

}  // namespace

void add_gain(Document& document, const GainReport& gain) {
  document.push_back(Heading{2, "Gain and loss"});
  if (!gain.held_out && !gain.general && !gain.decision && !gain.math) {
    document.push_back(Paragraph{"Not measured: that takes --model-path and data."});
    return;
  }
  add_losses(document, gain);
  if (gain.decision) add_decisions(document, *gain.decision);
  if (gain.math) add_math(document, *gain.math);
  if (!gain.ablation.empty()) add_ablation(document, gain.ablation);
}

}  // namespace nkat::validation
