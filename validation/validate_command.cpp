#include <iostream>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "core/cli/log.h"
#include "core/files/atomic_file.h"
#include "core/signals.h"
#include "models/device.h"
#include "validation/commands.h"
#include "validation/report/eval_text.h"
#include "validation/report/plots.h"
#include "validation/report/report_document.h"
#include "validation/report/report_json.h"
#include "validation/report/verdict_text.h"
#include "validation/run/output_paths.h"
#include "validation/run_validation.h"

namespace nkat::validation {
namespace {

fs::path transition_plot(const ValidateConfig& config) {
  if (config.plot_phase_transition.empty()) return default_transition_plot(config.output_report);
  return config.plot_phase_transition;
}

void check_outputs(const ValidateConfig& config) {
  std::vector<fs::path> runs = {config.run};
  runs.insert(runs.end(), config.compare.begin(), config.compare.end());
  check_output_paths({{"--output-report", config.output_report, {".md", ".html", ".json"}},
                      {"--plot-phase-transition", transition_plot(config), {".png"}}},
                     {config.validation_data, config.general_data, config.reasoning_data}, runs);
  if (fs::absolute(transition_plot(config)).parent_path() == fs::absolute(plot_folder(config.output_report)))
    throw ConfigError(
        fmt::format("--plot-phase-transition '{}': the other plots go into this folder; choose another one",
                    config.plot_phase_transition));
}

// What couldn't be drawn is not left over from another run.
std::vector<Image> draw(const ValidateConfig& config, const Findings& findings) {
  std::vector<Image> plots;
  std::error_code ignored;
  const fs::path transition = transition_plot(config);
  fs::remove(transition, ignored);
  if (plot_phase_transition(findings, transition))
    plots.push_back({transition, "Order parameter, force on the gates and susceptibility", /*section=*/""});
  if (lower_ending(config.output_report) == ".json") return plots;
  const fs::path folder = plot_folder(config.output_report);
  for (const char* name : kPlotNames) fs::remove(folder / name, ignored);
  for (Image& image : draw_plots(findings, folder)) plots.push_back(std::move(image));
  return plots;
}

void write_report(const ValidateConfig& config, const Findings& findings) {
  const fs::path report = config.output_report;
  const std::vector<Image> plots = draw(config, findings);
  const std::string ending = lower_ending(report);
  if (ending == ".json") {
    write_file_atomically(report, to_json(findings).dump(2) + "\n");
  } else {
    const Document document = make_report(findings, plots);
    write_file_atomically(report, ending == ".html" ? to_html(document, "Validation of " + findings.run.name)
                                                    : to_markdown(document, report));
  }
  log::info(fmt::format("wrote {} and {} plots", report.string(), plots.size()));
}

void print(const ValidateConfig& config, const Findings& findings) {
  if (config.json) {
    std::cout << to_json(findings).dump(2) << '\n';
    return;
  }
  std::cout << verdict_sentences(findings) << "\n\n" << to_text(findings.eval);
  for (const Check& check : findings.checks) {
    std::cout << fmt::format("  {:13} {}{}", status_name(check.status), check.name,
                             check.value ? fmt::format(": {:.4g}", *check.value) : "")
              << (check.note.empty() ? "" : " (" + check.note + ")")
              << (check.command.empty() ? "" : "; measured by: " + check.command) << "\n";
  }
}

ExitCode validate(const ValidateConfig& config) {
  check_outputs(config);
  const Findings findings = validate_run(config);
  print(config, findings);  // first: a full disk must not cost what was measured
  write_report(config, findings);
  const std::string verdict = verdict_name(findings.gates.sum.verdict);
  if (!config.require.empty() && verdict != config.require)
    throw CheckError(fmt::format("--require {}: the verdict is {}", config.require, verdict));
  return ExitCode::kDone;
}

void warn_of_ignored(const ValidateConfig& config, const OptionList& options) {
  const std::vector<std::string> flags = ignored_flags(config, options);
  if (flags.empty()) return;
  log::warning(fmt::format("without effect here: {}; {}", fmt::join(flags, ", "),
                           config.model_path.empty() ? "they need --model-path, the base model of the run"
                                                     : "they need one of the tasks decision and math"));
}

ExitCode run_validate(const ValidateConfig& config, const OptionList& options) {
  install_stop_signals();
  warn_of_ignored(config, options);
  try {
    return validate(config);
  } catch (const Interrupted&) {
    log::warning("stopped before the report was written; nothing of this validation is kept, the run is as it was");
    throw;
  } catch (...) {
    models::rethrow_memory_as_device_error("nkat validate");
  }
}

}  // namespace

Command make_validate_command() {
  auto config = std::make_shared<ValidateConfig>();
  Command command{.name = "validate",
                  .summary = "judges from a run's records whether its gates went through a transition"};
  command.description =
      "Reads a run, finished or not, and writes a report: a verdict for every gate from the force that the loss exerts "
      "on it, the geometry of the rotations, the stability of training, and a checklist. With --model-path and data it "
      "also evaluates the adapter against its base.";
  declare_options(*command.options, *config);
  command.positional = "checkpoint-dir";
  command.uses_tensors = true;
  command.run = [config, options = command.options] { return run_validate(*config, *options); };
  return command;
}

}  // namespace nkat::validation
