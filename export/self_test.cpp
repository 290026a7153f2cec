#include "export/self_test.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "core/error.h"
#include "core/progress.h"
#include "export/checkpoint_weights.h"
#include "export/gguf_weights.h"

namespace nkat::exporting {
namespace {

using gguf::GgmlType;

// Above the largest |F - W'| / |W'| that each type's rounding can make: half a step of the grid for every weight of a
// block whose range is as wide as its norm allows, sqrt(32) root mean squares for Q8_0.
double largest_error(GgmlType type) {
  switch (type) {
    case GgmlType::kF32: return 0;
    case GgmlType::kF16: return 1e-3;
    case GgmlType::kBF16: return 4e-3;
    case GgmlType::kQ8_0: return 0.023;
    case GgmlType::kQ6_K: return 0.07;
    case GgmlType::kQ5_0:
    case GgmlType::kQ5_1:
    case GgmlType::kQ5_K: return 0.2;
    default: return 0.4;
  }
}

std::vector<TensorSurvival> measure(std::int64_t layers, const std::string& where, const MergedWeights& weights,
                                    const std::function<GgmlType(std::int64_t)>& type_of, const WeightSource& written) {
  std::vector<TensorSurvival> all;
  ProgressBar progress("self-test, layers", static_cast<std::uint64_t>(layers));
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    TensorSurvival survival = measure_survival(weights, layer, written);
    survival.type = gguf::traits(type_of(layer)).name;
    if (!(survival.error <= largest_error(type_of(layer)))) {
      throw CheckError(fmt::format(
          "{}: ffn_down of layer {}, stored as {}, differs from the merged weights by {:.3g} of their size, at most {} "
          "was expected; don't use the file, export again",
          where, layer, survival.type, survival.error, largest_error(type_of(layer))));
    }
    progress.update(static_cast<std::uint64_t>(layer) + 1, survival.type);
    all.push_back(std::move(survival));
  }
  return all;
}

void check_tensors(const gguf::GgufFile& file, const std::vector<PlannedTensor>& plan) {
  for (std::size_t i = 0; i < plan.size(); ++i) {
    const PlannedTensor& wanted = plan[i];
    const gguf::GgufTensor* found = file.find(wanted.tensor.name);
    std::vector<std::uint64_t> ne = wanted.tensor.ne;
    ne.resize(gguf::kMostDimensions, 1);
    if (found != nullptr && found->type == wanted.stored && std::ranges::equal(found->ne, ne) &&
        file.tensors().size() == plan.size()) {
      continue;
    }
    throw CheckError(
        fmt::format("{}: tensor '{}' is not in the file as it was to be written; don't use it, export again",
                    file.path().string(), wanted.tensor.name));
  }
}

}  // namespace

std::vector<TensorSurvival> self_test_gguf(const fs::path& path, const std::vector<PlannedTensor>& plan,
                                           const models::Phi3Config& config, const MergedWeights& weights) {
  const gguf::GgufFile file(path);
  check_tensors(file, plan);
  const GgufWeights written(file, config);
  const auto type_of = [&](std::int64_t layer) { return written.stored(down_projection(layer)).type; };
  return measure(config.num_layers, path.string(), weights, type_of, written);
}

std::vector<TensorSurvival> self_test_folder(const fs::path& folder, GgmlType type, const MergedWeights& weights) {
  const models::Phi3Config config = models::read_phi3_config(folder);
  const CheckpointWeights written(folder, config);
  return measure(
      config.num_layers, folder.string(), weights, [type](std::int64_t) { return type; }, written);
}

double largest_rounding_error(GgmlType type) { return largest_error(type); }

}  // namespace nkat::exporting
