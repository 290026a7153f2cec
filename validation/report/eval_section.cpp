#include "validation/report/eval_section.h"

#include <map>

#include "validation/report/eval_format.h"

namespace nkat::validation {
namespace {

void add_loss_rows(Table& table, const std::string& text, const LossFinding& loss) {
  const auto row = [&](const char* model, const Estimate& value, const Estimate& perplexity) {
    return std::vector<std::string>{
        text, model, estimate_text(value, kLossFormat), estimate_text(perplexity, kPerplexityFormat), "-", "-"};
  };
  if (loss.base_loss) table.rows.push_back(row("base", *loss.base_loss, *loss.base_perplexity));
  table.rows.push_back(row(loss.base_loss ? "with adapter" : "model", loss.loss, loss.perplexity));
  table.rows.back()[4] = estimate_text(loss.change, kChangeFormat);
  table.rows.back()[5] = estimate_text(loss.divergence, kDivergenceFormat);
}

void add_losses(Document& document, const EvalResults& gain) {
  Table table{{"text", "model", "loss", "perplexity", "change, paired", "KL from the base"}, {}};
  for (const auto& [name, finding] : {std::pair{"held out", &gain.held_out}, std::pair{"general", &gain.general}}) {
    if (!*finding) continue;
    const LossFinding& loss = **finding;
    add_loss_rows(table, fmt::format("{}: {}, {} targets of {} samples", name, loss.file, loss.tokens, loss.samples),
                  loss);
  }
  if (table.rows.empty()) return;
  document.push_back(Paragraph{
      "Loss, its change and KL in nats per target token; in brackets 95 % intervals by bootstrap over samples:"});
  document.push_back(std::move(table));
}

std::vector<std::string> accuracy_row(const std::string& group, const PairedAccuracy& score) {
  const bool paired = score.base.has_value();
  return {group_text(group),
          accuracy_text(score.base),
          accuracy_text(score.model),
          paired ? fmt::format("{}", score.gained) : "-",
          paired ? fmt::format("{}", score.lost) : "-",
          p_text(score.p)};
}

void add_confusion(Document& document, const std::string& whose, const Confusion& confusion, double macro_f1) {
  const std::vector<std::string> columns = confusion_columns();
  Table table{{"true label"}, {}};
  table.header.insert(table.header.end(), columns.begin(), columns.end());
  for (std::size_t label = 0; label < confusion.size(); ++label) {
    std::vector<std::string> row = {columns[label]};
    for (const std::int64_t count : confusion[label]) row.push_back(fmt::format("{}", count));
    table.rows.push_back(std::move(row));
  }
  document.push_back(Paragraph{fmt::format("{}, all by true label; macro F1 {:.3f}:", whose, macro_f1)});
  document.push_back(std::move(table));
}

void add_decisions(Document& document, const std::string& how, const std::map<std::string, DecisionScore>& scores) {
  if (scores.empty()) return;
  Table table{{"decisions", "base", "with adapter", "gained", "lost", "McNemar's p"}, {}};
  for (const auto& [language, score] : scores) table.rows.push_back(accuracy_row(language, score.accuracy));
  document.push_back(Paragraph{fmt::format("Four classes by {}:", how)});
  document.push_back(std::move(table));
  const auto all = scores.find("all");
  if (all == scores.end()) return;
  const DecisionScore& score = all->second;
  if (score.base_confusion)
    add_confusion(document, fmt::format("Base, by {}", how), *score.base_confusion, score.base_macro_f1.value_or(0.0));
  add_confusion(document, fmt::format("{}, by {}", score.base_confusion ? "With adapter" : "Model", how),
                score.confusion, score.macro_f1);
}

void add_math(Document& document, const MathFinding& math) {
  Table table{{"problems", "base", "with adapter", "gained", "lost", "McNemar's p"}, {}};
  for (const auto& [name, score] : math.scores) table.rows.push_back(accuracy_row(name, score));
  table.rows.push_back(accuracy_row("all, the last number in any form", math.any_form));
  document.push_back(Paragraph{
      fmt::format("Arithmetic and geometry, {}: exact match of the parsed answer. In any form counts an answer whose "
                  "last number is right without being marked; only a gain that holds there, too, is one in reasoning:",
                  math.file)});
  document.push_back(std::move(table));
  std::string text = unparsed_text(math.unparsed, math.unmarked_right);
  text.front() = 'A';
  if (math.any_form.base)
    text += fmt::format("; the base's {}", unparsed_text(math.base_unparsed, math.base_unmarked_right));
  document.push_back(Paragraph{fmt::format("{}. {:.0f} new tokens a second.", text, math.tokens_per_second)});
}

void add_ablation(Document& document, const std::vector<LayerAblation>& ablation) {
  Table table{{"layer", "gate", "change of the held-out loss when shut"}, {}};
  for (const LayerAblation& layer : ablation)
    table.rows.push_back({fmt::format("{}", layer.layer), fmt::format("{:.4f}", layer.gate),
                          estimate_text(layer.loss_change, kChangeFormat)});
  document.push_back(
      Paragraph{"Which gates carry the gain: the held-out loss in nats with one gate shut, less that of the whole "
                "adapter (above 0: the gate helps):"});
  document.push_back(std::move(table));
}

}  // namespace

void add_gain(Document& document, const EvalResults& gain) {
  document.push_back(Heading{2, "Gain and loss"});
  if (!gain.held_out && !gain.general && !gain.decision && !gain.math) {
    document.push_back(Paragraph{"Not measured: that takes --model-path and data."});
    return;
  }
  if (gain.step)
    document.push_back(Paragraph{
        fmt::format("Measured with the adapter of the checkpoint at step {}, in {}.", *gain.step, gain.precision)});
  add_losses(document, gain);
  if (gain.decision) {
    document.push_back(Heading{3, "Decisions of " + gain.decision->file});
    add_decisions(document, "generated answer", gain.decision->generated);
    add_decisions(document, "likelihood", gain.decision->likelihood);
  }
  if (gain.math) add_math(document, *gain.math);
  if (!gain.ablation.empty()) add_ablation(document, gain.ablation);
}

}  // namespace nkat::validation
