// The checks that open every layer function; messages name the function, the tensor, the expected tuple and the sizes.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

#include <ATen/core/Tensor.h>

namespace nkat::layers {

// One expected size: a name ("T") and, where it is known, its value; -1 leaves it free.
struct Dimension {
  std::string_view name;
  std::int64_t size = -1;
};

// Throws ShapeError "<who>: expected <tensor> (T, H=64), found (3, 5)".
void check_shape(std::string_view who, std::string_view name, const at::Tensor& tensor,
                 std::initializer_list<Dimension> dimensions);

// Throws ShapeError "<who>: expected <tensor> (..., 8, 8), found (3, 5)".
void check_ends_in_blocks(std::string_view who, std::string_view name, const at::Tensor& tensor);

// Throws ShapeError "<who>: expected <tensor> (3, 8, 8), found (2, 8, 8)".
void check_same_shape(std::string_view who, std::string_view name, const at::Tensor& tensor, const at::Tensor& other);

// Throws ShapeError "<who>: expected <tensor> of type Float or Double, found Half".
void check_dtype(std::string_view who, std::string_view name, const at::Tensor& tensor,
                 std::initializer_list<at::ScalarType> accepted);

// Throws DeviceError "<who>: expected <tensor> on cpu, found cuda:0".
void check_device(std::string_view who, std::string_view name, const at::Tensor& tensor, at::Device wanted);

}  // namespace nkat::layers
