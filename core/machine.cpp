#include "core/machine.h"

#include <cstdlib>
#include <fstream>
#include <malloc.h>
#include <sched.h>
#include <sstream>
#include <sys/ioctl.h>
#include <unistd.h>

namespace nkat {
namespace {

// The number after `key` in a /proc file of "Key:   123 kB" lines, in bytes; 0 if absent.
std::uint64_t kilobytes_after(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, key.size(), key) == 0) return std::stoull(line.substr(key.size())) * 1024;
  }
  return 0;
}

std::string cpuinfo_line(const std::string& key) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(": ");
    if (line.compare(0, key.size(), key) == 0 && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "";
}

}  // namespace

ProcessMemory process_memory() {
  return {kilobytes_after("/proc/self/status", "VmRSS:"), kilobytes_after("/proc/self/status", "RssAnon:"),
          kilobytes_after("/proc/self/status", "VmData:")};
}

std::uint64_t available_memory_bytes() { return kilobytes_after("/proc/meminfo", "MemAvailable:"); }
void trim_heap() { ::malloc_trim(0); }

bool processor_has_bf16() {
  std::istringstream flags(cpuinfo_line("flags"));
  for (std::string flag; flags >> flag;) {
    if (flag == "avx512_bf16" || flag == "amx_bf16") return true;
  }
  return false;
}

std::optional<std::string> nvidia_driver_version(const std::string& file) {
  std::ifstream lines(file);
  for (std::string word; lines >> word;) {
    const std::size_t dot = word.find('.');
    if (dot != 0 && dot != std::string::npos && word.find_first_not_of("0123456789.") == std::string::npos) return word;
  }
  return std::nullopt;
}

int usable_processors() {
  cpu_set_t set;
  return ::sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

void reexec_with_passive_omp_wait(const char* const* argv) {
  constexpr const char* kPolicy = "OMP_WAIT_POLICY";
  if (std::getenv(kPolicy) != nullptr) return;
  ::setenv(kPolicy, "passive", /*overwrite=*/1);
  // Where it can't start again, the program goes on as it is.
  ::execv("/proc/self/exe", const_cast<char* const*>(argv));
}

bool stderr_is_terminal() { return ::isatty(STDERR_FILENO) == 1; }

int terminal_columns() {
  winsize size{};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace nkat
