#include "data/formats/gguf_reader.h"

namespace nkat::gguf {

GgufFile::GgufFile(const fs::path& path) : path_(path), map_(path), header_(parse_gguf(map_.bytes(), path.string())) {
  for (std::size_t i = 0; i < header_.tensors.size(); ++i) index_[header_.tensors[i].name] = i;
}

const GgufTensor* GgufFile::find(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  return found == index_.end() ? nullptr : &header_.tensors[found->second];
}

std::span<const std::byte> GgufFile::bytes(const GgufTensor& tensor) const {
  return map_.bytes().subspan(header_.data_begin).subspan(tensor.offset, tensor.bytes);
}

void GgufFile::release(const GgufTensor& tensor) const {
  map_.release(header_.data_begin + tensor.offset, tensor.bytes);
}

}  // namespace nkat::gguf
