// Telling "there is no memory left" from other errors of LibTorch, whoever reports it: our allocator limits, the
// caching allocator, the driver, cuBLAS, or the system.
#pragma once

#include <exception>

namespace nkat::models {

bool is_out_of_memory(const std::exception& error);

// Rethrows the exception being handled: out of memory as DeviceError (exit 4) that names `what`, anything else as it
// is.
[[noreturn]] void rethrow_memory_as_device_error(const char* what);

}  // namespace nkat::models
