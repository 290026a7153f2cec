#include "validation/geometry/geometry.h"

#include <cmath>

#include <ATen/Parallel.h>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/message.h"
#include "core/signals.h"
#include "data/formats/safetensors.h"
#include "data/run/adapter_config.h"
#include "data/run/checkpoint_files.h"
#include "layers/so8_rotation.h"
#include "layers/triality.h"
#include "models/adapter.h"
#include "models/weights/tensor_io.h"
#include "validation/geometry/rotation_metrics.h"
#include "validation/statistics/running_median.h"

namespace nkat::validation {
namespace {

constexpr double kLargestError = 1e-6;  // of ||R^T R - I||
constexpr std::int64_t kGrain = 64;     // blocks that are worth a thread

Block block_of(const at::Tensor& blocks /* (N, 8, 8) */, std::int64_t index) {
  return Block(blocks.const_data_ptr<double>() + 64 * index, 64);
}

// One value a block, in the order of the blocks, whatever the number of threads.
template <class Measure>
auto measure_blocks(const at::Tensor& blocks /* (N, 8, 8) */, const Measure& measure) {
  std::vector<decltype(measure(block_of(blocks, 0)))> values(static_cast<std::size_t>(blocks.size(0)));
  at::parallel_for(0, blocks.size(0), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) values[static_cast<std::size_t>(i)] = measure(block_of(blocks, i));
  });
  return values;
}

double largest(const std::vector<double>& values) { return *std::max_element(values.begin(), values.end()); }

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

RotationQuality quality(const at::Tensor& rotation /* (N, 8, 8) */, const std::vector<double>& orthogonality) {
  const auto determinants = measure_blocks(rotation, [](Block r) { return std::abs(determinant(r) - 1); });
  return {.orthogonality_max = largest(orthogonality),
          .orthogonality_mean = mean(orthogonality),
          .determinant_max = largest(determinants),
          .triality = layers::triality_loss(rotation).item<double>()};
}

// The first block, in their order, for which `is_wrong` holds.
template <class Values, class Test>
std::optional<std::size_t> first_block(const Values& values, const Test& is_wrong) {
  const auto found = std::find_if(values.begin(), values.end(), is_wrong);
  return found == values.end() ? std::nullopt : std::optional(static_cast<std::size_t>(found - values.begin()));
}

// where: file, layer and step, for messages.
GeometryRow measure_layer(const at::Tensor& weight /* (N, 8, 8) float64 */, const std::string& where) {
  const auto norms = measure_blocks(weight, skew_norm);
  if (const auto block = first_block(norms, [](double norm) { return !std::isfinite(norm); })) {
    throw FormatError(fmt::format(
        "{}: block {} contains NaN or infinity; the run went wrong before this checkpoint was saved", where, *block));
  }
  const at::Tensor rotation = layers::so8_rotation(weight);  // (N, 8, 8)
  const auto orthogonality = measure_blocks(rotation, orthogonality_error);
  if (const auto block = first_block(orthogonality, [](double error) { return !(error <= kLargestError); })) {
    throw FormatError(
        fmt::format("{}: block {}: {}", where, *block,
                    expected(fmt::format("||R^T R - I|| of at most {:g}", kLargestError),
                             fmt::format("{:g}, because ||A|| is {:g}", orthogonality[*block], norms[*block]),
                             "such a rotation can't be computed; train with a lower --learning-rate")));
  }
  const at::Tensor rounded = rotation.to(at::kBFloat16).to(at::kDouble);
  GeometryRow row;
  row.exact = quality(rotation, orthogonality);
  row.bf16 = quality(rounded, measure_blocks(rounded, orthogonality_error));
  std::vector<double> angles;
  for (const auto& four : measure_blocks(weight, rotation_angles))
    angles.insert(angles.end(), four.begin(), four.end());
  row.angle_max = largest(angles);
  row.angle_median = median(std::move(angles));
  row.norm_max = largest(norms);
  return row;
}

GeometryRow measure_saved_layer(const data::SafetensorsFile& file, const data::AdapterConfig& sizes, std::int64_t layer,
                                const std::string& when) {
  const std::string where = fmt::format("{}: layer {} ({})", file.path().string(), layer, when);
  const at::Tensor weight =
      models::read_float32(file, models::adapter_tensor_name(layer, "weight"), {sizes.blocks(), 8, 8}).to(at::kDouble);
  const float alpha = models::read_float32(file, models::adapter_tensor_name(layer, "alpha"), {}).item<float>();
  if (!std::isfinite(alpha)) {
    throw FormatError(fmt::format(
        "{}: alpha: {}", where,
        expected("a finite number", fmt::format("{}", alpha), "the run went wrong before this checkpoint was saved")));
  }
  return measure_layer(weight, where);
}

// Layers in parallel; of several errors, the first layer's is thrown.
std::vector<GeometryRow> measure_checkpoint(const SavedCheckpoint& checkpoint, bool newest) {
  const data::AdapterConfig sizes = data::read_adapter_config(checkpoint.path);
  const data::SafetensorsFile file(checkpoint.path / data::kAdapterModelFile);
  const std::string when = fmt::format("step {}{}", checkpoint.step, newest ? ", the newest checkpoint" : "");
  std::vector<GeometryRow> rows(static_cast<std::size_t>(sizes.layers()));
  std::vector<std::exception_ptr> failures(rows.size());
  at::parallel_for(0, sizes.layers(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const auto index = static_cast<std::size_t>(i);
      try {
        rows[index] = measure_saved_layer(file, sizes, sizes.first_adapter_layer + i, when);
        rows[index].step = checkpoint.step;
        rows[index].layer = sizes.first_adapter_layer + i;
      } catch (...) {
        failures[index] = std::current_exception();
      }
    }
  });
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
  return rows;
}

// It verified when the run was read; a run that is going on removes its older checkpoints file by file.
bool was_removed(const SavedCheckpoint& checkpoint) {
  return !fs::exists(checkpoint.path / data::kAdapterModelFile) ||
         !fs::exists(checkpoint.path / data::kAdapterConfigFile);
}

}  // namespace

std::vector<GeometryRow> measure_geometry(const RunRecords& run,
                                          const std::function<void(std::int64_t done, std::int64_t total)>& progress) {
  std::vector<GeometryRow> rows;
  const auto total = static_cast<std::int64_t>(run.checkpoints.size());
  for (std::int64_t i = 0; i < total; ++i) {
    throw_if_stop_requested();
    const SavedCheckpoint& checkpoint = run.checkpoints[static_cast<std::size_t>(i)];
    try {
      const auto measured = measure_checkpoint(checkpoint, i + 1 == total);
      rows.insert(rows.end(), measured.begin(), measured.end());
    } catch (const DataError& error) {
      if (!was_removed(checkpoint)) throw;
      log::info(fmt::format("{}: removed meanwhile, left out", checkpoint.path.string()));
    }
    if (progress) progress(i + 1, total);
  }
  return rows;
}

}  // namespace nkat::validation
