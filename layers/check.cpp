#include "layers/check.h"

#include <fmt/ranges.h>

#include "core/error.h"
#include "core/message.h"

namespace nkat::layers {
namespace {

bool matches(const at::Tensor& tensor, std::initializer_list<Dimension> dimensions) {
  if (!tensor.defined() || tensor.dim() != static_cast<std::int64_t>(dimensions.size())) return false;
  std::int64_t axis = 0;
  for (const Dimension& dimension : dimensions) {
    if (dimension.size >= 0 && tensor.size(axis) != dimension.size) return false;
    ++axis;
  }
  return true;
}

std::string sizes_of(const at::Tensor& tensor) {
  return tensor.defined() ? fmt::format("({})", fmt::join(tensor.sizes(), ", ")) : "an undefined tensor";
}

[[noreturn]] void refuse_shape(std::string_view who, std::string_view name, const at::Tensor& tensor,
                               const std::string& wanted) {
  throw ShapeError(fmt::format("{}: {}", who, expected(fmt::format("{} {}", name, wanted), sizes_of(tensor))));
}

}  // namespace

void check_shape(std::string_view who, std::string_view name, const at::Tensor& tensor,
                 std::initializer_list<Dimension> dimensions) {
  if (matches(tensor, dimensions)) return;
  std::vector<std::string> wanted;
  for (const Dimension& dimension : dimensions)
    wanted.push_back(dimension.size < 0 || dimension.name == std::to_string(dimension.size)
                         ? std::string(dimension.name)
                         : fmt::format("{}={}", dimension.name, dimension.size));
  refuse_shape(who, name, tensor, fmt::format("({})", fmt::join(wanted, ", ")));
}

void check_ends_in_blocks(std::string_view who, std::string_view name, const at::Tensor& tensor) {
  if (tensor.defined() && tensor.dim() >= 2 && tensor.size(-1) == 8 && tensor.size(-2) == 8) return;
  refuse_shape(who, name, tensor, "(..., 8, 8)");
}

void check_same_shape(std::string_view who, std::string_view name, const at::Tensor& tensor, const at::Tensor& other) {
  if (!tensor.defined() || tensor.sizes() != other.sizes()) refuse_shape(who, name, tensor, sizes_of(other));
}

void check_dtype(std::string_view who, std::string_view name, const at::Tensor& tensor,
                 std::initializer_list<at::ScalarType> accepted) {
  std::vector<const char*> wanted;
  for (const at::ScalarType type : accepted) {
    if (tensor.scalar_type() == type) return;
    wanted.push_back(c10::toString(type));
  }
  throw ShapeError(fmt::format(
      "{}: {}", who,
      expected(fmt::format("{} of type {}", name, fmt::join(wanted, " or ")), c10::toString(tensor.scalar_type()))));
}

void check_device(std::string_view who, std::string_view name, const at::Tensor& tensor, at::Device wanted) {
  if (tensor.device() == wanted) return;
  throw DeviceError(
      fmt::format("{}: {}", who, expected(fmt::format("{} on {}", name, wanted.str()), tensor.device().str())));
}

}  // namespace nkat::layers
