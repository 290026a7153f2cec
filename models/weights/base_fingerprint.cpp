#include "models/weights/base_fingerprint.h"

#include <algorithm>
#include <functional>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/cli/log.h"
#include "core/cli/progress.h"
#include "core/error.h"
#include "core/files/atomic_file.h"
#include "core/files/sha256.h"
#include "core/signals.h"
#include "data/formats/gguf_reader.h"
#include "data/formats/safetensors.h"
#include "data/formats/safetensors_folder.h"
#include "models/gguf_config.h"
#include "models/model_source.h"
#include "models/tensor_table.h"
#include "models/weights/gguf_weights.h"

namespace nkat::models {
namespace {

using data::SafetensorsFolder;

constexpr std::size_t kHashedPiece = std::size_t{64} << 20;
constexpr std::uint64_t kWorthShowing = std::uint64_t{256} << 20;  // about 0.2 s
constexpr std::size_t kDigits = 64;

// The cache entry of these files; nothing without a cache folder.
std::optional<fs::path> cache_file(const std::vector<fs::path>& files) {
  const fs::path cache = cache_folder();
  if (cache.empty()) return std::nullopt;
  std::string key = "base-sha256 1\n";
  for (const fs::path& file : files) {
    key += fmt::format("{}\n{} {}\n", fs::canonical(file).string(), fs::file_size(file),
                       fs::last_write_time(file).time_since_epoch().count());
  }
  return cache / ("base-sha256-" + sha256_hex(key));
}

std::optional<std::string> read_cached(const std::optional<fs::path>& file) {
  if (!file || !fs::exists(*file)) return std::nullopt;
  std::string text = read_file(*file, 4096);
  const bool valid = text.size() == kDigits && text.find_first_not_of("0123456789abcdef") == std::string::npos;
  return valid ? std::optional(text) : std::nullopt;
}

std::vector<SafetensorsFolder::Located> hashed_tensors(const SafetensorsFolder& folder) {
  std::vector<SafetensorsFolder::Located> tensors;
  for (const std::string& name : folder.names()) {
    if (!is_computed_tensor(name)) tensors.push_back(*folder.find(name));
  }
  return tensors;
}

// The hash of tensors given one after the other by name; shows its progress where that is worth it.
class TensorHash {
 public:
  explicit TensorHash(std::uint64_t total) {
    if (total > kWorthShowing) progress_.emplace("hash of the base model", total);
  }
  void begin(const std::string& name, const std::string& dtype, const std::vector<std::int64_t>& shape) {
    hash_.update(fmt::format("{}{}{}{}{}{}", name, '\0', dtype, '\0', fmt::join(shape, ","), '\0'));
  }
  void add(std::span<const std::byte> bytes) {
    throw_if_stop_requested();
    hash_.update(bytes);
    done_ += bytes.size();
    if (progress_) progress_->update(done_, format_bytes(static_cast<double>(done_)));
  }
  std::string hex() { return hash_.hex(); }

 private:
  Sha256 hash_;
  std::optional<ProgressBar> progress_;
  std::uint64_t done_ = 0;
};

std::string hash_of_folder(const SafetensorsFolder& folder) {
  const std::vector<SafetensorsFolder::Located> tensors = hashed_tensors(folder);
  std::uint64_t total = 0;
  for (const auto& tensor : tensors) total += tensor.info->end - tensor.info->begin;
  TensorHash hash(total);
  for (const auto& [file, info] : tensors) {
    hash.begin(info->name, data::dtype_name(info->dtype), info->shape);
    const std::span<const std::byte> bytes = file->bytes(*info);
    for (std::size_t at = 0; at < bytes.size(); at += kHashedPiece)
      hash.add(bytes.subspan(at, std::min(kHashedPiece, bytes.size() - at)));
    file->release(*info);
  }
  return hash.hex();
}

std::string hash_of_weights(const WeightSource& weights, std::vector<TensorSpec> tensors) {
  std::ranges::sort(tensors, {}, &TensorSpec::name);
  std::uint64_t total = 0;
  for (const TensorSpec& tensor : tensors) total += tensor.matrix().elements() * sizeof(float);
  TensorHash hash(total);
  std::vector<float> values;
  for (const TensorSpec& tensor : tensors) {
    hash.begin(tensor.name, data::dtype_name(data::DType::kF32), tensor.shape);
    const auto [rows, columns] = tensor.matrix();
    const std::size_t step = std::max<std::size_t>(1, kHashedPiece / sizeof(float) / columns);
    for (std::size_t row = 0; row < rows; row += step) {
      values.resize(std::min(step, rows - row) * columns);
      weights.read(tensor.name, row, values);
      hash.add(std::as_bytes(std::span(values)));
    }
    weights.release(tensor.name);
  }
  return hash.hex();
}

// `compute` unless the cache has the hash of these files.
std::string cached(const std::vector<fs::path>& files, const std::function<std::string()>& compute) {
  const std::optional<fs::path> entry = cache_file(files);
  if (const auto known = read_cached(entry)) return *known;
  const std::string digits = compute();
  if (entry) {
    try {
      write_file_atomically(*entry, digits);
    } catch (const Error& error) {
      log::warning(fmt::format("the fingerprint of the base model is not cached: {}", error.what()));
    }
  }
  return digits;
}

}  // namespace

std::string base_sha256(const fs::path& model) {
  if (gguf::is_gguf_model(model)) {
    const gguf::GgufFile file = gguf::GgufFile::with_all_parts(model);
    return cached(file.parts(), [&] {
      const ModelConfig config = model_config_from(file);
      return hash_of_weights(GgufWeights(file, config), checkpoint_tensors(config));
    });
  }
  const SafetensorsFolder folder(model);
  return cached(folder.files(), [&] { return hash_of_folder(folder); });
}

std::string norms_sha256(const ModelConfig& config, const WeightSource& weights) {
  Sha256 hash;
  for (const TensorSpec& tensor : model_tensors(config)) {
    if (tensor.kind != TensorKind::kNorm) continue;
    std::vector<float> values(tensor.matrix().elements());
    weights.read(tensor.name, 0, values);
    weights.release(tensor.name);
    hash.update(fmt::format("{}{}{}{}", tensor.name, '\0', values.size(), '\0'));
    hash.update(std::as_bytes(std::span(values)));
  }
  return hash.hex();
}

std::string norms_sha256(const fs::path& model, const ModelConfig& config) {
  return norms_sha256(config, *open_weights(model, config));
}

}  // namespace nkat::models
