#include "validation/report/plots.h"

#include <algorithm>
#include <cmath>

#include "validation/report/gate_plots.h"
#include "validation/report/plot_series.h"

namespace nkat::validation {
namespace {

constexpr int kWidth = 800;
constexpr int kHeight = 420;
constexpr const char* kStepAxis = "set xlabel 'optimizer step'\n";

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
       << fmt::format("plot {} with lines lw 1.5 lc rgb {} title 'training window'", training, kBlue);
  if (!validation.empty())
    page << fmt::format(", {} with linespoints lw 2 pt 7 ps 0.7 lc rgb {} title 'validation'", page.data(validation),
                        kOrange);
  page << "\n";
  return page.write(path);
}

bool plot_memory(const Findings& findings, const fs::path& path) {
  constexpr double kGiB = static_cast<double>(1ULL << 30);
  const bool small = findings.stability->peak_memory_bytes < (1ULL << 30);
  const double unit = small ? kGiB / 1024 : kGiB;
  PlotPage page(kWidth, kHeight);
  const std::string memory = page.data(thinned_series(
      findings.run.metrics, [unit](const auto& line) { return static_cast<double>(line.memory_bytes) / unit; }));
  page << kStepAxis
       << fmt::format("set title 'Memory'\nset ylabel 'peak of a step, {}'\nset yrange [0:*]\nset key bottom right\n",
                      small ? "MiB" : "GiB")
       << fmt::format("plot {} with lines lw 2 lc rgb {} title 'peak'", memory, kPink);
  if (findings.run.settings.vram_budget_gib && !small)
    page << fmt::format(", {} with lines dt 2 lc rgb {} title 'budget'", *findings.run.settings.vram_budget_gib,
                        kBlack);
  page << "\n";
  return page.write(path);
}

}  // namespace

std::vector<Image> draw_plots(const Findings& findings, const fs::path& folder) {
  create_folders(folder);
  struct Plot {
    const char* name;
    const char* caption;
    bool (*draw)(const Findings&, const fs::path&);
    bool wanted;
  };
  const bool geometry = !findings.geometry.empty(), full = findings.stability.has_value();
  const Plot plots[] = {{kPlotNames[0], "Gates by layer and step", plot_gate_map, true},
                        {kPlotNames[1], "Force on the gates with its fitted levels", plot_forces, true},
                        {kPlotNames[2], "Largest rotation angle by layer", plot_angles, geometry},
                        {kPlotNames[3], "Triality loss and its weight", plot_triality, full},
                        {kPlotNames[4], "Loss", plot_loss, full},
                        {kPlotNames[5], "Peak memory of a step", plot_memory, full}};
  std::vector<Image> images;
  for (const Plot& plot : plots)
    if (plot.wanted && plot.draw(findings, folder / plot.name)) images.push_back({folder / plot.name, plot.caption});
  return images;
}

}  // namespace nkat::validation
