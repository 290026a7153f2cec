// What this machine has and uses: memory, processors, terminal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace nkat {

struct ProcessMemory {
  std::uint64_t resident_bytes = 0;            // VmRSS
  std::uint64_t resident_anonymous_bytes = 0;  // RssAnon: without mapped files
  std::uint64_t data_bytes = 0;                // VmData: what RLIMIT_DATA counts
};
ProcessMemory process_memory();

std::uint64_t available_memory_bytes();  // MemAvailable
// Gives freed heap blocks back to the system (malloc_trim), so that RSS shows what is in use.
void trim_heap();

bool processor_has_bf16();  // AVX512-BF16 or AMX-BF16: BF16 products run natively
// Version of the loaded NVIDIA kernel driver ("580.65.06"); nothing where there is none.
std::optional<std::string> nvidia_driver_version(const std::string& file = "/proc/driver/nvidia/version");
int usable_processors();  // that this process may run on

// Re-executes the process with OMP_WAIT_POLICY=passive; returns if the variable is already set. OpenMP's threads spin
// while they wait, which makes a shared machine many times slower, and the policy is read when the process starts.
void reexec_with_passive_omp_wait(const char* const* argv);

bool stderr_is_terminal();
int terminal_columns();  // of stderr; 80 if unknown

}  // namespace nkat
