// Which errors mean "out of memory" or "the device failed", whoever reports them: our allocator limits, the caching
// allocator, the driver, cuBLAS or the system.
#pragma once

#include <exception>

namespace nkat::models {

bool is_out_of_memory(const std::exception& error);

// Whether a LibTorch error comes from the device (driver, cuBLAS, cuDNN, NCCL, memory) rather than from a bug of ours.
bool is_device_failure(const std::exception& error);

// Rethrows the exception being handled: out of memory as DeviceError (exit 4) naming `what`, anything else unchanged.
[[noreturn]] void rethrow_memory_as_device_error(const char* what);

}  // namespace nkat::models
