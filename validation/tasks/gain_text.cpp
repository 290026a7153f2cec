#include "validation/tasks/gain_text.h"

#include <fmt/format.h>

#include "data/record.h"

namespace nkat::validation {
namespace {

// format: of one number, "{:.3f}"
std::string interval_text(const std::optional<Interval>& interval, std::string_view format) {
  if (!interval) return "";
  return fmt::format("  [{}, {}]", fmt::format(fmt::runtime(format), interval->low),
                     fmt::format(fmt::runtime(format), interval->high));
}

std::string loss_text(const char* who, const Estimate& loss, const Estimate& perplexity) {
  return fmt::format("  {:<14}loss {:.4f} nats{}  perplexity {:.3f}{}\n", who, loss.value,
                     interval_text(loss.interval, "{:.4f}"), perplexity.value,
                     interval_text(perplexity.interval, "{:.3f}"));
}

std::string loss_finding_text(const char* what, const LossFinding& finding) {
  std::string text = fmt::format("{} {}: {} target tokens of {} samples; 95 % intervals in brackets\n", what,
                                 finding.file, finding.tokens, finding.samples);
  if (finding.base_loss) text += loss_text("base", *finding.base_loss, *finding.base_perplexity);
  text += loss_text(finding.base_loss ? "with adapter" : "model", finding.loss, finding.perplexity);
  if (finding.change) {
    text += fmt::format("  {:<14}{:+.4f} nats{}\n", "change", finding.change->value,
                        interval_text(finding.change->interval, "{:.4f}"));
  }
  if (finding.divergence) {
    text += fmt::format("  {:<14}{:.4g} nats a token from the base{}\n", "KL", finding.divergence->value,
                        interval_text(finding.divergence->interval, "{:.4g}"));
  }
  return text;
}

std::string ablation_text(const std::vector<LayerAblation>& ablation) {
  std::string text = "one gate shut: held-out loss in nats, less that of the whole adapter (above 0: the gate helps)\n";
  for (const LayerAblation& one : ablation) {
    text += fmt::format("  layer {:<3} gate {:.4f}  {:+.4f}{}\n", one.layer, one.gate, one.loss_change.value,
                        interval_text(one.loss_change.interval, "{:.4f}"));
  }
  return text;
}

std::string accuracy_text(const Accuracy& accuracy) {
  return fmt::format("{:.1f} % ({} of {}) [{:.1f}, {:.1f}]", 100 * accuracy.value(), accuracy.right, accuracy.questions,
                     100 * accuracy.interval.low, 100 * accuracy.interval.high);
}

std::string paired_text(const std::string& name, const PairedAccuracy& accuracy) {
  const std::string model = accuracy_text(accuracy.model);
  if (!accuracy.base) return fmt::format("  {:<12}{}\n", name, model);
  const std::string p = accuracy.p ? fmt::format(", McNemar p {:.2g}", *accuracy.p) : "";
  return fmt::format("  {:<12}base {}  with adapter {}  gained {}, lost {}{}\n", name, accuracy_text(*accuracy.base),
                     model, accuracy.gained, accuracy.lost, p);
}

std::string confusion_text(const char* who, const Confusion& confusion, double macro_f1) {
  std::string text = fmt::format("  {}: macro F1 {:.3f}; rows are the true labels\n  {:<12}", who, macro_f1, "");
  for (const std::string_view label : data::kFourClasses) text += fmt::format("{:>12}", label);
  text += fmt::format("{:>12}\n", "no label");
  for (std::size_t row = 0; row < confusion.size(); ++row) {
    text += fmt::format("  {:<12}", data::kFourClasses[row]);
    for (const std::int64_t count : confusion[row]) text += fmt::format("{:>12}", count);
    text += '\n';
  }
  return text;
}

std::string decision_text(const char* how, const std::map<std::string, DecisionScore>& scores) {
  if (scores.empty()) return "";
  std::string text = fmt::format("four classes by {}\n", how);
  for (const auto& [language, score] : scores)
    text += paired_text(language.empty() ? "other" : language, score.accuracy);
  const auto all = scores.find("all");
  if (all == scores.end()) return text;
  const DecisionScore& score = all->second;
  if (score.base_confusion) text += confusion_text("base", *score.base_confusion, score.base_macro_f1.value_or(0.0));
  return text + confusion_text(score.base_confusion ? "with adapter" : "model", score.confusion, score.macro_f1);
}

std::string math_text(const MathFinding& finding) {
  std::string text = fmt::format("right answers, {}\n", finding.file);
  for (const auto& [name, score] : finding.scores) text += paired_text(name.empty() ? "other" : name, score);
  const auto unparsed = [](const char* whose, std::int64_t count, std::int64_t right) {
    return fmt::format("  {}answers without a number in the form asked for: {} ({} of them end in the right one)\n",
                       whose, count, right);
  };
  const bool paired = finding.scores.contains("all") && finding.scores.at("all").base;
  if (paired) text += unparsed("base's ", finding.base_unparsed, finding.base_unmarked_right);
  text += unparsed("", finding.unparsed, finding.unmarked_right) + "with these counted as right\n" +
          paired_text("all", finding.any_form);
  return text + fmt::format("  {:.0f} new tokens a second\n", finding.tokens_per_second);
}

}  // namespace

std::string to_text(const GainReport& report) {
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
