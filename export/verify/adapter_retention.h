// How much of the adapter's change is in the file that was written, measured on that file.
//
// Per tensor, with W the base's weights, W' the merged ones in float32, F the file's decoded ones, d = W' - W:
//
//   survived  <F - W, d> / <d, d>      1: all of it; 0: none
//   noise     |F - W'| / |d|           what the stored type added, in units of the change
//   error     |F - W'| / |W'|          the same in units of the weights
//
// Below the limits a change is lost: by default below half of what it was, or under noise of four times its size (6 %
// of the noise's power). One whose noise is larger than itself, or that is a tenth off, is weak. Sums in float64.
// Memory: three pieces of 16 MiB.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "export/merge/merged_weights.h"

namespace nkat::exporting {

struct RetentionLimit {
  double minimum_survived = 0.5;
  double maximum_noise = 4;
};

// The limits of each stored type.
class RetentionLimits {
 public:
  RetentionLimits() = default;
  // Words TYPE=VALUE, where TYPE is ggml's name of a type ("q4_K", capitals don't matter) or "all", which a type's own
  // word goes before. ConfigError for any other word.
  RetentionLimits(const std::vector<std::string>& min_retention, const std::vector<std::string>& max_noise);

  RetentionLimit of(const std::string& type) const;

 private:
  std::map<std::string, double> minimum_survived_, maximum_noise_;
};

// kNotJudged: measured against the file's own decoded weights, so that their rounding is not in the figures.
enum class RetentionStatus { kUnchanged, kKept, kWeak, kLost, kNotJudged };
const char* fate_name(RetentionStatus fate);  // "kept"

struct TensorRetention {
  std::int64_t layer = 0;
  std::string type = "";  // as stored: "q4_K"
  double change = 0;      // |d| / |W|
  double survived = 0;
  double noise = 0;
  double error = 0;
  double distance = 0;  // |F - W'|
  double size = 0;      // |W'|
  RetentionLimit limit = {};
  bool judged = true;

  RetentionStatus fate() const;
};

// Any tensor, by its name in the checkpoint; the written one may go by another. The caller sets layer, type and limit.
TensorRetention measure_survival(const MergedWeights& weights, const std::string& tensor, const WeightSource& written,
                                 const std::string& written_name);

// The options with which all of these would have been accepted: "--min-retention q4_0=-2.6 --max-noise q4_0=99".
std::string accepting_options(const std::vector<TensorRetention>& lost);

}  // namespace nkat::exporting
