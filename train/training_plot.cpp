#include "train/training_plot.h"

#include <gnuplot-iostream.h>
#include <cmath>
#include <cstdlib>

#include "core/log.h"

namespace nkat::train {
namespace {

using Points = std::vector<std::pair<double, double>>;

// (step, value) of every line whose value is finite; a log axis also needs it above 0.
Points points(const std::vector<StepMetrics>& history, const std::function<double(const StepMetrics&)>& value) {
  Points result;
  for (const StepMetrics& line : history) {
    const double y = value(line);
    if (std::isfinite(y)) result.emplace_back(static_cast<double>(line.step), y);
  }
  return result;
}

void plot_loss(Gnuplot& gnuplot, const std::vector<StepMetrics>& history) {
  const Points validation =
      points(history, [](const StepMetrics& m) { return m.validation_loss.value_or(std::nan("")); });
  gnuplot << "set title 'Loss'\nset ylabel 'nats per target token'\nset key inside top right\n";
  gnuplot << "plot '-' with lines lw 1.5 lc rgb '#0072B2' title 'training window'";
  if (!validation.empty()) gnuplot << ", '-' with linespoints lw 2 pt 7 ps 0.6 lc rgb '#D55E00' title 'validation'";
  gnuplot << "\n";
  gnuplot.send1d(points(history, [](const StepMetrics& m) { return m.loss; }));
  if (!validation.empty()) gnuplot.send1d(validation);
}

void plot_gates(Gnuplot& gnuplot, const std::vector<StepMetrics>& history, std::int64_t first_layer) {
  const std::size_t layers = history.front().alpha.size();
  gnuplot << "set title 'Gates by layer'\nset ylabel 'sigmoid(alpha)'\nset yrange [0:1]\nset key outside right\n"
          << "set palette defined (0 '#440154', 0.35 '#31688E', 0.7 '#35B779', 1 '#FDE725')\nunset colorbox\nplot ";
  for (std::size_t i = 0; i < layers; ++i) {
    // With many layers only the first and the last are named.
    const bool named = layers <= 8 || i == 0 || i + 1 == layers;
    gnuplot << fmt::format(
        "{}'-' with lines lw 1.5 lc palette frac {:.3f} {}", i == 0 ? "" : ", ",
        layers > 1 ? static_cast<double>(i) / static_cast<double>(layers - 1) : 0.0,
        named ? fmt::format("title 'layer {}'", first_layer + static_cast<std::int64_t>(i)) : "notitle");
  }
  gnuplot << "\n";
  for (std::size_t i = 0; i < layers; ++i) {
    gnuplot.send1d(points(history, [i](const StepMetrics& m) { return 1.0 / (1.0 + std::exp(-m.alpha[i])); }));
  }
  gnuplot << "set yrange [*:*]\n";
}

void plot_triality(Gnuplot& gnuplot, const std::vector<StepMetrics>& history) {
  gnuplot << "set title 'Triality'\nset ylabel 'triality loss'\nset y2label 'lambda'\nset y2tics\nset ytics "
             "nomirror\nset y2range [0:*]\nset key inside center right\n"
          << "plot '-' with lines lw 1.5 lc rgb '#009E73' title 'triality loss', '-' axes x1y2 with lines lw 1.5 dt 2 "
             "lc rgb '#000000' title 'lambda (right)'\n";
  gnuplot.send1d(points(history, [](const StepMetrics& m) { return m.triality; }));
  gnuplot.send1d(points(history, [](const StepMetrics& m) { return m.triality_weight; }));
  gnuplot << "unset y2label\nunset y2tics\nset ytics mirror\n";
}

void plot_memory(Gnuplot& gnuplot, const std::vector<StepMetrics>& history) {
  const auto peak = std::max_element(history.begin(), history.end(),
                                     [](const auto& a, const auto& b) { return a.memory_bytes < b.memory_bytes; });
  const bool small = peak->memory_bytes < (1ULL << 30);
  const double unit = small ? 1024.0 * 1024.0 : 1024.0 * 1024.0 * 1024.0;
  gnuplot << "set title 'Memory'\nset ylabel 'peak of the step, " << (small ? "MiB" : "GiB")
          << "'\nset yrange [0:*]\nset key off\n"
          << "plot '-' with lines lw 1.5 lc rgb '#CC79A7'\n";
  gnuplot.send1d(points(history, [unit](const StepMetrics& m) { return static_cast<double>(m.memory_bytes) / unit; }));
}

// As gnuplot's single-quoted string, in which '' is a quote.
std::string quoted(const fs::path& path) {
  std::string text = "'";
  for (const char letter : path.string()) text += letter == '\'' ? "''" : std::string(1, letter);
  return text + "'";
}

}  // namespace

void plot_training(const std::vector<StepMetrics>& history, std::int64_t first_layer, const fs::path& path) {
  if (history.empty()) return;
  const fs::path temporary = path.string() + ".partial";
  try {
    Gnuplot gnuplot("gnuplot 2>/dev/null");
    gnuplot << "set terminal pngcairo size 1200,800 font 'sans,11'\nset output " << quoted(temporary) << "\n"
            << "set xlabel 'optimizer step'\nset grid lc rgb '#DDDDDD'\nset multiplot layout 2,2\n";
    plot_loss(gnuplot, history);
    plot_gates(gnuplot, history, first_layer);
    plot_triality(gnuplot, history);
    plot_memory(gnuplot, history);
    gnuplot << "unset multiplot\nset output\n";
  } catch (const std::exception& error) {
    log::warning(fmt::format("no plot: {}", error.what()));
  }
  std::error_code error;
  fs::rename(temporary, path, error);
  if (error)
    log::warning(fmt::format("{}: not drawn; is gnuplot installed? (scripts/setup installs it)", path.string()));
}

}  // namespace nkat::train
