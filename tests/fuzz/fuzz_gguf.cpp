// Any bytes as a GGUF file: read, or refused with an nkat::Error. What was read is used.
#include "core/error.h"
#include "data/formats/gguf_header.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> file = std::as_bytes(std::span(data, size));
  try {
    const nkat::gguf::GgufHeader header = nkat::gguf::parse_gguf(file, "fuzz.gguf");
    for (const auto& [key, value] : header.metadata.pairs()) {
      value.preview(80);
      if (value.is_array_of_strings()) header.metadata.strings(key, 10'000);
    }
    for (const auto& tensor : header.tensors) {
      const auto bytes = file.subspan(header.data_begin + tensor.offset, tensor.bytes);
      if (bytes.front() == bytes.back()) continue;  // reads both ends, for the address sanitizer
    }
  } catch (const nkat::Error&) {
  }
  return 0;
}
