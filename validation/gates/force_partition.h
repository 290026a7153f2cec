// Cuts a series into pieces of constant level by weighted penalized least squares: the partition that minimizes the
// weighted sum of squares about the pieces' means plus a penalty for each change (optimal partitioning; Killick,
// Fearnhead, Eckley 2012).
//
// The search is exact. It prunes by function (Maidstone, Hocking, Rigaill, Fearnhead 2017), here with a shortest piece:
// a start of the last piece is kept only while there is a level for which no other start is better, so that the work
// grows little faster than the series (7 ms for 50,000 values where 2,000 take 0.2 ms). With a spacing above 1 changes
// are searched on multiples of it only, and then moved, first to last, each to the best place between its neighbors:
// many times faster, for the many replicates of a bootstrap. Next to a step of many standard deviations that lies
// between two places the grid can leave a further, small change. Promise: the same cuts on every machine with IEEE
// doubles, up to ties.
#pragma once

#include <cstddef>
#include <vector>

#include "validation/gates/weighted_series.h"

namespace nkat::validation {

struct PartitionRule {
  double penalty = 0.0;            // a change
  std::size_t shortest_piece = 1;  // values
  std::size_t spacing = 1;         // of the places where changes are searched
};

// First index of each piece, ascending; the first is 0. One piece if the series is too short for two.
std::vector<std::size_t> partition(const WeightedSeries& series, const PartitionRule& rule);

}  // namespace nkat::validation
