#include "models/weights/base_fingerprint.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/cli/log.h"
#include "core/cli/progress.h"
#include "core/error.h"
#include "core/files/atomic_file.h"
#include "core/files/sha256.h"
#include "core/signals.h"
#include "data/formats/safetensors.h"
#include "models/tensor_table.h"

namespace nkat::models {
namespace {

using data::SafetensorsFolder;

constexpr std::size_t kPiece = std::size_t{64} << 20;
constexpr std::uint64_t kWorthShowing = std::uint64_t{256} << 20;  // about 0.2 s
constexpr std::size_t kDigits = 64;

// The cache entry of these files; nothing without a cache folder.
std::optional<fs::path> cache_file(const SafetensorsFolder& folder) {
  const fs::path cache = cache_folder();
  if (cache.empty()) return std::nullopt;
  std::string key = "base-sha256 1\n";
  for (const fs::path& file : folder.files()) {
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

std::string compute(const SafetensorsFolder& folder) {
  const std::vector<SafetensorsFolder::Located> tensors = hashed_tensors(folder);
  std::uint64_t total = 0, done = 0;
  for (const auto& tensor : tensors) total += tensor.info->end - tensor.info->begin;
  std::optional<ProgressBar> progress;
  if (total > kWorthShowing) progress.emplace("hash of the base model", total);
  Sha256 hash;
  for (const auto& [file, info] : tensors) {
    const std::string header = fmt::format("{}{}{}{}{}{}", info->name, '\0', data::dtype_name(info->dtype), '\0',
                                           fmt::join(info->shape, ","), '\0');
    hash.update(header);
    const std::span<const std::byte> bytes = file->bytes(*info);
    for (std::size_t at = 0; at < bytes.size(); at += kPiece) {
      throw_if_stop_requested();
      const auto piece = bytes.subspan(at, std::min(kPiece, bytes.size() - at));
      hash.update(piece);
      done += piece.size();
      if (progress) progress->update(done, format_bytes(static_cast<double>(done)));
    }
    file->release(*info);
  }
  return hash.hex();
}

}  // namespace

std::string base_sha256(const fs::path& model_folder) {
  const SafetensorsFolder folder(model_folder);
  const std::optional<fs::path> file = cache_file(folder);
  if (const auto cached = read_cached(file)) return *cached;
  const std::string digits = compute(folder);
  if (file) {
    try {
      write_file_atomically(*file, digits);
    } catch (const Error& error) {
      log::warning(fmt::format("the fingerprint of the base model is not cached: {}", error.what()));
    }
  }
  return digits;
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

std::string norms_sha256(const fs::path& model_folder, const ModelConfig& config) {
  return norms_sha256(config, SafetensorsWeights(model_folder, config));
}

}  // namespace nkat::models
