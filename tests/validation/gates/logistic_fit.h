// The test that the gate analysis is there to replace: does a logistic curve follow the gate better than a line does.
#pragma once

#include <span>

namespace nkat::validation {

// By how much the Bayesian information criterion prefers c + k/(1 + exp(-(t - t0)/w)) to a + b t, least squares both;
// t0 and w from a grid that spans the series. Above 10 is read as very strong evidence (Kass, Raftery 1995).
double logistic_over_line(std::span<const double> gate);

}  // namespace nkat::validation
