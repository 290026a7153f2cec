#include "export/verify/adapter_retention.h"

#include <algorithm>
#include <cmath>

#include "core/parallel.h"
#include "core/signals.h"

namespace nkat::exporting {
namespace {

constexpr double kWeakOffset = 0.1;
constexpr double kWeakNoise = 1;

struct Sums {
  double base = 0;      // <W, W>
  double merged = 0;    // <W', W'>
  double change = 0;    // <d, d>
  double survived = 0;  // <F - W, d>
  double error = 0;     // <F - W', F - W'>

  void add(const Sums& other) {
    base += other.base;
    merged += other.merged;
    change += other.change;
    survived += other.survived;
    error += other.error;
  }
};

struct Piece {
  std::span<const float> base, merged, written;
};

Sums sums_of(const Piece& piece, std::size_t begin, std::size_t end) {
  Sums sums;
  for (std::size_t i = begin; i < end; ++i) {
    const double w = piece.base[i], m = piece.merged[i], f = piece.written[i];
    const double d = m - w;
    sums.base += w * w;
    sums.merged += m * m;
    sums.change += d * d;
    sums.survived += (f - w) * d;
    sums.error += (f - m) * (f - m);
  }
  return sums;
}

// In slices of fixed size, added in order: the same digits for any number of threads.
Sums sums_of(const Piece& piece) {
  constexpr std::size_t kSlice = std::size_t{64} << 10;
  const std::size_t size = piece.base.size();
  std::vector<Sums> parts((size + kSlice - 1) / kSlice);
  parallel_for(parts.size(),
               [&](std::size_t i) { parts[i] = sums_of(piece, i * kSlice, std::min(size, (i + 1) * kSlice)); });
  Sums all;
  for (const Sums& part : parts) all.add(part);
  return all;
}

double ratio(double numerator, double denominator) { return denominator > 0 ? numerator / denominator : 0; }

}  // namespace

const char* fate_name(RetentionStatus fate) {
  switch (fate) {
    case RetentionStatus::kUnchanged: return "unchanged";
    case RetentionStatus::kKept: return "kept";
    case RetentionStatus::kWeak: return "weak";
    case RetentionStatus::kLost: return "lost";
    case RetentionStatus::kNotJudged: return "not judged";
  }
  return "";
}

RetentionStatus TensorRetention::fate() const {
  if (change == 0) return RetentionStatus::kUnchanged;
  if (survived < limit.minimum_survived || noise > limit.maximum_noise) return RetentionStatus::kLost;
  if (!judged) return RetentionStatus::kNotJudged;
  return std::abs(survived - 1) > kWeakOffset || noise > kWeakNoise ? RetentionStatus::kWeak : RetentionStatus::kKept;
}

TensorRetention measure_survival(const MergedWeights& weights, const std::string& tensor, const WeightSource& written,
                                 const std::string& written_name) {
  const MatrixShape shape = weights.shape(tensor);
  const std::size_t step = MergedWeights::rows_of_piece(shape);
  const bool changed = weights.is_changed(tensor);
  std::vector<float> merged(step * shape.row_length), base(changed ? merged.size() : 0), found(merged.size());
  Sums sums;
  for (std::size_t row = 0; row < shape.rows; row += step) {
    throw_if_stop_requested();
    const std::size_t size = std::min(step, shape.rows - row) * shape.row_length;
    const std::span m = std::span(merged).first(size), f = std::span(found).first(size);
    const std::span w = changed ? std::span(base).first(size) : m;
    if (changed) weights.base().read(tensor, row, w);
    weights.read_merged(tensor, row, m);
    written.read(written_name, row, f);
    sums.add(sums_of({w, m, f}));
  }
  weights.release(tensor);
  written.release(written_name);
  return {.change = std::sqrt(ratio(sums.change, sums.base)),
          .survived = ratio(sums.survived, sums.change),
          .noise = std::sqrt(ratio(sums.error, sums.change)),
          .error = std::sqrt(ratio(sums.error, sums.merged)),
          .distance = std::sqrt(sums.error),
          .size = std::sqrt(sums.merged)};
}

}  // namespace nkat::exporting
