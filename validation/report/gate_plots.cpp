#include "validation/report/gate_plots.h"

#include <algorithm>
#include <cmath>

#include "validation/report/plot_series.h"
#include "validation/report/plots.h"

namespace nkat::validation {
namespace {

constexpr int kWidth = 800;

std::string x_range(const Findings& findings) {
  return fmt::format("set xrange [{}:{}]\n", findings.run.metrics.front().step,
                     std::max(findings.run.metrics.back().step, findings.run.metrics.front().step + 1));
}

// A line of full height at tau, in a band as wide as its interval.
std::string tau_marks(const GateFinding& finding) {
  std::string commands;
  if (finding.tau_interval) {
    commands += fmt::format(
        "set object rectangle from {},graph 0 to {},graph 1 fc rgb {} fs transparent solid 0.2 noborder back\n",
        finding.tau_interval->low, finding.tau_interval->high, kSky);
  }
  if (finding.tau)
    commands +=
        fmt::format("set arrow from {0},graph 0 to {0},graph 1 nohead lw 1.5 lc rgb {1}\n", *finding.tau, kBlue);
  if (finding.sign_change) {
    commands += fmt::format("set arrow from {0},graph 0 to {0},graph 1 nohead lw 1.5 dt 2 lc rgb {1}\n",
                            *finding.sign_change, kPink);
  }
  return commands;
}

PlotPoints points_of(const std::vector<std::int64_t>& steps, const std::vector<double>& values) {
  PlotPoints points;
  const std::size_t width = lines_a_point(values.size(), 1600);
  for (std::size_t i = 0; i < values.size(); i += width) points.emplace_back(static_cast<double>(steps[i]), values[i]);
  return points;
}

std::string panel_title(const GateFinding& finding) {
  const std::string name = finding.layer < 0 ? "sum over layers" : fmt::format("layer {}", finding.layer);
  return fmt::format("{}: {}", name, verdict_name(finding.verdict));
}

PlotPoints level_points(const std::vector<ForceLevel>& levels) {
  PlotPoints points;
  for (const ForceLevel& level : levels) {
    points.emplace_back(static_cast<double>(level.from), level.force);
    points.emplace_back(static_cast<double>(level.to), level.force);
  }
  return points;
}

void plot_force(PlotPage& page, const Findings& findings, const GateFinding& finding) {
  const auto force = [&](const data::StepMetrics& line) {
    if (finding.layer >= 0) return line.gate_force[static_cast<std::size_t>(finding.layer - findings.run.first_layer)];
    double sum = 0.0;
    for (const double value : line.gate_force) sum += value;
    return sum;
  };
  page << "unset object\nunset arrow\n" << tau_marks(finding) << fmt::format("set title '{}'\n", panel_title(finding));
  const std::string dots = page.data(thinned_series(findings.run.metrics, force, 400));
  page << fmt::format(
      "plot {} with points pt 7 ps 0.25 lc rgb '#AAAAAA' notitle, 0 with lines lc rgb {} lw 0.5 notitle", dots, kBlack);
  if (!finding.levels.empty())
    page << fmt::format(", {} with lines lw 2.5 lc rgb {} notitle", page.data(level_points(finding.levels)), kOrange);
  page << "\n";
}

}  // namespace

bool plot_phase_transition(const Findings& findings, const fs::path& path) {
  const GateReport& gates = findings.gates;
  const bool grows = gates.susceptibility.size() > 1;
  PlotPage page(kWidth, grows ? 700 : 380);
  page << fmt::format("set multiplot layout {},1\n", grows ? 2 : 1) << x_range(findings) << tau_marks(gates.sum)
       << "set lmargin 11\nset xlabel 'optimizer step'\n";
  for (std::size_t i = 0; i < kCrossingLevels.size(); ++i) {
    const double level = kCrossingLevels[i];
    page << fmt::format("set arrow from graph 0,first {0} to graph 1,first {0} nohead dt 3 lc rgb {1}\n", level, kGrey);
    if (gates.crossings[i])
      page << fmt::format(
          "set label '{0} at step {1}' at {1},{0} point pt 7 ps 0.8 lc rgb {2} offset 1.2,{3} font ',9'\n", level,
          *gates.crossings[i], kOrange, i == 0 ? -0.3 : 0.5);
  }
  const std::string tau =
      gates.sum.tau ? fmt::format(", tau = {} (blue line; band: 95 % interval)", *gates.sum.tau) : "";
  page << fmt::format("set title 'Order parameter: {}{}'\nset ylabel 'm, mean gate'\nset yrange [0:1]\nset key off\n",
                      verdict_name(gates.sum.verdict), tau);
  page << fmt::format("plot {} with lines lw 2 lc rgb {}\n", page.data(points_of(gates.steps, gates.order_parameter)),
                      kGreen);
  if (grows) {
    page << "unset label\nunset arrow\nunset object\n"
         << tau_marks(gates.sum) << "set title 'Susceptibility'\nset ylabel 'change of m from a step to the next'\n"
         << "set yrange [*:*]\n";
    page << fmt::format("plot {} with lines lw 1.5 lc rgb {}\n",
                        page.data(points_of(gates.steps, gates.susceptibility)), kPink);
  }
  page << "unset multiplot\n";
  return page.write(path);
}

bool plot_gate_map(const Findings& findings, const fs::path& path) {
  const auto layers = static_cast<std::size_t>(findings.run.layers());
  std::vector<std::vector<double>> cells;
  for (std::size_t i = 0; i < layers; ++i) {
    const auto gate = [i](const data::StepMetrics& line) { return gate_of(line.alpha[i]); };
    for (const auto& [step, value] : thinned_series(findings.run.metrics, gate, 400))
      cells.push_back({step, static_cast<double>(findings.run.first_layer) + static_cast<double>(i), value});
  }
  PlotPage page(kWidth, static_cast<int>(220 + 12 * std::max<std::size_t>(layers, 6)));
  page << x_range(findings)
       << "set title 'Gates'\nset xlabel 'optimizer step'\nset ylabel 'decoder layer'\nset cblabel 'sigmoid(alpha)'\n"
       << kViridis << "set cbrange [0:1]\nset key off\nunset grid\n"
       << fmt::format("set yrange [{}:{}]\n", static_cast<double>(findings.run.first_layer) - 0.5,
                      static_cast<double>(findings.run.first_layer) + static_cast<double>(layers) - 0.5);
  page << fmt::format("plot {} using 1:2:3 with image\n", page.data(cells));
  return page.write(path);
}

bool plot_forces(const Findings& findings, const fs::path& path) {
  const std::size_t panels = 1 + findings.gates.layers.size();
  const int rows = static_cast<int>((panels + 1) / 2);
  PlotPage page(kWidth, 60 + 190 * rows);
  page << fmt::format(
              "set multiplot layout {},2 title 'Force on the gates, -dL/dsigma, nats per target token: dots, fitted "
              "levels "
              "(orange), tau and its interval (blue), sign change (dashed)' font ',9'\n",
              rows)
       << x_range(findings)
       << "set key off\nset xtics font ',8'\nset ytics font ',8'\nset title font ',10'\nset xlabel 'step' font ',8' "
          "offset 0,0.6\nset ylabel 'force, nats' font ',8'\n";
  plot_force(page, findings, findings.gates.sum);
  for (const GateFinding& layer : findings.gates.layers) plot_force(page, findings, layer);
  page << "unset multiplot\n";
  return page.write(path);
}

}  // namespace nkat::validation
