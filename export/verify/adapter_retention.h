// Retention: how much of the adapter's change is in the written file, measured on that file.
//
// Per tensor, with W the base's weights, W' the merged ones in float32, F the file's decoded ones, d = W' - W:
//
//   retained  <F - W, d> / <d, d>      1: all of the change; 0: none
//   noise     |F - W'| / |d|           quantization noise in units of the change
//   error     |F - W'| / |W'|          the same in units of the weights
//
// Beyond the limits a change is lost: by default below half of it, or under noise of four times its size (6 % of the
// noise's power). Weak: noise above the change, or off by more than 10 %. Sums in float64. Memory: three pieces of
// 16 MiB.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "export/merge/merged_weights.h"

namespace nkat::exporting {

struct RetentionLimit {
  double minimum_retained = 0.5;
  double maximum_noise = 4;
};

// The limits of each stored type.
class RetentionLimits {
 public:
  RetentionLimits() = default;
  // Words TYPE=VALUE, where TYPE is ggml's name of a type ("q4_K" in any case), or "all" for types without a word of
  // their own. ConfigError for any other word.
  RetentionLimits(const std::vector<std::string>& minimum_retained, const std::vector<std::string>& maximum_noise);

  RetentionLimit of(const std::string& type) const;

 private:
  std::map<std::string, double> minimum_retained_, maximum_noise_;
};

// kNotJudged: measured against the file's own decoded weights, whose quantization noise is not in the figures.
enum class RetentionStatus { kUnchanged, kKept, kWeak, kLost, kNotJudged };
const char* status_name(RetentionStatus status);  // "kept"

struct TensorRetention {
  std::int64_t layer = 0;
  std::string type = "";  // as stored: "q4_K"
  double change = 0;      // |d| / |W|
  double retained = 0;
  double noise = 0;
  double error = 0;
  double distance = 0;  // |F - W'|
  double size = 0;      // |W'|
  RetentionLimit limit = {};
  bool judged = true;

  RetentionStatus status() const;
};

// Of any tensor, by its name in the checkpoint; written_name: its name there. The caller sets layer, type and limit.
TensorRetention measure_retention(const MergedWeights& weights, const std::string& tensor,
                                  const models::WeightSource& written, const std::string& written_name);

// The options that would have accepted all of these: "--min-retention q4_0=-2.6 --max-noise q4_0=99".
std::string accepting_options(const std::vector<TensorRetention>& lost);

}  // namespace nkat::exporting
