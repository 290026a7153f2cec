#include "data/formats/gguf_reader.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/message.h"

namespace nkat::gguf {
namespace {

constexpr std::string_view kSplitKeys = "split.";
constexpr std::string_view kPartKey = "split.no", kPartsKey = "split.count", kTensorsKey = "split.tensors.count";

std::string part_ending(std::uint32_t part, std::uint32_t parts) {
  return fmt::format("-{:05}-of-{:05}.gguf", part + 1, parts);
}

[[noreturn]] void refuse(const GgufFile& file, std::string_view key, const std::string& wanted, const auto& found,
                         const std::string& advice = "") {
  throw FormatError(
      fmt::format("{}: {}: {}", file.path().string(), key, expected(wanted, fmt::format("{}", found), advice)));
}

// What stands before the part's number in the name of the first of `parts`.
std::string common_name(const GgufFile& first, std::uint32_t parts) {
  std::string name = first.path().filename().string();
  const auto part = first.metadata().number<std::uint16_t>(kPartKey);
  if (part != 0) {
    refuse(first, kPartKey, "0, the first part of a split file", part,
           fmt::format("name the file that ends in {}", part_ending(0, parts)));
  }
  const std::string ending = part_ending(0, parts);
  if (!name.ends_with(ending))
    refuse(first, "its name", "one that ends in " + ending, name, "parts are found by their names");
  return name.substr(0, name.size() - ending.size());
}

}  // namespace

bool is_gguf_model(const fs::path& model) {
  std::error_code error;  // whoever opens the path names it
  if (!fs::is_regular_file(model, error)) return false;
  if (model.extension() == ".gguf") return true;
  std::string start(kMagic.size(), '\0');
  return read_bytes(open_for_reading(model), start, model) == start.size() && start == kMagic;
}

GgufFile::GgufFile(const fs::path& path) : GgufFile(path, MappedFile(path)) {}

GgufFile::GgufFile(const fs::path& path, MappedFile map)
    : path_(path), header_(parse_gguf(map.bytes(), path.string())) {
  parts_.push_back({.path = path, .map = std::move(map), .data_begin = header_.data_begin});
  make_index();
}

GgufFile GgufFile::with_all_parts(const fs::path& path) {
  GgufFile file(path);
  const std::uint32_t parts = file.metadata().number_or<std::uint16_t>(kPartsKey, 0);
  if (parts > 1) {
    const std::string name = common_name(file, parts);
    for (std::uint32_t i = 1; i < parts; ++i) {
      GgufFile part(folder_of(path) / (name + part_ending(i, parts)));
      if (const auto found = part.metadata().number<std::uint16_t>(kPartKey); found != i)
        refuse(part, kPartKey, std::to_string(i), found);
      if (const auto found = part.metadata().number<std::uint16_t>(kPartsKey); found != parts)
        refuse(part, kPartsKey, std::to_string(parts), found);
      file.add(std::move(part));
    }
    const auto tensors = file.metadata().number<std::int32_t>(kTensorsKey);
    if (tensors < 0 || file.tensors().size() != static_cast<std::size_t>(tensors))
      refuse(file, kTensorsKey, fmt::format("{}, as many as the parts hold", file.tensors().size()), tensors);
  }
  GgufMetadata metadata(path.string());
  for (const auto& [key, value] : file.metadata().pairs()) {
    if (!key.starts_with(kSplitKeys)) metadata.add(key, value);
  }
  file.header_.metadata = std::move(metadata);
  return file;
}

void GgufFile::add(GgufFile part) {
  for (GgufTensor& tensor : part.header_.tensors) {
    if (find(tensor.name) != nullptr)
      throw FormatError(fmt::format("{}: tensor '{}' is in an earlier part too", part.path_.string(), tensor.name));
    tensor.part = static_cast<std::uint32_t>(parts_.size());
    header_.tensors.push_back(std::move(tensor));
  }
  parts_.push_back(std::move(part.parts_.front()));
  make_index();
}

void GgufFile::make_index() {
  for (std::size_t i = index_.size(); i < header_.tensors.size(); ++i) index_[header_.tensors[i].name] = i;
}

const GgufTensor* GgufFile::find(std::string_view name) const {
  const auto found = index_.find(std::string(name));
  return found == index_.end() ? nullptr : &header_.tensors[found->second];
}

std::span<const std::byte> GgufFile::bytes(const GgufTensor& tensor) const {
  const Part& part = parts_[tensor.part];
  return part.map.bytes().subspan(part.data_begin).subspan(tensor.offset, tensor.bytes);
}

void GgufFile::release(const GgufTensor& tensor) const {
  const Part& part = parts_[tensor.part];
  part.map.release(part.data_begin + tensor.offset, tensor.bytes);
}

std::vector<fs::path> GgufFile::parts() const {
  std::vector<fs::path> paths;
  for (const Part& part : parts_) paths.push_back(part.path);
  return paths;
}

std::uint64_t GgufFile::size() const {
  std::uint64_t bytes = 0;
  for (const Part& part : parts_) bytes += part.map.bytes().size();
  return bytes;
}

}  // namespace nkat::gguf
