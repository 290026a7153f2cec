// Progress on stderr: a bar that redraws itself on a terminal, a plain line every few seconds otherwise.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace nkat {

class ProgressBar {
 public:
  ProgressBar(std::string title, std::uint64_t total, std::uint64_t done = 0);
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar();  // leaves the last state on the screen

  // detail: text after the bar, for example "loss 1.234  open 3/6".
  void update(std::uint64_t done, const std::string& detail);

 private:
  using Clock = std::chrono::steady_clock;
  std::string line() const;
  void draw() const;
  void wipe() const;

  std::string title_;
  std::uint64_t total_;
  std::uint64_t first_;
  std::uint64_t done_;
  std::string detail_;
  bool terminal_;
  Clock::time_point started_;
  Clock::time_point drawn_;
};

inline constexpr double kMiB = 1024.0 * 1024.0;
inline constexpr double kGiB = 1024.0 * kMiB;

// "3 h 20 min", "45 s".
std::string format_duration(double seconds);
// "11.50 GiB", "312 MiB".
std::string format_bytes(double bytes);

}  // namespace nkat
