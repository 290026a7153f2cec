#include "data/safetensors.h"

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json.h"

static_assert(std::endian::native == std::endian::little, "safetensors are read in place: little-endian only");

namespace nkat::data {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kHeaderLimit = 100'000'000;
constexpr std::size_t kTensorLimit = 131'072;
constexpr std::size_t kNameLimit = 256;
constexpr std::size_t kRankLimit = 8;
constexpr int kHeaderDepth = 4;
constexpr const char* kMetadataKey = "__metadata__";

struct DTypeRow {
  DType dtype;
  const char* name;
  std::size_t size;
};
// In the order in which the official writer lays tensors out.
constexpr std::array kDTypes = {
    DTypeRow{DType::kU64, "U64", 8},   DTypeRow{DType::kI64, "I64", 8}, DTypeRow{DType::kF64, "F64", 8},
    DTypeRow{DType::kF32, "F32", 4},   DTypeRow{DType::kU32, "U32", 4}, DTypeRow{DType::kI32, "I32", 4},
    DTypeRow{DType::kBF16, "BF16", 2}, DTypeRow{DType::kF16, "F16", 2}, DTypeRow{DType::kU16, "U16", 2},
    DTypeRow{DType::kI16, "I16", 2},   DTypeRow{DType::kI8, "I8", 1},   DTypeRow{DType::kU8, "U8", 1},
    DTypeRow{DType::kBool, "BOOL", 1}};

std::size_t writer_rank(DType dtype) {
  const auto row = std::ranges::find(kDTypes, dtype, &DTypeRow::dtype);
  NKAT_INVARIANT(row != kDTypes.end());
  return static_cast<std::size_t>(row - kDTypes.begin());
}

bool multiply(std::uint64_t& product, std::uint64_t factor) {
  return !__builtin_mul_overflow(product, factor, &product);
}

// Reads one entry of the header at a time; `who` opens every complaint.
class HeaderReader {
 public:
  explicit HeaderReader(std::string who) : who_(std::move(who)) {}

  TensorInfo tensor(const std::string& name, const Json& value) const {
    check_name(name);
    require(value.is_object(), name, "an object with dtype, shape and data_offsets was expected");
    for (const auto& entry : value.items()) {
      require(entry.key() == "dtype" || entry.key() == "shape" || entry.key() == "data_offsets", name,
              fmt::format("its field '{}' is not known", entry.key()));
    }
    require(value.size() == 3, name, "dtype, shape and data_offsets were expected, one is missing");
    TensorInfo info{name, dtype(name, value["dtype"]), shape(name, value["shape"]), 0, 0};
    const std::vector<std::uint64_t> offsets = numbers(name, "data_offsets", value["data_offsets"]);
    require(offsets.size() == 2 && offsets[0] <= offsets[1], name, "data_offsets must be [begin, end], begin <= end");
    info.begin = offsets[0];
    info.end = offsets[1];
    check_size(info);
    return info;
  }

  std::map<std::string, std::string> metadata(const Json& value) const {
    if (!value.is_object()) throw FormatError(who_ + ": __metadata__ must be an object of texts");
    std::map<std::string, std::string> texts;
    for (const auto& entry : value.items()) {
      if (!entry.value().is_string()) {
        throw FormatError(fmt::format("{}: __metadata__ key '{}' must hold a text", who_, entry.key()));
      }
      texts[entry.key()] = entry.value().get<std::string>();
    }
    return texts;
  }

  void require(bool condition, const std::string& tensor, const std::string& complaint) const {
    if (!condition) throw FormatError(fmt::format("{}: tensor '{}': {}", who_, tensor, complaint));
  }

 private:
  void check_name(const std::string& name) const {
    if (name.empty() || name.size() > kNameLimit) {
      throw FormatError(
          fmt::format("{}: a tensor name must have 1 to {} bytes, found {}", who_, kNameLimit, name.size()));
    }
    const bool control =
        std::ranges::any_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
    if (control) throw FormatError(fmt::format("{}: a tensor name holds control characters", who_));
  }

  DType dtype(const std::string& name, const Json& value) const {
    require(value.is_string(), name, "dtype must be a text");
    const auto row = std::ranges::find(kDTypes, value.get<std::string>(), &DTypeRow::name);
    if (row != kDTypes.end()) return row->dtype;
    std::string known;
    for (const DTypeRow& one : kDTypes) known += fmt::format("{}{}", known.empty() ? "" : ", ", one.name);
    require(false, name,
            fmt::format("dtype '{}' can't be used here; one of {} was expected", value.get<std::string>(), known));
    return DType::kF32;
  }

  std::vector<std::uint64_t> numbers(const std::string& name, const char* field, const Json& value) const {
    require(value.is_array() && std::ranges::all_of(value, [](const Json& one) { return one.is_number_unsigned(); }),
            name, fmt::format("{} must be a list of integers >= 0", field));
    return value.get<std::vector<std::uint64_t>>();
  }

  std::vector<std::int64_t> shape(const std::string& name, const Json& value) const {
    require(!value.is_array() || value.size() <= kRankLimit, name,
            fmt::format("at most {} dimensions were expected, found {}", kRankLimit, value.size()));
    std::vector<std::int64_t> dims;
    for (const std::uint64_t dim : numbers(name, "shape", value)) {
      require(dim <= static_cast<std::uint64_t>(INT64_MAX), name, fmt::format("dimension {} is too large", dim));
      dims.push_back(static_cast<std::int64_t>(dim));
    }
    return dims;
  }

  void check_size(const TensorInfo& info) const {
    std::uint64_t size = dtype_size(info.dtype);
    for (const std::int64_t dim : info.shape) {
      require(multiply(size, static_cast<std::uint64_t>(dim)), info.name, "its number of bytes overflows 64 bits");
    }
    require(size == info.end - info.begin, info.name,
            fmt::format("shape [{}] of {} needs {} bytes, data_offsets give {}", fmt::join(info.shape, ", "),
                        dtype_name(info.dtype), size, info.end - info.begin));
  }

  std::string who_;
};

// The header's text, copied out of the map: what is checked must not change under the check.
std::string read_header(std::span<const std::byte> file, const std::string& who) {
  std::uint64_t length = 0;
  if (file.size() < sizeof length) {
    throw FormatError(fmt::format("{}: a safetensors file has at least 8 bytes, found {}", who, file.size()));
  }
  std::memcpy(&length, file.data(), sizeof length);
  if (length > kHeaderLimit) {
    throw FormatError(fmt::format("{}: header of {} bytes, at most {} allowed; is it a safetensors file?", who, length,
                                  kHeaderLimit));
  }
  if (length > file.size() - sizeof length) {
    throw FormatError(
        fmt::format("{}: header of {} bytes in a file of {}; the file is cut or damaged", who, length, file.size()));
  }
  std::string text(length, '\0');
  std::memcpy(text.data(), file.data() + sizeof length, length);
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos || text[first] != '{') throw FormatError(who + ": the header must be a JSON object");
  return text;
}

// Tensors sorted by place must cover the data buffer exactly.
void check_cover(const std::vector<TensorInfo>& tensors, std::uint64_t buffer_size, const std::string& who) {
  std::uint64_t expected = 0;
  for (const TensorInfo& info : tensors) {
    if (info.begin != expected) {
      throw FormatError(
          fmt::format("{}: tensor '{}' begins at byte {} of the data, {} was expected (no gaps, no overlaps)", who,
                      info.name, info.begin, expected));
    }
    expected = info.end;
  }
  if (expected != buffer_size) {
    throw FormatError(
        fmt::format("{}: its tensors need {} bytes of data, found {}; the file is cut or has bytes appended", who,
                    expected, buffer_size));
  }
}

}  // namespace

std::size_t dtype_size(DType dtype) { return kDTypes[writer_rank(dtype)].size; }
const char* dtype_name(DType dtype) { return kDTypes[writer_rank(dtype)].name; }

SafetensorsFile::SafetensorsFile(const fs::path& path) : path_(path), map_(path) {
  const std::string who = path.string();
  const std::string text = read_header(map_.bytes(), who);
  const Json header = parse_large_json(text, who + " (header)", {}, kHeaderDepth);
  if (header.size() > kTensorLimit + 1) {
    throw FormatError(fmt::format("{}: at most {} tensors were expected, found {}", who, kTensorLimit, header.size()));
  }
  const HeaderReader reader(who);
  for (const auto& entry : header.items()) {
    if (entry.key() == kMetadataKey) {
      metadata_ = reader.metadata(entry.value());
    } else {
      tensors_.push_back(reader.tensor(entry.key(), entry.value()));
    }
  }
  std::ranges::stable_sort(tensors_, {}, [](const TensorInfo& info) { return std::pair(info.begin, info.end); });
  data_begin_ = sizeof(std::uint64_t) + text.size();
  check_cover(tensors_, map_.bytes().size() - data_begin_, who);
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
  std::ranges::sort(order, {}, [](const TensorToWrite* one) { return std::pair(writer_rank(one->dtype), one->name); });

  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadataKey] = metadata;
  std::uint64_t end = 0;
  for (const TensorToWrite* tensor : order) {
    std::uint64_t size = dtype_size(tensor->dtype);
    for (const std::int64_t dim : tensor->shape) {
      NKAT_INVARIANT(dim >= 0 && multiply(size, static_cast<std::uint64_t>(dim)));
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
