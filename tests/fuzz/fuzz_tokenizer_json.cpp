// Any bytes as a tokenizer.json: read and used, or refused with an nkat::Error.
#include "core/error.h"
#include "data/text/tokenizer_json.h"
#include "tests/fuzz/use_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    nkat::testing::use_tokenizer(nkat::data::parse_tokenizer_json(text, "tokenizer.json"));
  } catch (const nkat::Error&) {
  }
  return 0;
}
