#include "validation/report/eval_text.h"

#include <fmt/format.h>

#include "validation/report/eval_format.h"

namespace nkat::validation {
namespace {

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
    text += fmt::format("  {:<14}{} nats a token from the base\n", "KL",
                        estimate_text(*finding.divergence, kDivergenceFormat));
  }
  return text;
}

std::string ablation_text(const std::vector<LayerAblation>& ablation) {
  std::string text = "one gate shut: held-out loss in nats, less that of the whole adapter (above 0: the gate helps)\n";
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
  return text + fmt::format("  {:.0f} new tokens a second\n", finding.tokens_per_second);
}

}  // namespace

std::string to_text(const EvalResults& report) {
  std::string text;
  if (report.held_out) text += loss_finding_text("held-out", *report.held_out);
  if (report.general) text += loss_finding_text("general", *report.general);
  if (!report.ablation.empty()) text += ablation_text(report.ablation);
  if (report.decision) {
    text += report.decision->file + "\n" + decision_text("generated answer", report.decision->generated) +
            decision_text("likelihood", report.decision->likelihood);
  }
  if (report.math) text += math_text(*report.math);
  return text;
}

}  // namespace nkat::validation
