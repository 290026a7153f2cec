#include "models/weights/weight_source.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/error.h"
#include "core/message.h"
#include "core/parallel.h"
#include "data/quantize/quantize.h"
#include "models/weights/foreign_checkpoint.h"

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
  if (!located) {
    const std::string head = model_tensor(ModelConfig{}, TensorRole::kHead).name;
    const bool only_head = tensor.role == TensorRole::kEmbedding && folder.find(head);
    throw FormatError(fmt::format("{}: tensor {} is missing; config.json asks for it{}", where, tensor.name,
                                  only_head
                                      ? fmt::format(" (a tied model? it stores {} alone: load it with transformers and "
                                                    "save_pretrained(DIR) writes the other)",
                                                    head)
                                      : ""));
  }
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
  refuse_foreign_checkpoint(folder_, model_folder);
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

std::optional<StoredNumbers> SafetensorsWeights::stored_numbers(const std::string& tensor) const {
  const auto [file, info] = *folder_.find(tensor);
  return StoredNumbers{.type = info->dtype, .bytes = file->bytes(*info)};
}

}  // namespace nkat::models
