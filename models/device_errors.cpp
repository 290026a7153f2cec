#include "models/device_errors.h"

#include <new>

#include <c10/util/Exception.h>

#include "core/error.h"

namespace nkat::models {

bool is_out_of_memory(const std::exception& error) {
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr) return true;
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return true;
  // These arrive as plain errors with a message.
  const std::string_view text = error.what();
  for (const char* sign : {"can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED"}) {
    if (text.find(sign) != std::string_view::npos) return true;
  }
  return false;
}

bool is_device_failure(const std::exception& error) {
  if (dynamic_cast<const c10::Error*>(&error) == nullptr) return false;
  const std::string_view text = error.what();
  for (const char* sign : {"CUDA error", "CUDA driver", "CUBLAS_STATUS", "CUDNN_STATUS", "NCCL"}) {
    if (text.find(sign) != std::string_view::npos) return true;
  }
  return is_out_of_memory(error);
}

void rethrow_memory_as_device_error(const char* what) {
  try {
    throw;
  } catch (const std::exception& error) {
    if (!is_out_of_memory(error)) throw;
    const std::string text = error.what();
    throw DeviceError(fmt::format("{}: out of memory: {}", what, text.substr(0, text.find('\n'))));
  }
}

}  // namespace nkat::models
