#include "data/formats/gguf_header.h"

#include <bit>
#include <unordered_set>

#include <fmt/format.h>

#include "core/error.h"
#include "core/files/byte_cursor.h"
#include "core/files/other_content.h"
#include "core/message.h"

namespace nkat::gguf {
namespace {

// Numbers of pairs and tensors.
struct Counts {
  std::uint64_t tensors = 0;
  std::uint64_t pairs = 0;
};

std::uint64_t read_count(ByteCursor& cursor, std::string_view what, std::uint64_t most) {
  const auto count = cursor.number<std::int64_t>(what);
  if (count < 0 || static_cast<std::uint64_t>(count) > most)
    cursor.fail(fmt::format("{}: {}", what, expected(fmt::format("0 to {}", most), std::to_string(count))));
  return static_cast<std::uint64_t>(count);
}

Counts read_start(ByteCursor& cursor, std::uint32_t& version) {
  const std::string magic = cursor.text(kMagic.size(), kMagic.size(), "the letters GGUF");
  if (magic != kMagic) cursor.fail(expected("GGUF as the first bytes", "others", "is it a GGUF file?"));
  version = cursor.number<std::uint32_t>("the version");
  if ((version & 0xFFFF) == 0)
    cursor.fail(fmt::format("version {:#x}: {}", version, expected("a little-endian file", "a big-endian one")));
  if (version < kOldestVersion || version > kVersion)
    cursor.fail(expected(fmt::format("version {} or {}", kOldestVersion, kVersion), std::to_string(version)));
  Counts counts;
  counts.tensors = read_count(cursor, "the number of tensors", kMostTensors);
  counts.pairs = read_count(cursor, "the number of metadata pairs", kMostPairs);
  const std::uint64_t least = counts.pairs * kSmallestPair + counts.tensors * kSmallestTensorInfo;
  if (least > cursor.remaining()) {
    cursor.fail(fmt::format("{} metadata pairs and {} tensors: {}", counts.pairs, counts.tensors,
                            expected(fmt::format("at least {} bytes", least), std::to_string(cursor.remaining()),
                                     "the file is cut or damaged")));
  }
  return counts;
}

ValueType read_value_type(ByteCursor& cursor, std::string_view what) {
  const auto id = cursor.number<std::uint32_t>(what);
  const std::optional<ValueType> type = value_type_of(id);
  if (!type) cursor.fail(fmt::format("{}: {}", what, expected("a value type from 0 to 12", std::to_string(id))));
  return *type;
}

std::string copy(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void check_bools(const ByteCursor& cursor, ValueType type, const std::string& bytes) {
  if (type != ValueType::kBool) return;
  for (const char byte : bytes) {
    if (byte != 0 && byte != 1)
      cursor.fail("a bool: " + expected("0 or 1", std::to_string(static_cast<unsigned char>(byte))));
  }
}

std::uint64_t read_string_length(ByteCursor& cursor, std::string_view what) {
  const auto length = cursor.number<std::uint64_t>(what);
  if (length > kLongestString)
    cursor.fail(
        fmt::format("{}: {}", what, expected(fmt::format("at most {} bytes", kLongestString), std::to_string(length))));
  return length;
}

GgufValue read_array(ByteCursor& cursor) {
  const ValueType element = read_value_type(cursor, "an array's element type");
  if (element == ValueType::kArray) cursor.fail("an array of arrays, which GGUF readers do not take");
  const auto count = cursor.number<std::uint64_t>("an array's count");
  const std::uint64_t size = value_size(element);
  if (count > cursor.remaining() / size) {
    cursor.fail(fmt::format("an array of {} {} needs more than the {} bytes that are left; the file is cut or damaged",
                            count, value_type_name(element), cursor.remaining()));
  }
  if (element != ValueType::kString) {
    std::string bytes = copy(cursor.take(count * size, "an array"));
    check_bools(cursor, element, bytes);
    return GgufValue::of_file(ValueType::kArray, element, count, std::move(bytes));
  }
  ByteCursor ahead = cursor;
  for (std::uint64_t i = 0; i < count; ++i)
    ahead.skip(read_string_length(ahead, "the length of an array's string"), "an array's string");
  std::string bytes = copy(cursor.take(ahead.position() - cursor.position(), "an array"));
  return GgufValue::of_file(ValueType::kArray, element, count, std::move(bytes));
}

GgufValue read_value(ByteCursor& cursor) {
  const ValueType type = read_value_type(cursor, "a value type");
  if (type == ValueType::kArray) return read_array(cursor);
  const std::uint64_t size =
      type == ValueType::kString ? read_string_length(cursor, "a string's length") : value_size(type);
  std::string bytes = copy(cursor.take(size, "a value"));
  check_bools(cursor, type, bytes);
  return GgufValue::of_file(type, ValueType::kU8, 1, std::move(bytes));
}

void read_metadata(ByteCursor& cursor, std::uint64_t pairs, GgufMetadata& metadata) {
  for (std::uint64_t i = 0; i < pairs; ++i) {
    const std::string key = cursor.text(cursor.number<std::uint64_t>("a key's length"), kLongestKey, "a key");
    metadata.add(key, read_value(cursor));
  }
}

// Fills in ne and bytes; `where` opens every message.
void read_sizes(ByteCursor& cursor, GgufTensor& tensor, const std::string& where) {
  tensor.dimensions = cursor.number<std::uint32_t>("the number of dimensions");
  if (tensor.dimensions < 1 || tensor.dimensions > kMostDimensions)
    cursor.fail(
        fmt::format("{}: {}", where,
                    expected(fmt::format("1 to {} dimensions", kMostDimensions), std::to_string(tensor.dimensions))));
  std::int64_t elements = 1;
  for (std::uint32_t i = 0; i < tensor.dimensions; ++i) {
    const auto dimension = cursor.number<std::int64_t>("a dimension");
    if (dimension < 1)
      cursor.fail(fmt::format("{}: dimension {}: {}", where, i, expected("at least 1", std::to_string(dimension))));
    if (__builtin_mul_overflow(elements, dimension, &elements))
      cursor.fail(fmt::format("{}: its number of elements overflows 63 bits", where));
    tensor.ne[i] = static_cast<std::uint64_t>(dimension);
  }
  const auto id = cursor.number<std::uint32_t>("a tensor's type");
  const std::optional<GgmlType> type = ggml_type_of(id);
  if (!type) cursor.fail(fmt::format("{}: type {} is none that ggml has (or one that it gave up)", where, id));
  tensor.type = *type;
  const GgmlTypeTraits& known = traits(*type);
  if (tensor.ne[0] % known.block_elements != 0) {
    cursor.fail(fmt::format("{}: {}", where,
                            expected(fmt::format("rows of whole {} blocks of {}", known.name, known.block_elements),
                                     fmt::format("rows of {}", tensor.ne[0]))));
  }
  const std::optional<std::uint64_t> bytes = tensor_bytes(*type, static_cast<std::uint64_t>(elements));
  if (!bytes || *bytes > static_cast<std::uint64_t>(INT64_MAX))
    cursor.fail(fmt::format("{}: its number of bytes overflows 63 bits", where));
  tensor.bytes = *bytes;
}

// Padded to the alignment; false if that passes 2^63.
bool add_padded(std::uint64_t& sum, std::uint64_t bytes, std::uint64_t alignment) {
  std::uint64_t end = 0;
  if (__builtin_add_overflow(sum, bytes, &end) || __builtin_add_overflow(end, alignment - 1, &end)) return false;
  sum = end / alignment * alignment;
  return sum <= static_cast<std::uint64_t>(INT64_MAX);
}

void read_tensors(ByteCursor& cursor, std::uint64_t count, GgufHeader& header) {
  std::unordered_set<std::string> names;
  for (std::uint64_t i = 0; i < count; ++i) {
    GgufTensor tensor;
    tensor.name = cursor.text(cursor.number<std::uint64_t>("the length of a tensor's name"), kLongestTensorName,
                              "a tensor's name");
    const std::string error = name_error(tensor.name, kLongestTensorName);
    if (!error.empty()) cursor.fail(fmt::format("tensor {}: its name: {}", i, error));
    const std::string where = fmt::format("tensor '{}'", tensor.name);
    if (!names.insert(tensor.name).second) cursor.fail("duplicate " + where);
    read_sizes(cursor, tensor, where);
    tensor.offset = cursor.number<std::uint64_t>("a tensor's offset");
    if (tensor.offset != header.data_bytes) {
      cursor.fail(fmt::format("{}: {}", where,
                              expected(fmt::format("offset {} (tensors lie one after the other)", header.data_bytes),
                                       std::to_string(tensor.offset))));
    }
    if (!add_padded(header.data_bytes, tensor.bytes, header.alignment))
      cursor.fail(fmt::format("{}: the sizes of the tensors overflow 63 bits", where));
    header.tensors.push_back(std::move(tensor));
  }
}

void check_data(const GgufHeader& header, std::uint64_t file_size, const std::string& source) {
  if (header.tensors.empty() && file_size <= header.data_begin) return;
  for (const GgufTensor& tensor : header.tensors) {
    const std::uint64_t begin = header.data_begin + tensor.offset;
    if (begin > file_size || tensor.bytes > file_size - begin) {
      throw FormatError(fmt::format("{}: tensor '{}' needs bytes {} to {}, the file has {}; it is cut or damaged",
                                    source, tensor.name, begin, begin + tensor.bytes, file_size));
    }
  }
  if (file_size - header.data_begin > header.data_bytes) {
    throw FormatError(fmt::format(
        "{}: {}; bytes were appended", source,
        expected(fmt::format("{} bytes", header.data_begin + header.data_bytes), std::to_string(file_size))));
  }
}

}  // namespace

std::uint32_t alignment_of(const GgufMetadata& metadata, const std::string& source) {
  const auto alignment = metadata.number_or<std::uint32_t>(kAlignmentKey, kDefaultAlignment);
  if (!std::has_single_bit(alignment) || alignment > kLargestAlignment) {
    throw FormatError(
        fmt::format("{}: {}: {}", source, kAlignmentKey,
                    expected(fmt::format("a power of two up to {}", kLargestAlignment), std::to_string(alignment))));
  }
  return alignment;
}

GgufHeader parse_gguf_header(std::span<const std::byte> file, const std::string& source) {
  const std::string_view bytes(reinterpret_cast<const char*>(file.data()), file.size());
  if (!bytes.empty() && !bytes.starts_with(kMagic)) refuse_other_content(bytes, "a GGUF file", source);
  ByteCursor cursor(file, source);
  GgufHeader header{.metadata = GgufMetadata(source), .tensors = {}};
  const Counts counts = read_start(cursor, header.version);
  read_metadata(cursor, counts.pairs, header.metadata);
  header.alignment = alignment_of(header.metadata, source);
  read_tensors(cursor, counts.tensors, header);
  header.data_begin = cursor.position();
  const bool fits = add_padded(header.data_begin, 0, header.alignment);
  NKAT_INVARIANT(fits);
  std::uint64_t whole = header.data_begin;
  if (!add_padded(whole, header.data_bytes, header.alignment)) cursor.fail("the sizes of the tensors overflow 63 bits");
  return header;
}

GgufHeader parse_gguf(std::span<const std::byte> file, const std::string& source) {
  GgufHeader header = parse_gguf_header(file, source);
  check_data(header, file.size(), source);
  return header;
}

}  // namespace nkat::gguf
