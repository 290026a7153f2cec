// Cuts a series into pieces of constant level by weighted penalised least squares: the partition that minimises the
// weighted sum of squares about the pieces' means plus a penalty for each change (optimal partitioning; Killick,
// Fearnhead, Eckley 2012).
//
// The search is exact for up to 2,000 values. It prunes by function (Maidstone, Hocking, Rigaill, Fearnhead 2017), here
// with a shortest piece: a start of the last piece is kept only while there is a level for which no other start is
// better, so that the work grows little faster than the series. Above 2,000 values changes are searched on a grid of
// n/1000 (rounded down) and then moved, first to last, each to the best place between its neighbours.
// Promise: the same cuts on every machine with IEEE doubles, up to ties.
#pragma once

#include <cstddef>
#include <vector>

#include "validation/gates/weighted_series.h"

namespace nkat::validation {

inline constexpr std::size_t kLargestExactSearch = 2000;

struct PartitionRule {
  double penalty = 0.0;            // a change
  std::size_t shortest_piece = 1;  // values
};

// First index of each piece, ascending; the first is 0. One piece if the series is too short for two.
std::vector<std::size_t> partition(const WeightedSeries& series, const PartitionRule& rule);

}  // namespace nkat::validation
