#include "core/plot_page.h"

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>

#include <fmt/format.h>

#include "core/cli/log.h"
#include "core/message.h"
#include "core/signals.h"

namespace nkat {
namespace {

// As gnuplot reads it: in single quotes, a quote twice.
std::string gnuplot_quoted(const fs::path& path) {
  std::string text = "'";
  for (const char letter : path.string()) {
    text += letter;
    if (letter == '\'') text += letter;
  }
  return text += '\'';
}

// gnuplot's own words: the last line of its messages.
std::string reason_in(const fs::path& messages) {
  std::ifstream file(messages);
  std::string reason, line;
  while (std::getline(file, line))
    if (const std::size_t start = line.find_first_not_of(" \t^"); start != std::string::npos)
      reason = line.substr(start);
  if (reason.empty()) return "nothing can be written there";
  return reason.find("not found") == std::string::npos ? reason : reason + "; scripts/setup installs gnuplot";
}

// What gnuplot says goes to the file `messages`.
void pipe_to_gnuplot(const std::string& script, const fs::path& messages) {
  ignore_write_signals();  // gnuplot may end before it has read everything
  // "true": whether gnuplot succeeded is told by the page, not by its exit status.
  std::FILE* pipe = ::popen(("gnuplot 2>" + shell_quoted(messages.string()) + "; true").c_str(), "w");
  if (pipe == nullptr) {
    log::warning(fmt::format("no plot: gnuplot can't be started: {}", std::strerror(errno)));
    return;
  }
  std::fwrite(script.data(), 1, script.size(), pipe);
  ::pclose(pipe);
}

}  // namespace

PlotPage::PlotPage(int width, int height)
    : terminal_(fmt::format("set terminal pngcairo size {},{} font 'sans,11'\n", width, height)) {}

PlotPage& PlotPage::operator<<(std::string_view commands) {
  commands_ += commands;
  return *this;
}

std::string PlotPage::data(const std::vector<std::vector<double>>& rows) {
  const std::string name = fmt::format("$data{}", ++count_);
  tables_ += name + " << END_OF_DATA\n";
  for (const std::vector<double>& row : rows) {
    for (const double value : row) tables_ += std::isfinite(value) ? fmt::format("{:.9g} ", value) : "NaN ";
    tables_ += '\n';
  }
  tables_ += "END_OF_DATA\n";
  return name;
}

std::string PlotPage::data(const PlotPoints& points) {
  std::vector<std::vector<double>> rows;
  rows.reserve(points.size());
  for (const auto& [x, y] : points) rows.push_back({x, y});
  return data(rows);
}

bool PlotPage::write(const fs::path& path) const {
  const fs::path temporary = path.string() + ".partial";
  const fs::path finished = path.string() + ".finished";  // gnuplot goes on after an error, with half a page
  const fs::path messages = path.string() + ".messages";
  pipe_to_gnuplot(fmt::format("{}set output {}\nset grid lc rgb '#DDDDDD'\n{}{}\nset output\n"
                              "if (GPVAL_ERRNO == 0) {{ set print {}; print 1 }}\n",
                              terminal_, gnuplot_quoted(temporary), tables_, commands_, gnuplot_quoted(finished)),
                  messages);
  std::error_code error;
  bool drawn = fs::remove(finished, error);
  if (drawn) {
    fs::rename(temporary, path, error);
    drawn = !error;
  }
  if (!drawn) log::warning(fmt::format("{}: not drawn: {}", path.string(), reason_in(messages)));
  for (const fs::path& left : {temporary, messages}) fs::remove(left, error);
  return drawn;
}

}  // namespace nkat
