#include "export/patch/finer_type.h"

#include <algorithm>
#include <span>

#include "data/quantize/quantize.h"

namespace nkat::exporting {
namespace {

using enum gguf::GgmlType;

constexpr gguf::GgmlType kOfSuperBlocks[] = {kQ4_K, kQ5_K, kQ6_K, kQ8_0, kF16};
constexpr gguf::GgmlType kOfBlocks[] = {kQ4_0, kQ5_1, kQ8_0, kF16};
constexpr gguf::GgmlType kOfAnyRow[] = {kF16};

bool is_float(gguf::GgmlType type) { return type == kF32 || type == kF16 || type == kBF16; }

std::span<const gguf::GgmlType> candidates(std::uint64_t row_length) {
  if (row_length % gguf::traits(kQ4_K).block_elements == 0) return kOfSuperBlocks;
  if (row_length % gguf::traits(kQ4_0).block_elements == 0) return kOfBlocks;
  return kOfAnyRow;
}

// The merged weights as a file of one type gives them back: every row is encoded by itself.
class RoundedWeights final : public models::WeightSource {
 public:
  RoundedWeights(const MergedWeights& weights, gguf::GgmlType type) : weights_(weights), type_(type) {}

  models::MatrixShape shape(const std::string& tensor) const override { return weights_.shape(tensor); }
  void read(const std::string& tensor, std::size_t first_row, std::span<float> out) const override {
    weights_.read(tensor, first_row, out);
    std::vector<std::byte> blocks(*gguf::tensor_bytes(type_, out.size()));
    const auto length = static_cast<std::int64_t>(shape(tensor).columns);
    gguf::encode_tensor(type_, {.values = out, .length = length, .importance = {}}, blocks);
    gguf::decode_rows(type_, blocks, out);
  }
  void release(const std::string& tensor) const override { weights_.release(tensor); }

 private:
  const MergedWeights& weights_;
  gguf::GgmlType type_;
};

}  // namespace

double bits_a_weight(gguf::GgmlType type) {
  const gguf::GgmlTypeTraits& one = gguf::traits(type);
  return 8.0 * one.block_bytes / one.block_elements;
}

std::vector<gguf::GgmlType> finer_types(gguf::GgmlType stored, std::uint64_t row_length) {
  std::vector<gguf::GgmlType> types;
  for (const gguf::GgmlType type : candidates(row_length)) {
    if (!is_float(stored) && bits_a_weight(type) > bits_a_weight(stored)) types.push_back(type);
  }
  if (types.empty()) types.push_back(stored);
  return types;
}

gguf::GgmlType type_that_keeps(const MergedWeights& weights, const std::string& tensor, gguf::GgmlType stored,
                               const RetentionLimits& limits) {
  const std::vector<gguf::GgmlType> types = finer_types(stored, weights.shape(tensor).columns);
  for (const gguf::GgmlType type : types) {
    if (type == types.back()) break;
    TensorRetention found = measure_retention(weights, tensor, RoundedWeights(weights, type), tensor);
    found.limit = limits.of(gguf::traits(type).name);
    if (found.status() == RetentionStatus::kKept) return type;
  }
  return types.back();
}

}  // namespace nkat::exporting
