// How noisy a force is at each of its steps, and the force with its outliers clipped (mathematics.md 6).
//
// s_t = 1.4826/sqrt(2) times the running median of |first differences| over +-max(25, n/40) steps, at least 5 % of the
// same of the whole series; values are clipped at +-3 s_t about the running median of the window. Where more than half
// of all differences are 0, their mean takes the place of the median; a constant series has scale 1.
#pragma once

#include <span>
#include <vector>

namespace nkat::validation {

struct ScaledForce {
  std::vector<double> values;        // [n] clipped
  std::vector<double> scale;         // [n] s_t > 0
  double lag_one_correlation = 0.0;  // of (values - running median) / s_t, about 0; 0 if that is 0 everywhere
};

// Of at least two finite values.
ScaledForce scale_noise(std::span<const double> force);

}  // namespace nkat::validation
