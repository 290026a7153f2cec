#include "data/formats/safetensors.h"

#include <algorithm>
#include <bit>

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

std::string serialize_safetensors_header(const std::vector<TensorInfo>& tensors,
                                         const std::map<std::string, std::string>& metadata, std::uint64_t size) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadataKey] = metadata;
  for (const TensorInfo& tensor : tensors) {
    NKAT_INVARIANT(!header.contains(tensor.name));
    header[tensor.name] = {
        {"dtype", dtype_name(tensor.dtype)}, {"shape", tensor.shape}, {"data_offsets", {tensor.begin, tensor.end}}};
  }
  std::string text = header.dump();
  std::uint64_t length = (text.size() + 7) / 8 * 8;
  if (size > 0) {
    NKAT_INVARIANT(size % 8 == 0 && sizeof length + length <= size);
    length = size - sizeof length;
  }
  text.resize(length, ' ');
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text;
}

std::string serialize_safetensors(const std::vector<TensorToWrite>& tensors,
                                  const std::map<std::string, std::string>& metadata) {
  std::vector<const TensorToWrite*> order;
  for (const TensorToWrite& tensor : tensors) order.push_back(&tensor);
  std::ranges::sort(order, {}, [](const TensorToWrite* one) { return std::pair(dtype_rank(one->dtype), one->name); });

  std::vector<TensorInfo> infos;
  std::uint64_t end = 0;
  for (const TensorToWrite* tensor : order) {
    std::uint64_t size = dtype_size(tensor->dtype);
    for (const std::int64_t dim : tensor->shape) {
      NKAT_INVARIANT(dim >= 0 && !__builtin_mul_overflow(size, static_cast<std::uint64_t>(dim), &size));
    }
    NKAT_INVARIANT(size == tensor->bytes.size());
    infos.push_back({tensor->name, tensor->dtype, tensor->shape, end, end + size});
    end += size;
  }
  std::string file = serialize_safetensors_header(infos, metadata);
  file.reserve(file.size() + end);
  for (const TensorToWrite* tensor : order) {
    file.append(reinterpret_cast<const char*>(tensor->bytes.data()), tensor->bytes.size());
  }
  return file;
}

}  // namespace nkat::data
