#include "models/weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <cstring>
#include <set>

#include "core/error.h"
#include "core/log.h"
#include "core/progress.h"
#include "core/signals.h"
#include "data/safetensors.h"
#include "models/checkpoint_check.h"

namespace nkat::models {
namespace {

using data::SafetensorsFolder;
using data::TensorInfo;

bool is_ignored(const std::string& name) { return name.ends_with(".rotary_emb.inv_freq"); }

void check_finite(const at::Tensor& tensor, const std::string& name, const std::string& where) {
  const at::ScalarType wide = tensor.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  if (std::isfinite(tensor.sum(wide).item<double>())) return;
  const auto wrong = (tensor.numel() - at::isfinite(tensor).sum().item<std::int64_t>());
  if (wrong > 0) {
    throw FormatError(fmt::format("{}: tensor {} holds {} values that are NaN or infinite; the checkpoint is damaged",
                                  where, name, wrong));
  }
}

class Loader {
 public:
  Loader(const std::filesystem::path& folder, const Phi3Config& config, at::ScalarType dtype, at::Device device)
      : where_(folder.string()), folder_(folder), options_(at::TensorOptions(device).dtype(dtype)) {
    check_checkpoint(folder_, config, where_);
  }

  at::Tensor load(const std::string& name) {
    throw_if_stop_requested();
    const auto [file, info] = *folder_.find(name);
    const std::span<const std::byte> bytes = file->bytes(*info);
    at::Tensor result = at::empty(info->shape, options_);
    result.copy_(source(bytes, *info));
    check_finite(result, name, where_);
    file->release(*info);
    bytes_read_ += bytes.size();
    return result;
  }

  std::uint64_t bytes_read() const { return bytes_read_; }

 private:
  // The stored tensor: in place where its bytes are aligned, else a copy of this one tensor.
  static at::Tensor source(std::span<const std::byte> bytes, const TensorInfo& info) {
    const at::ScalarType type = stored_type(info);
    const auto address = reinterpret_cast<std::uintptr_t>(bytes.data());
    if (address % c10::elementSize(type) == 0) {
      return at::from_blob(const_cast<std::byte*>(bytes.data()), info.shape, type);
    }
    at::Tensor copy = at::empty(info.shape, type);
    std::memcpy(copy.data_ptr(), bytes.data(), bytes.size());
    return copy;
  }

  std::string where_;
  SafetensorsFolder folder_;
  at::TensorOptions options_;
  std::uint64_t bytes_read_ = 0;
};

std::string layer_prefix(std::int64_t index) { return fmt::format("model.layers.{}.", index); }

}  // namespace

std::vector<NamedShape> expected_tensors(const Phi3Config& config) {
  const std::int64_t h = config.hidden_size, f = config.intermediate_size;
  std::vector<NamedShape> tensors = {{"model.embed_tokens.weight", {config.vocab_size, h}}};
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
  if (!config.tie_word_embeddings) tensors.push_back({"lm_head.weight", {config.vocab_size, h}});
  return tensors;
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
  if (config.tie_word_embeddings) expected_names.insert("lm_head.weight");  // some writers store it all the same
  for (const std::string& name : folder.names()) {
    if (!expected_names.contains(name) && !is_ignored(name)) {
      throw FormatError(fmt::format("{}: tensor {} belongs to no part of a Phi-3 with this config.json ({} layers)",
                                    where, name, config.num_layers));
    }
  }
}

Weights load_weights(const std::filesystem::path& model_folder, const Phi3Config& config, at::ScalarType dtype,
                     at::Device device) {
  const auto started = std::chrono::steady_clock::now();
  const at::NoGradGuard no_grad;
  Loader loader(model_folder, config, dtype, device);
  Weights weights;
  weights.embedding = loader.load("model.embed_tokens.weight");
  for (std::int64_t i = 0; i < config.num_layers; ++i) {
    const std::string prefix = layer_prefix(i);
    weights.layers.push_back({.input_norm = loader.load(prefix + "input_layernorm.weight"),
                              .qkv = loader.load(prefix + "self_attn.qkv_proj.weight"),
                              .attention_output = loader.load(prefix + "self_attn.o_proj.weight"),
                              .post_attention_norm = loader.load(prefix + "post_attention_layernorm.weight"),
                              .gate_up = loader.load(prefix + "mlp.gate_up_proj.weight"),
                              .down = loader.load(prefix + "mlp.down_proj.weight")});
  }
  weights.final_norm = loader.load("model.norm.weight");
  weights.head = config.tie_word_embeddings ? weights.embedding : loader.load("lm_head.weight");
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  log::info(fmt::format("read {} of weights from {} in {:.1f} s",
                        format_bytes(static_cast<double>(loader.bytes_read())), model_folder.string(), seconds));
  return weights;
}

}  // namespace nkat::models
