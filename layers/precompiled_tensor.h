// Precompiled for the rooms with tensors: ATen and autograd, which cost seconds a file, and the usual standard headers.
#pragma once

#include <ATen/ATen.h>
#include <algorithm>
#include <cstdint>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <functional>
#include <memory>
#include <string>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <vector>
