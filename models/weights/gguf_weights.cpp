#include "models/weights/gguf_weights.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/message.h"
#include "core/parallel.h"
#include "data/quantize/quantize.h"

namespace nkat::models {
namespace {

std::string sizes_text(const auto& sizes) { return fmt::format("[{}]", fmt::join(sizes, ", ")); }

void require_sizes(const gguf::GgufTensor& found, const TensorSpec& wanted, const std::string& where) {
  std::vector<std::uint64_t> ne = wanted.gguf_sizes();
  ne.resize(gguf::kMostDimensions, 1);
  if (std::ranges::equal(found.ne, ne)) return;
  throw FormatError(fmt::format("{}: tensor '{}': {}", where, wanted.gguf_name,
                                expected("sizes " + sizes_text(ne), sizes_text(found.ne))));
}

// Left out, a bias or a scale would change what the model computes.
void refuse_unknown_tensors(const gguf::GgufFile& file, const ModelConfig& config) {
  std::set<std::string> known = {kGgufLongFactors, kGgufShortFactors, kGgufRopeFactors};
  for (const TensorSpec& tensor : model_tensors(config)) known.insert(tensor.gguf_name);
  for (const gguf::GgufTensor& tensor : file.tensors()) {
    if (known.contains(tensor.name)) continue;
    throw FormatError(fmt::format("{}: unknown tensor '{}': a model with this file's keys ({} layers) has no such part",
                                  file.path().string(), tensor.name, config.num_layers));
  }
}

}  // namespace

GgufWeights::GgufWeights(const gguf::GgufFile& file, const ModelConfig& config)
    : GgufWeights(std::shared_ptr<const gguf::GgufFile>(&file, [](const gguf::GgufFile*) {}), config) {}

GgufWeights::GgufWeights(std::shared_ptr<const gguf::GgufFile> file, const ModelConfig& config)
    : file_(std::move(file)) {
  const std::string where = file_->path().string();
  for (const TensorSpec& wanted : model_tensors(config)) {
    const gguf::GgufTensor* found = file_->find(wanted.gguf_name);
    if (found == nullptr && wanted.is_tied) continue;
    if (found == nullptr) throw FormatError(fmt::format("{}: tensor '{}' is missing", where, wanted.gguf_name));
    require_sizes(*found, wanted, where);
    by_name_.emplace(wanted.name,
                     Named{wanted, found});  // a tied model's two share a name: the embedding comes first and stays
  }
  refuse_unknown_tensors(*file_, config);
}

MatrixShape GgufWeights::shape(const std::string& tensor) const {
  const gguf::GgufTensor& found = stored(tensor);
  return {.rows = found.rows(), .columns = found.ne[0]};
}

void GgufWeights::read(const std::string& tensor, std::size_t first_row, std::span<float> out) const {
  const Named& named = by_name_.at(tensor);
  const TensorSpec& spec = named.spec;
  const gguf::GgufTensor& found = *named.stored;
  if (!gguf::traits(found.type).has_decoder) {
    throw FormatError(fmt::format("{}: tensor '{}' is stored as {}, which has no decoder here", file_->path().string(),
                                  found.name, gguf::traits(found.type).name));
  }
  const std::size_t length = found.ne[0];
  const std::uint64_t row_bytes = *gguf::tensor_bytes(found.type, length);
  const std::span<const std::byte> bytes = file_->bytes(found);
  const bool is_vector = spec.shape.size() == 1;
  parallel_for(out.size() / length, [&](std::size_t i) {
    const std::size_t row = is_vector ? 0 : spec.gguf_row(first_row + i);
    gguf::decode_rows(found.type, bytes.subspan(row * row_bytes, row_bytes), out.subspan(i * length, length));
  });
  if (!is_vector || spec.gguf_paired_heads == 0) return;
  const std::vector<float> paired(out.begin(), out.end());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = paired[spec.gguf_row(i)];
}

void GgufWeights::release(const std::string& tensor) const { file_->release(stored(tensor)); }

}  // namespace nkat::models
