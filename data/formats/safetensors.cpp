#include "data/formats/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <unordered_set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files/byte_cursor.h"
#include "core/files/number_bytes.h"
#include "core/files/other_content.h"
#include "core/json.h"
#include "core/message.h"
#include "core/utf8.h"

static_assert(std::endian::native == std::endian::little, "safetensors are read in place: little-endian only");

namespace nkat::data {
namespace {

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

// The row of a type: its place in the official writer's order.
std::size_t dtype_rank(DType dtype) {
  const auto row = std::ranges::find(kDTypes, dtype, &DTypeRow::dtype);
  NKAT_INVARIANT(row != kDTypes.end());
  return static_cast<std::size_t>(row - kDTypes.begin());
}

// Reads one entry of the header at a time; `who` opens every message.
class HeaderReader {
 public:
  explicit HeaderReader(std::string who) : who_(std::move(who)) {}

  TensorInfo tensor(const std::string& name, const nlohmann::json& value) const {
    check_name(name);
    require(value.is_object(), name, expected("an object with dtype, shape and data_offsets", value.type_name()));
    for (const auto& entry : value.items()) {
      require(entry.key() == "dtype" || entry.key() == "shape" || entry.key() == "data_offsets", name,
              fmt::format("unknown field '{}'", ellipsize(entry.key())));
    }
    require(value.size() == 3, name,
            expected("dtype, shape and data_offsets", fmt::format("only {} of them", value.size())));
    TensorInfo info{name, dtype(name, value["dtype"]), shape(name, value["shape"]), 0, 0};
    const std::vector<std::uint64_t> offsets = numbers(name, "data_offsets", value["data_offsets"]);
    require(offsets.size() == 2 && offsets[0] <= offsets[1], name,
            "data_offsets: " + expected("[begin, end] with begin <= end", "another form"));
    info.begin = offsets[0];
    info.end = offsets[1];
    check_size(info);
    return info;
  }

  std::map<std::string, std::string> metadata(const nlohmann::json& value) const {
    if (!value.is_object())
      throw FormatError(
          fmt::format("{}: {}: {}", who_, kMetadataKey, expected("an object of strings", value.type_name())));
    std::map<std::string, std::string> texts;
    for (const auto& entry : value.items()) {
      if (!entry.value().is_string()) {
        throw FormatError(fmt::format("{}: {}: key '{}': {}", who_, kMetadataKey, ellipsize(entry.key()),
                                      expected("a string", entry.value().type_name())));
      }
      texts[entry.key()] = entry.value().get<std::string>();
    }
    return texts;
  }

  void require(bool condition, const std::string& tensor, const std::string& error) const {
    if (!condition) throw FormatError(fmt::format("{}: tensor '{}': {}", who_, tensor, error));
  }

 private:
  void check_name(const std::string& name) const {
    if (name.empty() || name.size() > kNameLimit) {
      throw FormatError(fmt::format("{}: a tensor name: {}", who_,
                                    expected(fmt::format("1 to {} bytes", kNameLimit), std::to_string(name.size()))));
    }
    const bool control =
        std::ranges::any_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
    if (control) throw FormatError(fmt::format("{}: a tensor name holds control characters", who_));
  }

  DType dtype(const std::string& name, const nlohmann::json& value) const {
    require(value.is_string(), name, "dtype: " + expected("a string", value.type_name()));
    const auto row = std::ranges::find(kDTypes, value.get<std::string>(), &DTypeRow::name);
    if (row != kDTypes.end()) return row->dtype;
    const auto& found = value.get_ref<const std::string&>();
    const bool quantized = found.starts_with("F8_") || found.starts_with("F6_") || found.starts_with("F4");
    require(!quantized, name,
            "dtype: " + expected("F32, F16 or BF16", fmt::format("'{}'", ellipsize(found)),
                                 "quantized weights: use the unquantized model that they were made from"));
    std::string known;
    for (const DTypeRow& one : kDTypes) known += fmt::format("{}{}", known.empty() ? "" : ", ", one.name);
    require(false, name, "dtype: " + expected("one of " + known, fmt::format("'{}'", ellipsize(found))));
    return DType::kF32;
  }

  std::vector<std::uint64_t> numbers(const std::string& name, const char* field, const nlohmann::json& value) const {
    require(value.is_array() &&
                std::ranges::all_of(value, [](const nlohmann::json& one) { return one.is_number_unsigned(); }),
            name, fmt::format("{}: {}", field, expected("a list of integers >= 0", "others")));
    return value.get<std::vector<std::uint64_t>>();
  }

  std::vector<std::int64_t> shape(const std::string& name, const nlohmann::json& value) const {
    require(!value.is_array() || value.size() <= kRankLimit, name,
            expected(fmt::format("at most {} dimensions", kRankLimit), std::to_string(value.size())));
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
      require(!__builtin_mul_overflow(size, static_cast<std::uint64_t>(dim), &size), info.name,
              "its number of bytes overflows 64 bits");
    }
    require(size == info.end - info.begin, info.name,
            fmt::format("shape [{}] of {} needs {} bytes, data_offsets give {}", fmt::join(info.shape, ", "),
                        dtype_name(info.dtype), size, info.end - info.begin));
  }

  std::string who_;
};

// Tensors and metadata in the order of the text.
SafetensorsHeader read_entries(const std::string& text, const std::string& who) {
  SafetensorsHeader header;
  bool has_metadata = false;
  const HeaderReader reader(who);
  for_each_json_entry(
      text, who + " (header)",
      [&](const std::string& name, const nlohmann::json& value) {
        if (name == kMetadataKey) {
          if (has_metadata) throw FormatError(fmt::format("{}: duplicate {}", who, kMetadataKey));
          has_metadata = true;
          header.metadata = reader.metadata(value);
          return;
        }
        if (header.tensors.size() == kTensorLimit) {
          throw FormatError(
              fmt::format("{}: {}", who, expected(fmt::format("at most {} tensors", kTensorLimit), "more")));
        }
        header.tensors.push_back(reader.tensor(name, value));
      },
      kHeaderDepth);
  return header;
}

void check_unique(const std::vector<TensorInfo>& tensors, const std::string& who) {
  std::unordered_set<std::string_view> names;
  for (const TensorInfo& info : tensors) {
    if (!names.insert(info.name).second) throw FormatError(fmt::format("{}: duplicate tensor '{}'", who, info.name));
  }
}

// Tensors sorted by place must cover the data buffer exactly.
void check_cover(const std::vector<TensorInfo>& tensors, std::uint64_t buffer_size, const std::string& who) {
  std::uint64_t end = 0;
  for (const TensorInfo& info : tensors) {
    if (info.begin != end) {
      throw FormatError(
          fmt::format("{}: tensor '{}': {} (no gaps, no overlaps)", who, info.name,
                      expected(fmt::format("byte {} of the data as its begin", end), std::to_string(info.begin))));
    }
    end = info.end;
  }
  if (end != buffer_size) {
    throw FormatError(fmt::format("{}: {}", who,
                                  expected(fmt::format("{} bytes of data", end), std::to_string(buffer_size),
                                           "the file is cut or has bytes appended")));
  }
}

}  // namespace

std::size_t dtype_size(DType dtype) { return kDTypes[dtype_rank(dtype)].size; }
const char* dtype_name(DType dtype) { return kDTypes[dtype_rank(dtype)].name; }

SafetensorsHeader parse_safetensors(std::span<const std::byte> file, const std::string& source) {
  if (file.size() >= sizeof(std::uint64_t))  // shorter ones are called cut
    refuse_other_content({reinterpret_cast<const char*>(file.data()), file.size()}, "a safetensors file", source);
  ByteCursor cursor(file, source);
  const auto length = cursor.number<std::uint64_t>("the header's length");
  if (length > kHeaderLimit) {
    cursor.fail("the header: " + expected(fmt::format("at most {} bytes", kHeaderLimit), std::to_string(length),
                                          "is it a safetensors file?"));
  }
  SafetensorsHeader header;
  {
    // Copied out of the map: what is checked must not change under the check.
    const std::string text = cursor.text(length, kHeaderLimit, "the header");
    header = read_entries(text, source);
  }
  header.data_begin = cursor.position();
  check_unique(header.tensors, source);
  std::ranges::stable_sort(header.tensors, {}, [](const TensorInfo& info) { return std::pair(info.begin, info.end); });
  check_cover(header.tensors, cursor.remaining(), source);
  return header;
}

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
  return std::string(bytes_of(length)) + text;
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
