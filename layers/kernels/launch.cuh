// What the launchers share: the element type, pointers, and whether rows can be read 16 bytes at a time.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <limits>

#include <ATen/core/Tensor.h>

#include "layers/kernels/device/pack.cuh"

namespace nkat::layers::kernels {

// Null for an undefined tensor.
template <typename Pointed>
Pointed* pointer(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<Pointed*>(tensor.data_ptr()) : nullptr;
}

// Calls run(Scalar{}) with the device's type for float32, bfloat16 or float64.
template <typename Run>
void with_element(const char* who, at::ScalarType type, const Run& run) {
  switch (type) {
    case at::kFloat: return run(float{});
    case at::kBFloat16: return run(__nv_bfloat16{});
    case at::kDouble: return run(double{});
    default: TORCH_CHECK(false, who, ": no kernel for ", type);
  }
}

// Calls run(integral_constant) with the elements that a thread takes at a time: 8 where every length is a multiple of 8
// and every tensor begins at a multiple of 16 bytes, else 1.
template <typename Run>
void with_width(std::initializer_list<std::int64_t> lengths, std::initializer_list<at::Tensor> tensors,
                const Run& run) {
  bool wide = true;
  for (const std::int64_t length : lengths) wide = wide && length % 8 == 0;
  for (const at::Tensor& tensor : tensors) wide = wide && reinterpret_cast<std::uintptr_t>(tensor.data_ptr()) % 16 == 0;
  if (wide)
    run(std::integral_constant<int, 8>{});
  else
    run(std::integral_constant<int, 1>{});
}

// A row's length as the kernels count it; the last step of a loop over it must not overflow.
inline int row_length(const char* who, std::int64_t length) {
  TORCH_CHECK(length <= std::numeric_limits<int>::max() / 2, who, ": rows of ", length, " elements are too long");
  return static_cast<int>(length);
}

}  // namespace nkat::layers::kernels
