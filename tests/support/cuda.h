// For tests that need a CUDA device: they skip with the reason where there is none, so that skips can be counted.
#pragma once

#include <gtest/gtest.h>

#include "layers/kernels/device_info.h"

#define NKAT_SKIP_WITHOUT_CUDA() \
  if (::nkat::layers::cuda_devices().empty()) GTEST_SKIP() << "no CUDA device (or built without CUDA kernels)"
