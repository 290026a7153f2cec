// How a model's rotary frequencies are stretched, whatever the length of a text (layers/MATHEMATICS.md 9). No LibTorch.
#pragma once

#include <cstdint>

namespace nkat::layers {

struct RopeScaling {
  enum class Kind { kNone, kLinear, kLlama3 };
  Kind kind = Kind::kNone;
  double factor = 1;  // linear: of every wavelength; llama3: of the long ones
  // llama3: wavelengths below original_length / high_frequency stay, those above original_length / low_frequency are
  // stretched by the factor, and between them the frequency is interpolated.
  double low_frequency = 1;
  double high_frequency = 4;
  std::int64_t original_length = 0;
};

}  // namespace nkat::layers
