// A page of plots, drawn by gnuplot into a PNG. Colors are those of Okabe and Ito, which color-blind readers can tell
// apart.
//
//   PlotPage page(1200, 800);
//   page << "set ylabel 'nats'\nplot " << page.data(points) << " with lines lc rgb " << kBlue << "\n";
//   page.write("loss.png");
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/files/file.h"

namespace nkat {

// Colors as gnuplot takes them, quotes included.
inline constexpr std::string_view kBlue = "'#0072B2'";
inline constexpr std::string_view kOrange = "'#D55E00'";
inline constexpr std::string_view kGreen = "'#009E73'";
inline constexpr std::string_view kPink = "'#CC79A7'";
inline constexpr std::string_view kSky = "'#56B4E9'";
inline constexpr std::string_view kBlack = "'#000000'";
inline constexpr std::string_view kGrey = "'#888888'";

// From dark to light, even in grey.
inline constexpr std::string_view kViridis =
    "set palette defined (0 '#440154', 0.25 '#3B528B', 0.5 '#21918C', 0.75 '#5EC962', 1 '#FDE725')\n";

using PlotPoints = std::vector<std::pair<double, double>>;  // (x, y); a y that is not finite leaves a gap

class PlotPage {
 public:
  PlotPage(int width, int height);  // pixels

  PlotPage& operator<<(std::string_view commands);
  // Adds a table and returns its name ("$data3") for a plot command.
  std::string data(const PlotPoints& points);
  std::string data(const std::vector<std::vector<double>>& rows);

  // Draws into `path`, whole or not at all. False, with a warning in the log, without gnuplot or if it fails.
  bool write(const fs::path& path) const;

 private:
  std::string terminal_;
  std::string tables_;
  std::string commands_;
  int count_ = 0;
};

}  // namespace nkat
