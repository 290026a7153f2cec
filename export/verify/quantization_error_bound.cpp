#include "export/verify/quantization_error_bound.h"

#include <cmath>

namespace nkat::exporting {
namespace {

using gguf::GgmlType;

struct Limit {
  double share;         // of |W'|
  double largest_code;  // what a scale in float16 is multiplied by
};

Limit limit_of(GgmlType type) {
  switch (type) {
    case GgmlType::kF32: return {0, 0};
    case GgmlType::kF16: return {5e-4, 1};
    case GgmlType::kBF16: return {4e-3, 0};
    case GgmlType::kQ8_0: return {0.023, 127};
    case GgmlType::kQ6_K: return {0.1, 128 * 32};
    case GgmlType::kQ5_0: return {0.2, 16};
    case GgmlType::kQ5_1: return {0.2, 31 + 1};
    case GgmlType::kQ5_K: return {0.3, 63 * 31 + 63};
    case GgmlType::kQ4_K: return {0.4, 63 * 15 + 63};
    default: return {0.4, 8};
  }
}

}  // namespace

double quantization_error_bound(GgmlType type, double size, std::uint64_t elements) {
  constexpr double kScaleRounding = 0x1p-25;  // half of float16's smallest step
  const Limit limit = limit_of(type);
  return limit.share * size + limit.largest_code * kScaleRounding * std::sqrt(static_cast<double>(elements));
}

}  // namespace nkat::exporting
