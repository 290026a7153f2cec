#include "validation/validate_command.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "core/log.h"
#include "core/signals.h"
#include "models/out_of_memory.h"
#include "validation/report/plots.h"
#include "validation/report/report_document.h"
#include "validation/report/report_json.h"
#include "validation/report/verdict_text.h"
#include "validation/run_validation.h"
#include "validation/tasks/gain_text.h"

namespace nkat::validation {
namespace {

// runs/report.md -> runs/report-plots
fs::path plot_folder(const fs::path& report) { return report.parent_path() / (report.stem().string() + "-plots"); }

// Before anything is measured: a report that can't be written should not cost an hour.
void require_writable(const fs::path& path) {
  const fs::path folder = fs::absolute(path).parent_path();
  std::error_code error;
  if (!fs::is_directory(folder, error))
    throw ConfigError(fmt::format("{}: the folder {} does not exist; create it first", path.string(), folder.string()));
  if (fs::is_directory(path, error))
    throw ConfigError(fmt::format("{}: a file was expected, this is a folder", path.string()));
}

void write_report(const ValidateConfig& config, const Findings& findings) {
  const fs::path report = config.output_report;
  std::vector<Image> plots;
  if (plot_phase_transition(findings, config.plot_phase_transition))
    plots.push_back({config.plot_phase_transition, "Order parameter, crossings and susceptibility"});
  if (report.extension() == ".json") {
    write_file_durably(report, to_json(findings).dump(2) + "\n");
  } else {
    for (Image& image : draw_plots(findings, plot_folder(report))) plots.push_back(std::move(image));
    const Document document = make_report(findings, plots);
    write_file_durably(report, report.extension() == ".html" ? to_html(document, "Validation of " + findings.run.name)
                                                             : to_markdown(document, report));
  }
  log::info(fmt::format("wrote {} and {}", report.string(), config.plot_phase_transition));
}

void print(const ValidateConfig& config, const Findings& findings) {
  if (config.json) {
    std::cout << to_json(findings).dump(2) << '\n';
    return;
  }
  std::cout << verdict_sentences(findings) << "\n\n" << to_text(findings.gain);
  for (const Check& check : findings.checks) {
    std::cout << fmt::format("  {:13} {}{}", status_name(check.status), check.name,
                             check.value ? fmt::format(": {:.4g}", *check.value) : "")
              << (check.note.empty() ? "" : " (" + check.note + ")")
              << (check.command.empty() ? "" : "; measured by: " + check.command) << "\n";
  }
}

ExitCode run_validate(const ValidateConfig& config) {
  install_stop_signals();
  for (const std::string& path : {config.output_report, config.plot_phase_transition}) require_writable(path);
  try {
    const Findings findings = validate_run(config);
    write_report(config, findings);
    print(config, findings);
    const std::string verdict = verdict_name(findings.gates.sum.verdict);
    if (!config.require.empty() && verdict != config.require)
      throw CheckError(fmt::format("--require {}: the verdict is {}", config.require, verdict));
    return ExitCode::kDone;
  } catch (...) {
    models::rethrow_memory_as_device_error("nkat validate");
  }
}

}  // namespace

Command make_validate_command() {
  auto config = std::make_shared<ValidateConfig>();
  Command command{.name = "validate",
                  .summary = "says from a run's checkpoints whether its gates went through a transition"};
  command.description =
      "Reads a run, finished or not, and writes a report: a verdict for every gate from the force that the loss exerts "
      "on "
      "it, the geometry of the rotations, how steady training was, and a checklist. With --model-path and data it also "
      "measures what the adapter gained and what the base lost.";
  declare_options(*command.options, *config);
  command.positional = "checkpoint-dir";
  command.computes = true;
  command.run = [config] { return run_validate(*config); };
  return command;
}

}  // namespace nkat::validation
