// Which errors of LibTorch mean "out of memory" or "the device failed", whoever reports them: our allocator limits, the
// caching allocator, the driver, cuBLAS, or the system.
#pragma once

#include <exception>

namespace nkat::models {

bool is_out_of_memory(const std::exception& error);

// Whether a LibTorch error comes from the device rather than from a mistake of ours: driver, cuBLAS, cuDNN, NCCL, memory.
bool is_device_failure(const std::exception& error);

// Rethrows the exception being handled: out of memory as DeviceError (exit 4) that names `what`, anything else as it
// is.
[[noreturn]] void rethrow_memory_as_device_error(const char* what);

}  // namespace nkat::models
