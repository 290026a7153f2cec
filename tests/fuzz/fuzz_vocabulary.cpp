// Any bytes as a GGUF file with a vocabulary: read and used, or refused with an nkat::Error.
#include "core/error.h"
#include "data/formats/gguf_header.h"
#include "data/text/gguf_vocabulary.h"
#include "tests/fuzz/use_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto header = nkat::gguf::parse_gguf_header(std::as_bytes(std::span(data, size)), "fuzz.gguf");
    nkat::testing::use_tokenizer(nkat::data::read_gguf_vocabulary(header.metadata, "fuzz.gguf"));
  } catch (const nkat::Error&) {
  }
  return 0;
}
