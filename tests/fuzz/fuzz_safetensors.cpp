// Any bytes as a safetensors file: read, or refused with an nkat::Error.
#include "core/error.h"
#include "data/formats/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> file = std::as_bytes(std::span(data, size));
  try {
    const nkat::data::SafetensorsHeader header = nkat::data::parse_safetensors(file, "fuzz.safetensors");
    for (const auto& tensor : header.tensors) {
      const auto bytes = file.subspan(header.data_begin + tensor.begin, tensor.end - tensor.begin);
      if (!bytes.empty() && bytes.front() == bytes.back()) continue;  // reads both ends, for the address sanitizer
    }
  } catch (const nkat::Error&) {
  }
  return 0;
}
