#include "models/weights/weights.h"

#include <chrono>
#include <cstring>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/cli/log.h"
#include "core/cli/progress.h"
#include "core/error.h"
#include "core/signals.h"
#include "data/formats/safetensors.h"
#include "layers/quantized/channel_scales.h"
#include "models/weights/checkpoint_tensors.h"
#include "models/weights/nonfinite.h"

namespace nkat::models {
namespace {

using data::SafetensorsFolder;
using data::TensorInfo;

constexpr const char* kHeadTensor = "lm_head.weight";  // of a model that isn't tied

bool is_ignored(const std::string& name) { return name.ends_with(".rotary_emb.inv_freq"); }

void require_all_finite(std::int64_t wrong, const std::string& name, const std::string& where) {
  if (wrong == 0) return;
  throw FormatError(fmt::format("{}: tensor {} holds {} values that are NaN or infinite; the checkpoint is damaged",
                                where, name, wrong));
}

constexpr std::int64_t kDensePiece = 512 << 20, kQuantizedPiece = 16 << 20;  // bytes of float32
constexpr std::int64_t kJudgedRows = 512;

class Loader {
 public:
  Loader(const std::filesystem::path& folder, const Phi3Config& config, const WeightsOptions& options)
      : where_(folder.string()),
        folder_(folder),
        options_(at::TensorOptions(options.device).dtype(options.dtype)),
        forms_(options.forms) {
    check_checkpoint(folder_, config, where_);
  }

  at::Tensor load(const std::string& name) {
    at::Tensor result = at::empty(folder_.find(name)->info->shape, options_);
    for_each_piece(name, kDensePiece, [&](std::int64_t first, const at::Tensor& rows) {
      result.narrow(0, first, rows.size(0)).copy_(rows);
    });
    require_all_finite(count_nonfinite(result), name, where_);
    return result;
  }

  layers::Weight load_matrix(const std::string& name, MatrixRole role) {
    const std::vector<std::int64_t>& shape = folder_.find(name)->info->shape;
    const WeightFormat& form = forms_.of(role);
    switch (form.storage) {
      case WeightFormat::Storage::kInt8:
        return quantize(name,
                        layers::empty_int8_matrix(shape[0], shape[1], options_.device(),
                                                  {.input = form.input_passes, .gradient = form.gradient_passes}));
      case WeightFormat::Storage::kNf4:
        return quantize(name, layers::empty_nf4_matrix(shape[0], shape[1], options_.device()));
      default: return load(name);
    }
  }

  std::uint64_t bytes_read() const { return bytes_read_; }

 private:
  template <typename Matrix>
  Matrix quantize(const std::string& name, Matrix matrix) {
    matrix.channel_scales.copy_(layers::channel_scales(spread_rows(name).to(options_.device())));
    std::int64_t wrong = 0;
    for_each_piece(name, kQuantizedPiece, [&](std::int64_t first, const at::Tensor& rows) {
      const at::Tensor wide = rows.to(options_.device(), at::kFloat);
      wrong += count_nonfinite(wide);
      if (wrong == 0) layers::set_rows(matrix, first, wide);
    });
    require_all_finite(wrong, name, where_);
    return matrix;
  }

  // Rows of the stored tensor at even distances, as many as a column is judged by.
  at::Tensor spread_rows(const std::string& name) {
    const auto [file, info] = *folder_.find(name);
    const std::span<const std::byte> bytes = file->bytes(*info);
    const std::int64_t rows = info->shape[0], columns = info->shape[1], step = (rows + kJudgedRows - 1) / kJudgedRows;
    at::Tensor chosen = at::empty({(rows + step - 1) / step, columns}, stored_type(*info));
    const std::size_t row_bytes = bytes.size() / static_cast<std::size_t>(rows);
    auto* target = static_cast<std::byte*>(chosen.data_ptr());
    for (std::int64_t row = 0; row < rows; row += step, target += row_bytes) {
      std::memcpy(target, bytes.data() + static_cast<std::size_t>(row) * row_bytes, row_bytes);
    }
    return chosen;
  }

  // Whole rows of the stored tensor, so many that they take `most` bytes in float32, or one.
  void for_each_piece(const std::string& name, std::int64_t most,
                      const std::function<void(std::int64_t first, const at::Tensor& rows)>& use) {
    const auto [file, info] = *folder_.find(name);
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
                        shape, stored_type(*info)));
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
  SafetensorsFolder folder_;
  at::TensorOptions options_;
  LayerFormats forms_;
  std::uint64_t bytes_read_ = 0;
};

std::string layer_prefix(std::int64_t index) { return fmt::format("model.layers.{}.", index); }

}  // namespace

std::vector<NamedShape> expected_tensors(const Phi3Config& config) {
  const std::int64_t h = config.hidden_size, f = config.intermediate_size;
  std::vector<NamedShape> tensors = {{kEmbeddingTensor, {config.vocab_size, h}}};
  for (std::int64_t i = 0; i < config.num_layers; ++i) {
    const std::string prefix = layer_prefix(i);
    tensors.push_back({prefix + "input_layernorm.weight", {h}});
    tensors.push_back({prefix + "self_attn.qkv_proj.weight", {config.qkv_rows(), h}});
    tensors.push_back({prefix + "self_attn.o_proj.weight", {h, config.num_heads * config.head_dim}});
    tensors.push_back({prefix + "post_attention_layernorm.weight", {h}});
    tensors.push_back({prefix + "mlp.gate_up_proj.weight", {2 * f, h}});
    tensors.push_back({prefix + "mlp.down_proj.weight", {h, f}});
  }
  tensors.push_back({"model.norm.weight", {h}});
  if (!config.tie_word_embeddings) tensors.push_back({kHeadTensor, {config.vocab_size, h}});
  return tensors;
}

std::string head_tensor(const Phi3Config& config) {
  return config.tie_word_embeddings ? kEmbeddingTensor : kHeadTensor;
}

at::ScalarType stored_type(const TensorInfo& info) {
  switch (info.dtype) {
    case data::DType::kF32: return at::kFloat;
    case data::DType::kF16: return at::kHalf;
    case data::DType::kBF16: return at::kBFloat16;
    default:
      throw FormatError(fmt::format("tensor {} is stored as {}; weights must be F32, F16 or BF16", info.name,
                                    data::dtype_name(info.dtype)));
  }
}

void check_checkpoint(const data::SafetensorsFolder& folder, const Phi3Config& config, const std::string& where) {
  std::set<std::string> expected_names;
  for (const auto& [name, shape] : expected_tensors(config)) {
    expected_names.insert(name);
    const auto located = folder.find(name);
    if (!located) throw FormatError(fmt::format("{}: tensor {} is missing; config.json asks for it", where, name));
    if (located->info->shape != shape) {
      throw ShapeError(fmt::format("{}: tensor {} must have shape [{}] by config.json, found [{}]", where, name,
                                   fmt::join(shape, ", "), fmt::join(located->info->shape, ", ")));
    }
    stored_type(*located->info);
  }
  if (config.tie_word_embeddings) expected_names.insert(kHeadTensor);  // some writers store it all the same
  for (const std::string& name : folder.names()) {
    if (!expected_names.contains(name) && !is_ignored(name)) {
      throw FormatError(fmt::format("{}: tensor {} belongs to no part of a Phi-3 with this config.json ({} layers)",
                                    where, name, config.num_layers));
    }
  }
}

Weights load_weights(const std::filesystem::path& model_folder, const Phi3Config& config,
                     const WeightsOptions& options) {
  const auto started = std::chrono::steady_clock::now();
  const at::NoGradGuard no_grad;
  Loader loader(model_folder, config, options);
  Weights weights;
  weights.embedding = loader.load(kEmbeddingTensor);
  for (std::int64_t i = 0; i < config.num_layers; ++i) {
    const std::string prefix = layer_prefix(i);
    weights.layers.push_back(
        {.input_norm = loader.load(prefix + "input_layernorm.weight"),
         .qkv = loader.load_matrix(prefix + "self_attn.qkv_proj.weight", MatrixRole::kQkv),
         .attention_output = loader.load_matrix(prefix + "self_attn.o_proj.weight", MatrixRole::kAttentionOutput),
         .post_attention_norm = loader.load(prefix + "post_attention_layernorm.weight"),
         .gate_up = loader.load_matrix(prefix + "mlp.gate_up_proj.weight", MatrixRole::kGateUp),
         .down = loader.load_matrix(prefix + "mlp.down_proj.weight", MatrixRole::kDown)});
  }
  weights.final_norm = loader.load("model.norm.weight");
  weights.head = config.tie_word_embeddings ? weights.embedding : loader.load(kHeadTensor);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  log::info(fmt::format("read {} of weights from {} in {:.1f} s",
                        format_bytes(static_cast<double>(loader.bytes_read())), model_folder.string(), seconds));
  return weights;
}

}  // namespace nkat::models
