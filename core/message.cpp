#include "core/message.h"

#include <fmt/format.h>

namespace nkat {

std::string expected(std::string_view wanted, std::string_view found, std::string_view next) {
  return fmt::format("expected {}, found {}{}{}", wanted, found, next.empty() ? "" : "; ", next);
}

}  // namespace nkat
