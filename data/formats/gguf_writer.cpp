#include "data/formats/gguf_writer.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/files/atomic_file.h"
#include "core/files/number_bytes.h"

namespace nkat::gguf {
namespace {

void append_string(std::string& out, std::string_view text) {
  append_number(out, std::uint64_t{text.size()});
  out += text;
}

// Bytes of a tensor; a plan that has none is refused.
std::uint64_t planned_bytes(const GgufTensorPlan& tensor) {
  std::uint64_t elements = 1;
  bool fits = true;
  for (const std::uint64_t dimension : tensor.ne) fits &= !__builtin_mul_overflow(elements, dimension, &elements);
  const std::optional<std::uint64_t> bytes = fits ? tensor_bytes(tensor.type, elements) : std::nullopt;
  if (!bytes) {
    throw FormatError(fmt::format("tensor '{}': [{}] can't be stored as {}", tensor.name, fmt::join(tensor.ne, ", "),
                                  traits(tensor.type).name));
  }
  return *bytes;
}

void pad(std::string& bytes, std::uint64_t alignment) {
  bytes.append((alignment - bytes.size() % alignment) % alignment, '\0');
}

// Parts 1 to 7 of the layout.
std::string header_bytes(const GgufMetadata& metadata, const std::vector<GgufTensorPlan>& tensors,
                         std::uint64_t alignment) {
  std::string bytes(kMagic);
  append_number(bytes, kVersion);
  append_number(bytes, std::uint64_t{tensors.size()});
  append_number(bytes, std::uint64_t{metadata.pairs().size()});
  for (const auto& [key, value] : metadata.pairs()) {
    append_string(bytes, key);
    value.append_to(bytes);
  }
  std::uint64_t offset = 0;
  for (const GgufTensorPlan& tensor : tensors) {
    append_string(bytes, tensor.name);
    append_number(bytes, static_cast<std::uint32_t>(tensor.ne.size()));
    for (const std::uint64_t dimension : tensor.ne) append_number(bytes, dimension);
    append_number(bytes, static_cast<std::uint32_t>(tensor.type));
    append_number(bytes, offset);
    const std::uint64_t end = offset + planned_bytes(tensor);
    offset = (end + alignment - 1) / alignment * alignment;
  }
  pad(bytes, alignment);
  return bytes;
}

struct Head {
  std::string bytes;
  GgufHeader header;  // as the reader understands them
};

// The reader judges the plan, so that no file is written which it would refuse.
Head make_head(const GgufMetadata& metadata, const std::vector<GgufTensorPlan>& tensors, const std::string& source) {
  std::string bytes = header_bytes(metadata, tensors, alignment_of(metadata, source));
  GgufHeader header = parse_gguf_header(std::as_bytes(std::span(bytes)), source);
  NKAT_INVARIANT(header.data_begin == bytes.size());
  return {std::move(bytes), std::move(header)};
}

}  // namespace

std::uint64_t gguf_file_size(const GgufMetadata& metadata, const std::vector<GgufTensorPlan>& tensors) {
  const GgufHeader header = make_head(metadata, tensors, "the planned GGUF file").header;
  return header.data_begin + header.data_bytes;
}

void write_gguf(const fs::path& path, const GgufMetadata& metadata, const std::vector<GgufTensorPlan>& tensors,
                const ProduceTensor& produce, const VerifyFile& verify) {
  const auto [bytes, header] = make_head(metadata, tensors, path.string());
  AtomicFile file(path, header.data_begin + header.data_bytes);
  file.append(std::as_bytes(std::span(bytes)));
  const std::vector<std::byte> zeros(header.alignment);
  for (const GgufTensor& tensor : header.tensors) {
    const std::uint64_t end = header.data_begin + tensor.offset + tensor.bytes;
    produce(tensor, [&](std::span<const std::byte> piece) {
      NKAT_INVARIANT(piece.size() <= end - file.written());
      file.append(piece);
    });
    NKAT_INVARIANT(file.written() == end);
    file.append(std::span(zeros).first((header.alignment - end % header.alignment) % header.alignment));
  }
  if (verify) verify(file.temporary_path());
  file.publish();
}

}  // namespace nkat::gguf
