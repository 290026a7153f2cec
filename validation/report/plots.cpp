#include "validation/report/plots.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "core/cli/progress.h"
#include "core/plot_page.h"
#include "layers/sigmoid.h"

namespace nkat::validation {
namespace {

// How many lines a point of thinned_series() stands for.
std::size_t lines_per_point(std::size_t lines, std::size_t most = 800) {
  return std::max<std::size_t>(1, (lines + most - 1) / most);
}

// (step, value) of every line; with more than `most` lines, means over equal runs of lines, NaN left out.
PlotPoints thinned_series(const std::vector<data::StepMetrics>& metrics,
                          const std::function<double(const data::StepMetrics&)>& value, std::size_t most = 800) {
  const std::size_t width = lines_per_point(metrics.size(), most);
  PlotPoints points;
  for (std::size_t begin = 0; begin < metrics.size(); begin += width) {
    const std::size_t end = std::min(begin + width, metrics.size());
    double sum = 0.0, steps = 0.0;
    std::size_t count = 0;
    for (std::size_t i = begin; i < end; ++i) {
      const double y = value(metrics[i]);
      if (!std::isfinite(y)) continue;
      sum += y;
      steps += static_cast<double>(metrics[i].step);
      ++count;
    }
    if (count > 0) points.emplace_back(steps / static_cast<double>(count), sum / static_cast<double>(count));
  }
  return points;
}

constexpr int kWidth = 800;
constexpr int kHeight = 420;
constexpr const char* kStepAxis = "set xlabel 'optimizer step'\n";

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
  const std::size_t width = lines_per_point(values.size(), 1600);
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

void plot_force(PlotPage& page, const Findings& findings, const GateFinding& finding, const std::string& title) {
  const auto force = [&](const data::StepMetrics& line) {
    if (finding.layer >= 0) return line.gate_force[static_cast<std::size_t>(finding.layer - findings.run.first_layer)];
    double sum = 0.0;
    for (const double value : line.gate_force) sum += value;
    return sum;
  };
  page << "unset object\nunset arrow\n" << tau_marks(finding) << fmt::format("set title '{}'\n", title);
  const std::string dots = page.data(thinned_series(findings.run.metrics, force, 400));
  page << fmt::format(
      "plot {} with points pt 7 ps 0.25 lc rgb '#AAAAAA' notitle, 0 with lines lc rgb {} lw 0.5 notitle", dots, kBlack);
  if (!finding.levels.empty())
    page << fmt::format(", {} with lines lw 2.5 lc rgb {} notitle", page.data(level_points(finding.levels)), kOrange);
  page << "\n";
}

bool plot_gate_map(const Findings& findings, const fs::path& path) {
  const auto layers = static_cast<std::size_t>(findings.run.layers());
  std::vector<std::vector<double>> cells;
  for (std::size_t i = 0; i < layers; ++i) {
    const auto gate = [i](const data::StepMetrics& line) { return layers::sigmoid(line.alpha[i]); };
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
  plot_force(page, findings, findings.gates.sum, panel_title(findings.gates.sum));
  for (const GateFinding& layer : findings.gates.layers) plot_force(page, findings, layer, panel_title(layer));
  page << "unset multiplot\n";
  return page.write(path);
}

// One curve a layer over the checkpoints, colored from the first layer to the last.
bool plot_by_layer(const std::vector<GeometryRow>& rows, const fs::path& path, const std::string& axis,
                   const std::function<double(const GeometryRow&)>& value) {
  std::map<std::int64_t, PlotPoints> curves;
  for (const GeometryRow& row : rows) curves[row.layer].emplace_back(static_cast<double>(row.step), value(row));
  const std::int64_t first = curves.begin()->first, last = curves.rbegin()->first;
  PlotPage page(kWidth, kHeight);
  page << kStepAxis << kViridis << "set key off\nset cblabel 'decoder layer'\nset yrange [0:*]\n"
       << axis << fmt::format("set cbrange [{}:{}]\n", first, std::max(last, first + 1));
  std::string plot;
  for (const auto& [layer, points] : curves)
    plot += fmt::format("{}{} with linespoints pt 7 ps 0.4 lw 1.5 lc palette cb {}", plot.empty() ? "plot " : ", ",
                        page.data(points), layer);
  page << plot << "\n";
  return page.write(path);
}

bool plot_angles(const Findings& findings, const fs::path& path) {
  return plot_by_layer(findings.geometry, path,
                       "set title 'Rotation angles: largest of each layer'\nset ylabel 'angle, rad'\n",
                       [](const GeometryRow& row) { return row.angle_max; });
}

bool plot_triality(const Findings& findings, const fs::path& path) {
  PlotPage page(kWidth, kHeight);
  const auto& metrics = findings.run.metrics;
  const std::string loss = page.data(thinned_series(metrics, [](const auto& line) { return line.triality; }));
  const std::string weight = page.data(thinned_series(metrics, [](const auto& line) { return line.triality_weight; }));
  page << kStepAxis
       << "set title 'Triality'\nset ylabel 'triality loss (2: unrelated rotations)'\nset y2label 'lambda'\n"
       << "set y2tics\nset ytics nomirror\nset yrange [0:*]\nset y2range [0:*]\nset key bottom right\n"
       << fmt::format("plot {} with lines lw 2 lc rgb {} title 'triality loss', ", loss, kGreen)
       << fmt::format("{} axes x1y2 with lines lw 1.5 dt 2 lc rgb {} title 'lambda (right)'\n", weight, kBlack);
  return page.write(path);
}

bool plot_loss(const Findings& findings, const fs::path& path) {
  PlotPage page(kWidth, kHeight);
  const auto& metrics = findings.run.metrics;
  const std::string training = page.data(thinned_series(metrics, [](const auto& line) { return line.loss; }));
  PlotPoints validation;
  for (const data::StepMetrics& line : metrics)
    if (line.validation_loss) validation.emplace_back(static_cast<double>(line.step), *line.validation_loss);
  page << kStepAxis << "set title 'Loss'\nset ylabel 'nats per target token'\nset key top right\n"
       << fmt::format("plot {} with lines lw 1.5 lc rgb {} title 'training, per step'", training, kBlue);
  if (!validation.empty())
    page << fmt::format(", {} with linespoints lw 2 pt 7 ps 0.7 lc rgb {} title 'validation'", page.data(validation),
                        kOrange);
  page << "\n";
  return page.write(path);
}

bool plot_memory(const Findings& findings, const fs::path& path) {
  const bool small = findings.stability->peak_memory_bytes < (1ULL << 30);
  const double unit = small ? kMiB : kGiB;
  PlotPage page(kWidth, kHeight);
  const std::string memory = page.data(thinned_series(
      findings.run.metrics, [unit](const auto& line) { return static_cast<double>(line.memory_bytes) / unit; }));
  page << kStepAxis
       << fmt::format("set title 'Memory'\nset ylabel 'peak per step, {}'\nset yrange [0:*]\nset key bottom right\n",
                      small ? "MiB" : "GiB")
       << fmt::format("plot {} with lines lw 2 lc rgb {} title 'peak'", memory, kPink);
  if (findings.run.settings.vram_budget_gib && !small)
    page << fmt::format(", {} with lines dt 2 lc rgb {} title 'budget'", *findings.run.settings.vram_budget_gib,
                        kBlack);
  page << "\n";
  return page.write(path);
}

}  // namespace

bool plot_phase_transition(const Findings& findings, const fs::path& path) {
  const GateResults& gates = findings.gates;
  const bool grows = gates.susceptibility.size() > 1;
  PlotPage page(kWidth, grows ? 900 : 600);
  page << fmt::format("set multiplot layout {},1\n", grows ? 3 : 2) << x_range(findings) << tau_marks(gates.sum)
       << "set lmargin 11\nset xlabel 'optimizer step'\n";
  for (std::size_t i = 0; i < kCrossingLevels.size(); ++i) {
    const double level = kCrossingLevels[i];
    page << fmt::format("set arrow from graph 0,first {0} to graph 1,first {0} nohead dt 3 lc rgb {1}\n", level, kGrey);
    if (!gates.crossings[i]) continue;
    // Above a rising curve there is room on its left, but for a crossing in the first quarter.
    const std::int64_t step = *gates.crossings[i], begin = findings.run.metrics.front().step;
    const bool left = 4 * (step - begin) > findings.run.metrics.back().step - begin;
    page << fmt::format(
        "set label '{0} at step {1}' at {1},{0} {2} point pt 7 ps 0.8 lc rgb {3} offset {4} font ',9'\n", level, step,
        left ? "right" : "left", kOrange, left ? "-1.2,0.3" : "1.2,-0.3");
  }
  const std::string tau =
      gates.sum.tau ? fmt::format(", tau = {} (blue line; band: 95 % interval)", *gates.sum.tau) : "";
  page << fmt::format("set title 'Order parameter: {}{}'\nset ylabel 'm, mean gate'\nset yrange [0:1]\nset key off\n",
                      verdict_name(gates.sum.verdict), tau);
  page << fmt::format("plot {} with lines lw 2 lc rgb {}\n", page.data(points_of(gates.steps, gates.order_parameter)),
                      kGreen);
  page << "unset label\nset yrange [*:*]\nset ylabel 'force, nats per target token'\n";
  plot_force(page, findings, gates.sum, "Force on the gates, sum over layers: each step, fitted levels (orange)");
  if (grows) {
    page << "unset arrow\nunset object\n"
         << tau_marks(gates.sum) << "set title 'Susceptibility'\nset ylabel 'change of m per step'\n";
    page << fmt::format("plot {} with lines lw 1.5 lc rgb {}\n",
                        page.data(points_of(gates.steps, gates.susceptibility)), kPink);
  }
  page << "unset multiplot\n";
  return page.write(path);
}

std::vector<Image> draw_plots(const Findings& findings, const fs::path& folder) {
  create_folders(folder);
  struct Plot {
    const char* name;
    const char* caption;
    bool (*draw)(const Findings&, const fs::path&);
    bool wanted;
    const char* section = "Plots";
  };
  const bool geometry = !findings.geometry.empty(), full = findings.stability.has_value();
  const Plot plots[] = {
      {kPlotNames[0], "Gates by layer and step", plot_gate_map, true, ""},
      {kPlotNames[1], "Force on the gates with its fitted levels, by layer", plot_forces, true, "Gates"},
      {kPlotNames[2], "Largest rotation angle by layer", plot_angles, geometry},
      {kPlotNames[3], "Triality loss and its weight", plot_triality, full},
      {kPlotNames[4], "Loss", plot_loss, full},
      {kPlotNames[5], "Peak memory of a step", plot_memory, full}};
  std::vector<Image> images;
  for (const Plot& plot : plots)
    if (plot.wanted && plot.draw(findings, folder / plot.name))
      images.push_back({folder / plot.name, plot.caption, plot.section});
  return images;
}

}  // namespace nkat::validation
