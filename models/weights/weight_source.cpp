#include "models/weights/weight_source.h"

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

constexpr std::size_t kSliceElements = std::size_t{64} << 10;  // decoded by one thread at a time

bool is_weight_type(data::DType type) {
  return type == data::DType::kF32 || type == data::DType::kF16 || type == data::DType::kBF16;
}

gguf::GgmlType ggml_type(data::DType type) {
  switch (type) {
    case data::DType::kF32: return gguf::GgmlType::kF32;
    case data::DType::kF16: return gguf::GgmlType::kF16;
    case data::DType::kBF16: return gguf::GgmlType::kBF16;
    default: NKAT_INVARIANT(false);  // require_tensor lets no other type pass
  }
}

std::string sizes_text(const auto& sizes) { return fmt::format("[{}]", fmt::join(sizes, ", ")); }

void require_tensor(const data::SafetensorsFolder& folder, const TensorSpec& tensor, const std::string& where) {
  const auto located = folder.find(tensor.name);
  if (!located) throw FormatError(fmt::format("{}: tensor {} is missing; config.json asks for it", where, tensor.name));
  const data::TensorInfo& info = *located->info;
  if (info.shape != tensor.shape) {
    throw ShapeError(
        fmt::format("{}: tensor {}: {}", where, tensor.name,
                    expected("shape " + sizes_text(tensor.shape) + " by config.json", sizes_text(info.shape))));
  }
  if (!is_weight_type(info.dtype)) {
    throw FormatError(fmt::format("{}: tensor {}: {}", where, tensor.name,
                                  expected("F32, F16 or BF16", data::dtype_name(info.dtype))));
  }
}

// A tied model's folder may hold the head all the same: some writers store it.
void refuse_unknown_tensors(const data::SafetensorsFolder& folder, ModelConfig config, const std::string& where) {
  config.tie_word_embeddings = false;
  std::set<std::string> known;
  for (const TensorSpec& tensor : model_tensors(config)) known.insert(tensor.name);
  for (const std::string& name : folder.names()) {
    if (known.contains(name) || is_computed_tensor(name)) continue;
    throw FormatError(fmt::format("{}: unknown tensor {}: a {} with this config.json ({} layers) has no such part",
                                  where, name, traits_of(config.family).title, config.num_layers));
  }
}

MatrixShape matrix_shape(const data::TensorInfo& info) { return TensorSpec{.shape = info.shape}.matrix(); }

}  // namespace

SafetensorsWeights::SafetensorsWeights(const std::filesystem::path& model_folder, const ModelConfig& config)
    : folder_(model_folder) {
  const std::string where = model_folder.string();
  for (const TensorSpec& tensor : checkpoint_tensors(config)) require_tensor(folder_, tensor, where);
  refuse_unknown_tensors(folder_, config, where);
}

MatrixShape SafetensorsWeights::shape(const std::string& tensor) const {
  return matrix_shape(*folder_.find(tensor)->info);
}

void SafetensorsWeights::read(const std::string& tensor, std::size_t first_row, std::span<float> out) const {
  const auto [file, info] = *folder_.find(tensor);
  const std::size_t size = data::dtype_size(info->dtype);
  const std::size_t begin = first_row * matrix_shape(*info).columns;
  const std::span<const std::byte> bytes = file->bytes(*info).subspan(begin * size, out.size() * size);
  parallel_for((out.size() + kSliceElements - 1) / kSliceElements, [&, dtype = info->dtype](std::size_t slice) {
    const std::size_t at = slice * kSliceElements, count = std::min(kSliceElements, out.size() - at);
    gguf::decode_rows(ggml_type(dtype), bytes.subspan(at * size, count * size), out.subspan(at, count));
  });
}

void SafetensorsWeights::release(const std::string& tensor) const {
  const auto [file, info] = *folder_.find(tensor);
  file->release(*info);
}

GgufWeights::GgufWeights(const gguf::GgufFile& file, const ModelConfig& config) : file_(file) {
  const std::string where = file.path().string();
  for (const TensorSpec& wanted : model_tensors(config)) {
    const gguf::GgufTensor* found = file.find(wanted.gguf_name);
    if (found == nullptr && wanted.is_tied) continue;
    if (found == nullptr) throw FormatError(fmt::format("{}: tensor '{}' is missing", where, wanted.gguf_name));
    std::vector<std::uint64_t> ne = wanted.gguf_sizes();
    ne.resize(gguf::kMostDimensions, 1);
    if (!std::ranges::equal(found->ne, ne)) {
      throw FormatError(fmt::format("{}: tensor '{}': {}", where, wanted.gguf_name,
                                    expected("sizes " + sizes_text(ne), sizes_text(found->ne))));
    }
    by_name_.emplace(wanted.name, Stored{found, wanted});  // a tied model's two share a name: the embedding comes first and stays
  }
}

MatrixShape GgufWeights::shape(const std::string& tensor) const {
  const gguf::GgufTensor& found = stored(tensor);
  return {.rows = found.rows(), .columns = found.ne[0]};
}

void GgufWeights::read(const std::string& tensor, std::size_t first_row, std::span<float> out) const {
  const auto& [stored, spec] = by_name_.at(tensor);
  const gguf::GgufTensor& found = *stored;
  if (!gguf::traits(found.type).has_codec) {
    throw FormatError(fmt::format("{}: tensor '{}' is stored as {}, which has no decoder here", file_.path().string(),
                                  found.name, gguf::traits(found.type).name));
  }
  const std::size_t length = found.ne[0], rows = out.size() / length;
  const std::uint64_t row_bytes = *gguf::tensor_bytes(found.type, length);
  const bool is_vector = spec.shape.size() == 1;
  parallel_for(rows, [&, &order = spec](std::size_t row) {
    const std::size_t at = is_vector ? 0 : order.gguf_row(first_row + row);
    gguf::decode_rows(found.type, file_.bytes(found).subspan(at * row_bytes, row_bytes),
                      out.subspan(row * length, length));
  });
  if (!is_vector || spec.gguf_paired_heads == 0) return;
  const std::vector<float> as_stored(out.begin(), out.end());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = as_stored[spec.gguf_row(i)];
}

void GgufWeights::release(const std::string& tensor) const { file_.release(stored(tensor)); }

}  // namespace nkat::models
