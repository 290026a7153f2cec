#include "data/formats/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/formats/safetensors_header.h"

static_assert(std::endian::native == std::endian::little, "safetensors are read in place: little-endian only");

namespace nkat::data {

SafetensorsFile::SafetensorsFile(const fs::path& path) : path_(path), map_(path) {
  SafetensorsHeader header = parse_safetensors(map_.bytes(), path.string());
  data_begin_ = header.data_begin;
  tensors_ = std::move(header.tensors);
  metadata_ = std::move(header.metadata);
  for (std::size_t i = 0; i < tensors_.size(); ++i) index_[tensors_[i].name] = i;
}

const TensorInfo* SafetensorsFile::find(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

std::span<const std::byte> SafetensorsFile::bytes(const TensorInfo& tensor) const {
  const auto data = map_.bytes().subspan(data_begin_);
  NKAT_INVARIANT(tensor.begin <= tensor.end && tensor.end <= data.size());
  return data.subspan(tensor.begin, tensor.end - tensor.begin);
}

void SafetensorsFile::release(const TensorInfo& tensor) const {
  map_.release(data_begin_ + tensor.begin, tensor.end - tensor.begin);
}

std::string serialize_safetensors(const std::vector<TensorToWrite>& tensors,
                                  const std::map<std::string, std::string>& metadata) {
  std::vector<const TensorToWrite*> order;
  for (const TensorToWrite& tensor : tensors) order.push_back(&tensor);
  std::ranges::sort(order, {}, [](const TensorToWrite* one) { return std::pair(dtype_rank(one->dtype), one->name); });

  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadataKey] = metadata;
  std::uint64_t end = 0;
  for (const TensorToWrite* tensor : order) {
    std::uint64_t size = dtype_size(tensor->dtype);
    for (const std::int64_t dim : tensor->shape) {
      NKAT_INVARIANT(dim >= 0 && !__builtin_mul_overflow(size, static_cast<std::uint64_t>(dim), &size));
    }
    NKAT_INVARIANT(size == tensor->bytes.size() && !header.contains(tensor->name));
    header[tensor->name] = {
        {"dtype", dtype_name(tensor->dtype)}, {"shape", tensor->shape}, {"data_offsets", {end, end + size}}};
    end += size;
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  const std::uint64_t length = text.size();
  std::string file(sizeof length, '\0');
  std::memcpy(file.data(), &length, sizeof length);
  file.reserve(file.size() + text.size() + end);
  file += text;
  for (const TensorToWrite* tensor : order) {
    file.append(reinterpret_cast<const char*>(tensor->bytes.data()), tensor->bytes.size());
  }
  return file;
}

}  // namespace nkat::data
