#include "train/run/training_plot.h"

#include <cmath>
#include <functional>

#include "core/cli/progress.h"
#include "core/plot_page.h"
#include "layers/sigmoid.h"

namespace nkat::train {
namespace {

PlotPoints points(const std::vector<StepMetrics>& history, const std::function<double(const StepMetrics&)>& value) {
  PlotPoints result;
  for (const StepMetrics& line : history) {
    const double y = value(line);
    if (std::isfinite(y)) result.emplace_back(static_cast<double>(line.step), y);
  }
  return result;
}

void plot_loss(PlotPage& page, const std::vector<StepMetrics>& history) {
  const PlotPoints losses = points(history, [](const StepMetrics& m) { return m.loss; });
  if (losses.empty()) {  // gnuplot draws no axes without a point
    page << "set title 'Loss'\nset label 1 'no step has a finite loss' at graph 0.5,0.5 center\n"
         << "plot [0:1][0:1] NaN notitle\nunset label 1\n";
    return;
  }
  const std::string training = page.data(losses);
  const PlotPoints validation =
      points(history, [](const StepMetrics& m) { return m.validation_loss.value_or(std::nan("")); });
  page << "set title 'Loss'\nset ylabel 'nats per target token'\nset key inside top right\n"
       << fmt::format("plot {} with lines lw 1.5 lc rgb {} title 'training'", training, kBlue);
  if (!validation.empty())
    page << fmt::format(", {} with linespoints lw 2 pt 7 ps 0.6 lc rgb {} title 'validation'", page.data(validation),
                        kOrange);
  page << "\n";
}

void plot_gates(PlotPage& page, const std::vector<StepMetrics>& history, std::int64_t first_layer) {
  const std::size_t layers = history.front().alpha.size();
  std::string curves;
  for (std::size_t i = 0; i < layers; ++i) {
    // With many layers only the first and the last are named.
    const bool named = layers <= 8 || i == 0 || i + 1 == layers;
    curves +=
        fmt::format("{}{} with lines lw 1.5 lc palette frac {:.3f} {}", i == 0 ? "" : ", ",
                    page.data(points(history, [i](const StepMetrics& m) { return layers::sigmoid(m.alpha[i]); })),
                    layers > 1 ? static_cast<double>(i) / static_cast<double>(layers - 1) : 0.0,
                    named ? fmt::format("title 'layer {}'", first_layer + static_cast<std::int64_t>(i)) : "notitle");
  }
  page << "set title 'Gates by layer'\nset ylabel 'sigmoid(alpha)'\nset yrange [0:1]\nset key outside right\n"
       << kViridis << "unset colorbox\n"
       << "plot " << curves << "\nset yrange [*:*]\n";
}

void plot_triality(PlotPage& page, const std::vector<StepMetrics>& history) {
  const std::string loss = page.data(points(history, [](const StepMetrics& m) { return m.triality; }));
  const std::string weight = page.data(points(history, [](const StepMetrics& m) { return m.triality_weight; }));
  page << "set title 'Triality'\nset ylabel 'triality loss'\nset y2label 'lambda'\nset y2tics\nset ytics "
          "nomirror\nset y2range [0:*]\nset key inside center right\n"
       << fmt::format("plot {} with lines lw 1.5 lc rgb {} title 'triality loss', ", loss, kGreen)
       << fmt::format("{} axes x1y2 with lines lw 1.5 dt 2 lc rgb {} title 'lambda (right)'\n", weight, kBlack)
       << "unset y2label\nunset y2tics\nset ytics mirror\n";
}

void plot_memory(PlotPage& page, const std::vector<StepMetrics>& history) {
  const auto peak = std::max_element(history.begin(), history.end(),
                                     [](const auto& a, const auto& b) { return a.memory_bytes < b.memory_bytes; });
  const bool small = peak->memory_bytes < (1ULL << 30);
  const double unit = small ? kMiB : kGiB;
  const std::string memory =
      page.data(points(history, [unit](const StepMetrics& m) { return static_cast<double>(m.memory_bytes) / unit; }));
  page << "set title 'Memory'\nset ylabel 'peak of the step, " << (small ? "MiB" : "GiB")
       << "'\nset yrange [0:*]\nset key off\n"
       << fmt::format("plot {} with lines lw 1.5 lc rgb {}\n", memory, kPink);
}

}  // namespace

void plot_training(const std::vector<StepMetrics>& history, std::int64_t first_layer, const fs::path& path) {
  if (history.empty()) return;
  PlotPage page(1200, 800);
  page << "set xlabel 'optimizer step'\nset multiplot layout 2,2\n";
  plot_loss(page, history);
  plot_gates(page, history, first_layer);
  plot_triality(page, history);
  plot_memory(page, history);
  page << "unset multiplot\n";
  page.write(path);
}

}  // namespace nkat::train
