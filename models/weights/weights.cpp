#include "models/weights/weights.h"

#include <chrono>
#include <cstring>
#include <functional>
#include <utility>

#include <fmt/format.h>

#include "core/cli/log.h"
#include "core/cli/progress.h"
#include "core/error.h"
#include "core/signals.h"
#include "data/formats/safetensors.h"
#include "layers/quantized/channel_scales.h"
#include "models/weights/tensor_io.h"
#include "models/weights/weight_source.h"

namespace nkat::models {
namespace {

at::ScalarType torch_type(const data::TensorInfo& info) {
  switch (info.dtype) {
    case data::DType::kF32: return at::kFloat;
    case data::DType::kF16: return at::kHalf;
    case data::DType::kBF16: return at::kBFloat16;
    default: NKAT_INVARIANT(false);  // SafetensorsWeights lets no other type pass
  }
}

void require_all_finite(std::int64_t wrong, const std::string& name, const std::string& where) {
  if (wrong == 0) return;
  throw FormatError(fmt::format(
      "{}: tensor {} holds {} values that are NaN or infinite; the checkpoint is damaged, download it again", where,
      name, wrong));
}

constexpr std::int64_t kDensePiece = 512 << 20, kQuantizedPiece = 16 << 20;  // bytes of float32
constexpr std::int64_t kSampledRows = 512;

class Loader {
 public:
  Loader(const std::filesystem::path& folder, const ModelConfig& config, const WeightsOptions& options)
      : where_(folder.string()),
        source_(folder, config),
        options_(at::TensorOptions(options.device).dtype(options.dtype)),
        forms_(options.forms) {}

  at::Tensor load(const TensorSpec& tensor) {
    at::Tensor result = at::empty(tensor.shape, options_);
    std::int64_t above = 0;
    for (const TensorSpec& part : tensor.stored()) {
      const at::Tensor rows_of_part = result.narrow(0, above, part.shape.front());
      for_each_piece(part.name, kDensePiece, [&](std::int64_t first, const at::Tensor& rows) {
        rows_of_part.narrow(0, first, rows.size(0)).copy_(rows);
      });
      require_all_finite(count_nonfinite(rows_of_part), part.name, where_);
      above += part.shape.front();
    }
    return result;
  }

  layers::Weight load_matrix(const TensorSpec& tensor) {
    const WeightFormat& form = forms_.of(tensor.role);
    switch (form.storage) {
      case WeightFormat::Storage::kInt8:
        return quantize(tensor,
                        layers::empty_int8_matrix(tensor.shape[0], tensor.shape[1], options_.device(),
                                                  {.input = form.input_passes, .gradient = form.gradient_passes}));
      case WeightFormat::Storage::kNf4:
        return quantize(tensor, layers::empty_nf4_matrix(tensor.shape[0], tensor.shape[1], options_.device()));
      default: return load(tensor);
    }
  }

  std::uint64_t bytes_read() const { return bytes_read_; }

 private:
  template <typename Matrix>
  Matrix quantize(const TensorSpec& tensor, Matrix matrix) {
    matrix.channel_scales.copy_(layers::channel_scales(spread_rows(tensor).to(options_.device())));
    std::int64_t above = 0;
    for (const TensorSpec& part : tensor.stored()) {
      std::int64_t wrong = 0;
      for_each_piece(part.name, kQuantizedPiece, [&](std::int64_t first, const at::Tensor& rows) {
        const at::Tensor wide = rows.to(options_.device(), at::kFloat);
        wrong += count_nonfinite(wide);
        if (wrong == 0) layers::set_rows(matrix, above + first, wide);
      });
      require_all_finite(wrong, part.name, where_);
      above += part.shape.front();
    }
    return matrix;
  }

  // Evenly spaced rows of the tensor: the sample that the channel scales are computed from.
  at::Tensor spread_rows(const TensorSpec& tensor) {
    const std::int64_t rows = tensor.shape[0], step = (rows + kSampledRows - 1) / kSampledRows;
    std::vector<at::Tensor> chosen;
    std::int64_t above = 0;
    for (const TensorSpec& part : tensor.stored()) {
      const std::int64_t first = (step - above % step) % step;  // of the part's rows
      if (first < part.shape[0]) chosen.push_back(every_row(part.name, first, step));
      above += part.shape[0];
    }
    return at::cat(chosen);
  }

  // Rows first, first + step, ... of a stored tensor.
  at::Tensor every_row(const std::string& name, std::int64_t first, std::int64_t step) {
    const auto [file, info] = *source_.folder().find(name);
    const std::span<const std::byte> bytes = file->bytes(*info);
    const std::int64_t rows = info->shape[0];
    at::Tensor chosen = at::empty({(rows - first + step - 1) / step, info->shape[1]}, torch_type(*info));
    const std::size_t row_bytes = bytes.size() / static_cast<std::size_t>(rows);
    auto* target = static_cast<std::byte*>(chosen.data_ptr());
    for (std::int64_t row = first; row < rows; row += step, target += row_bytes) {
      std::memcpy(target, bytes.data() + static_cast<std::size_t>(row) * row_bytes, row_bytes);
    }
    return chosen;
  }

  // Whole rows of the stored tensor: as many as take at most `most` bytes in float32, at least one.
  void for_each_piece(const std::string& name, std::int64_t most,
                      const std::function<void(std::int64_t first, const at::Tensor& rows)>& use) {
    const auto [file, info] = *source_.folder().find(name);
    const std::span<const std::byte> bytes = file->bytes(*info);
    const std::int64_t rows = info->shape[0], width = info->shape.size() > 1 ? info->shape[1] : 1;
    const std::int64_t step = std::max<std::int64_t>(1, most / (4 * width));
    const auto row_bytes = static_cast<std::int64_t>(bytes.size()) / rows;
    for (std::int64_t first = 0; first < rows; first += step) {
      throw_if_stop_requested();
      std::vector<std::int64_t> shape = info->shape;
      shape[0] = std::min(step, rows - first);
      use(first, source(bytes.subspan(static_cast<std::size_t>(first * row_bytes),
                                      static_cast<std::size_t>(shape[0] * row_bytes)),
                        shape, torch_type(*info)));
      file->release(*info);
    }
    bytes_read_ += bytes.size();
  }

  // Stored rows: in place where their bytes are aligned, else a copy of them.
  static at::Tensor source(std::span<const std::byte> bytes, at::IntArrayRef shape, at::ScalarType type) {
    const auto address = reinterpret_cast<std::uintptr_t>(bytes.data());
    if (address % c10::elementSize(type) == 0) {
      return at::from_blob(const_cast<std::byte*>(bytes.data()), shape, type);
    }
    at::Tensor copy = at::empty(shape, type);
    std::memcpy(copy.data_ptr(), bytes.data(), bytes.size());
    return copy;
  }

  std::string where_;
  SafetensorsWeights source_;
  at::TensorOptions options_;
  LayerFormats forms_;
  std::uint64_t bytes_read_ = 0;
};

LayerWeights& layer_of(Weights& weights, const TensorSpec& tensor) {
  return weights.layers[static_cast<std::size_t>(tensor.layer)];
}

// The tensor that is neither a layer's matrix nor a bias.
at::Tensor& dense_tensor(Weights& weights, const TensorSpec& tensor) {
  switch (tensor.role) {
    case TensorRole::kEmbedding: return weights.embedding;
    case TensorRole::kFinalNorm: return weights.final_norm;
    case TensorRole::kHead: return weights.head;
    default: return layer_of(weights, tensor).norm(tensor.role);
  }
}

}  // namespace

at::Tensor& LayerWeights::norm(TensorRole role) {
  switch (role) {
    case TensorRole::kInputNorm: return input_norm;
    case TensorRole::kQueryNorm: return query_norm;
    case TensorRole::kKeyNorm: return key_norm;
    case TensorRole::kPostAttentionNorm: return post_attention_norm;
    default: NKAT_INVARIANT(false);
  }
}

const layers::Weight& LayerWeights::matrix(TensorRole role) const {
  switch (role) {
    case TensorRole::kQkv: return qkv;
    case TensorRole::kAttentionOutput: return attention_output;
    case TensorRole::kGateUp: return gate_up;
    case TensorRole::kDown: return down;
    default: NKAT_INVARIANT(false);
  }
}

layers::Weight& LayerWeights::matrix(TensorRole role) {
  return const_cast<layers::Weight&>(std::as_const(*this).matrix(role));
}

Weights load_weights(const std::filesystem::path& model_folder, const ModelConfig& config,
                     const WeightsOptions& options) {
  const auto started = std::chrono::steady_clock::now();
  const at::NoGradGuard no_grad;
  Loader loader(model_folder, config, options);
  Weights weights;
  weights.layers.resize(static_cast<std::size_t>(config.num_layers));
  for (const TensorSpec& tensor : decoder_tensors(config)) {
    if (tensor.is_tied) continue;
    if (tensor.kind == TensorKind::kBias) {
      layer_of(weights, tensor).matrix(tensor.role).set_bias(loader.load(tensor));
    } else if (tensor.is_layer_matrix()) {
      layer_of(weights, tensor).matrix(tensor.role) = loader.load_matrix(tensor);
    } else {
      dense_tensor(weights, tensor) = loader.load(tensor);
    }
  }
  if (config.tie_word_embeddings) weights.head = weights.embedding;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  log::info(fmt::format("read {} of weights from {} in {:.1f} s",
                        format_bytes(static_cast<double>(loader.bytes_read())), model_folder.string(), seconds));
  return weights;
}

}  // namespace nkat::models
