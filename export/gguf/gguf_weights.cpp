#include "export/gguf/gguf_weights.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/parallel.h"
#include "data/quantize/quantize.h"
#include "export/gguf/phi3_tensors.h"

namespace nkat::exporting {

GgufWeights::GgufWeights(const gguf::GgufFile& file, const models::Phi3Config& config) : file_(file) {
  for (const Phi3Tensor& wanted : phi3_tensors(config)) {
    if (wanted.source.empty()) continue;
    const gguf::GgufTensor* found = file.find(wanted.name);
    if (found == nullptr && config.tie_word_embeddings && wanted.role == TensorRole::kOutput) continue;
    if (found == nullptr)
      throw FormatError(fmt::format("{}: tensor '{}' is missing", file.path().string(), wanted.name));
    std::vector<std::uint64_t> ne = wanted.ne;
    ne.resize(gguf::kMostDimensions, 1);
    if (!std::ranges::equal(found->ne, ne)) {
      throw FormatError(fmt::format("{}: tensor '{}' must have sizes [{}], found [{}]", file.path().string(),
                                    wanted.name, fmt::join(ne, ", "), fmt::join(found->ne, ", ")));
    }
    by_name_.emplace(wanted.source, found);  // of a tied model's two the embedding, which comes first
  }
}

MatrixShape GgufWeights::shape(const std::string& tensor) const {
  const gguf::GgufTensor& found = stored(tensor);
  return {.rows = found.rows(), .row_length = found.ne[0]};
}

void GgufWeights::read(const std::string& tensor, std::size_t first_row, std::span<float> out) const {
  const gguf::GgufTensor& found = stored(tensor);
  if (!gguf::traits(found.type).has_codec) {
    throw FormatError(fmt::format("{}: tensor '{}' is stored as {}, which can't be decoded here", file_.path().string(),
                                  found.name, gguf::traits(found.type).name));
  }
  const std::size_t length = found.ne[0], rows = out.size() / length;
  const std::uint64_t row_bytes = *gguf::tensor_bytes(found.type, length);
  const std::span<const std::byte> bytes = file_.bytes(found).subspan(first_row * row_bytes, rows * row_bytes);
  parallel_for(rows, [&](std::size_t row) {
    gguf::decode_rows(found.type, bytes.subspan(row * row_bytes, row_bytes), out.subspan(row * length, length));
  });
}

void GgufWeights::release(const std::string& tensor) const { file_.release(stored(tensor)); }

}  // namespace nkat::exporting
