#include "core/error.h"

#include <fmt/core.h>

namespace nkat {

void fail_invariant(const char* condition, const char* file, int line) {
  throw InternalError(
      fmt::format("internal error: {} does not hold at {}:{}; please report it", condition, file, line));
}

}  // namespace nkat
