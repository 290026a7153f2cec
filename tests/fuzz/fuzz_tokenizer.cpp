// Any bytes as a tokenizer.model: read, or refused with an nkat::Error.
#include "core/error.h"
#include "data/text/sentencepiece_model.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  try {
    nkat::data::parse_sentencepiece_model(bytes, "fuzz.model");
  } catch (const nkat::Error&) {
  }
  return 0;
}
