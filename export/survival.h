// How much of the adapter's change is in the file that was written, measured on that file.
//
// Per ffn_down tensor, with W the base's weights, W' the merged ones in float32, F the file's decoded ones, d = W' - W:
//
//   survived  <F - W, d> / <d, d>      1: all of it; 0: none
//   noise     |F - W'| / |d|           what the stored type added, in units of the change
//   error     |F - W'| / |W'|          the same in units of the weights
//
// A change below half of what it was, or under noise of four times its size (6 % of the noise's power), is lost; one
// whose noise is larger than itself, or that is a tenth off, is weak. Sums in float64. Memory: three pieces of 16 MiB.
#pragma once

#include <string>
#include <vector>

#include "export/merged_weights.h"

namespace nkat::exporting {

enum class Fate { kUnchanged, kKept, kWeak, kLost };
const char* fate_name(Fate fate);  // "kept"

struct TensorSurvival {
  std::int64_t layer = 0;
  std::string type = "";  // as stored: "q4_K"
  double change = 0;      // |d| / |W|
  double survived = 0;
  double noise = 0;
  double error = 0;

  Fate fate() const;
};

// One layer. The caller sets `type`.
TensorSurvival measure_survival(const MergedWeights& weights, std::int64_t layer, const WeightSource& written);

}  // namespace nkat::exporting
