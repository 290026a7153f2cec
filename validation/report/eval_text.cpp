#include "validation/report/eval_text.h"

#include <map>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "data/datasets/record.h"

namespace nkat::validation {
namespace {

// Formats of one number. Changes carry their sign; a divergence may be small.
constexpr std::string_view kLossFormat = "{:.4f}";
constexpr std::string_view kPerplexityFormat = "{:.3f}";
constexpr std::string_view kChangeFormat = "{:+.4f}";
constexpr std::string_view kDivergenceFormat = "{:.4g}";

// " [1.5, 2.5]" or "".
std::string interval_text(const std::optional<Interval>& interval, std::string_view format) {
  if (!interval) return "";
  return fmt::format(" [{}, {}]", fmt::format(fmt::runtime(format), interval->low),
                     fmt::format(fmt::runtime(format), interval->high));
}

// "2.0 [1.5, 2.5]".
std::string estimate_text(const Estimate& estimate, std::string_view format) {
  return fmt::format(fmt::runtime(format), estimate.value) + interval_text(estimate.interval, format);
}

std::string estimate_text(const std::optional<Estimate>& estimate, std::string_view format) {
  return estimate ? estimate_text(*estimate, format) : "-";
}

// "80.0 % (8 of 10) [50.0, 90.0]".
std::string accuracy_text(const Accuracy& accuracy) {
  const Interval percent = {100 * accuracy.interval.low, 100 * accuracy.interval.high};
  return fmt::format("{:.1f} % ({} of {}){}", 100 * accuracy.value(), accuracy.right, accuracy.questions,
                     interval_text(percent, "{:.1f}"));
}

std::string accuracy_text(const std::optional<Accuracy>& accuracy) { return accuracy ? accuracy_text(*accuracy) : "-"; }

std::string p_text(const std::optional<double>& p) { return p ? fmt::format("{:.2g}", *p) : "-"; }

std::string group_text(const std::string& group) { return group.empty() ? "other" : group; }

// The labels, then the column for answers without one.
std::vector<std::string> confusion_columns() {
  std::vector<std::string> columns;
  for (const std::string_view label : data::kFourClasses) columns.emplace_back(label);
  columns.emplace_back("no label");
  return columns;
}

std::string unparsed_text(std::int64_t unparsed, std::int64_t unmarked_right) {
  return fmt::format("answers without a number in the form asked for: {} ({} of them end in the right one)", unparsed,
                     unmarked_right);
}

// On the screen.

std::string loss_text(const char* who, const Estimate& loss, const Estimate& perplexity) {
  return fmt::format("  {:<14}loss {} nats  perplexity {}\n", who, estimate_text(loss, kLossFormat),
                     estimate_text(perplexity, kPerplexityFormat));
}

std::string loss_finding_text(const char* what, const LossFinding& finding) {
  std::string text = fmt::format("{} {}: {} target tokens of {} samples; 95 % intervals in brackets\n", what,
                                 finding.file, finding.tokens, finding.samples);
  if (finding.base_loss) text += loss_text("base", *finding.base_loss, *finding.base_perplexity);
  text += loss_text(finding.base_loss ? "with adapter" : "model", finding.loss, finding.perplexity);
  if (finding.change) text += fmt::format("  {:<14}{} nats\n", "change", estimate_text(*finding.change, kChangeFormat));
  if (finding.divergence) {
    text += fmt::format("  {:<14}{} nats per token from the base\n", "KL",
                        estimate_text(*finding.divergence, kDivergenceFormat));
  }
  return text;
}

std::string ablation_text(const std::vector<LayerAblation>& ablation) {
  std::string text =
      "one gate closed: held-out loss in nats, minus that of the whole adapter (above 0: the gate helps)\n";
  for (const LayerAblation& one : ablation) {
    text += fmt::format("  layer {:<3} gate {:.4f}  {}\n", one.layer, one.gate,
                        estimate_text(one.loss_change, kChangeFormat));
  }
  return text;
}

std::string paired_text(const std::string& name, const PairedAccuracy& accuracy) {
  const std::string model = accuracy_text(accuracy.model);
  if (!accuracy.base) return fmt::format("  {:<12}{}\n", group_text(name), model);
  const std::string p = accuracy.p ? ", McNemar p " + p_text(accuracy.p) : "";
  return fmt::format("  {:<12}base {}  with adapter {}  gained {}, lost {}{}\n", group_text(name),
                     accuracy_text(*accuracy.base), model, accuracy.gained, accuracy.lost, p);
}

std::string confusion_text(const char* who, const Confusion& confusion, double macro_f1) {
  std::string text = fmt::format("  {}: macro F1 {:.3f}; rows are the true labels\n  {:<12}", who, macro_f1, "");
  const std::vector<std::string> columns = confusion_columns();
  for (const std::string& label : columns) text += fmt::format("{:>12}", label);
  text += '\n';
  for (std::size_t row = 0; row < confusion.size(); ++row) {
    text += fmt::format("  {:<12}", columns[row]);
    for (const std::int64_t count : confusion[row]) text += fmt::format("{:>12}", count);
    text += '\n';
  }
  return text;
}

std::string decision_text(const char* how, const std::map<std::string, DecisionScore>& scores) {
  if (scores.empty()) return "";
  std::string text = fmt::format("four classes by {}\n", how);
  for (const auto& [language, score] : scores) text += paired_text(language, score.accuracy);
  const auto all = scores.find("all");
  if (all == scores.end()) return text;
  const DecisionScore& score = all->second;
  if (score.base_confusion) text += confusion_text("base", *score.base_confusion, score.base_macro_f1.value_or(0.0));
  return text + confusion_text(score.base_confusion ? "with adapter" : "model", score.confusion, score.macro_f1);
}

std::string math_text(const MathFinding& finding) {
  std::string text = fmt::format("right answers, {}\n", finding.file);
  for (const auto& [name, score] : finding.scores) text += paired_text(name, score);
  if (finding.any_form.base)
    text += fmt::format("  base's {}\n", unparsed_text(finding.base_unparsed, finding.base_unmarked_right));
  text += fmt::format("  {}\nwith these counted as right\n", unparsed_text(finding.unparsed, finding.unmarked_right)) +
          paired_text("all", finding.any_form);
  return text + fmt::format("  {:.0f} new tokens per second\n", finding.tokens_per_second);
}

// In a report.

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

void add_losses(Document& document, const EvalResults& results) {
  Table table{{"text", "model", "loss", "perplexity", "change, paired", "KL from the base"}, {}};
  for (const auto& [name, finding] :
       {std::pair{"held out", &results.held_out}, std::pair{"general", &results.general}}) {
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
  document.push_back(Paragraph{fmt::format("{}. {:.0f} new tokens per second.", text, math.tokens_per_second)});
}

void add_ablation(Document& document, const std::vector<LayerAblation>& ablation) {
  Table table{{"layer", "gate", "change of the held-out loss when closed"}, {}};
  for (const LayerAblation& layer : ablation)
    table.rows.push_back({fmt::format("{}", layer.layer), fmt::format("{:.4f}", layer.gate),
                          estimate_text(layer.loss_change, kChangeFormat)});
  document.push_back(
      Paragraph{"Which gates carry the gain: the held-out loss in nats with one gate closed, minus that of the whole "
                "adapter (above 0: the gate helps):"});
  document.push_back(std::move(table));
}

}  // namespace

std::string to_text(const EvalResults& results) {
  std::string text;
  if (results.held_out) text += loss_finding_text("held-out", *results.held_out);
  if (results.general) text += loss_finding_text("general", *results.general);
  if (!results.ablation.empty()) text += ablation_text(results.ablation);
  if (results.decision) {
    text += results.decision->file + "\n" + decision_text("generated answer", results.decision->generated) +
            decision_text("likelihood", results.decision->likelihood);
  }
  if (results.math) text += math_text(*results.math);
  return text;
}

void add_eval_results(Document& document, const EvalResults& results) {
  document.push_back(Heading{2, "Gain and loss", /*folded=*/true});
  if (!results.held_out && !results.general && !results.decision && !results.math) {
    document.push_back(Paragraph{"Not measured: that takes --model-path and data."});
    return;
  }
  if (results.step)
    document.push_back(Paragraph{fmt::format("Measured with the adapter of the checkpoint at step {}, in {}.",
                                             *results.step, results.precision)});
  add_losses(document, results);
  if (results.decision) {
    document.push_back(Heading{3, "Decisions of " + results.decision->file});
    add_decisions(document, "generated answer", results.decision->generated);
    add_decisions(document, "likelihood", results.decision->likelihood);
  }
  if (results.math) add_math(document, *results.math);
  if (!results.ablation.empty()) add_ablation(document, results.ablation);
}

}  // namespace nkat::validation
