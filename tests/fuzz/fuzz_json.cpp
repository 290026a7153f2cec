// Any bytes as JSON, by each of the ways in which the program reads it: read, or refused with an nkat::Error.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto attempt = [](auto read) {
    try {
      read();
    } catch (const nkat::Error&) {
    }
  };
  attempt([&] { nkat::parse_json(text, "fuzz.json"); });
  attempt([&] { nkat::parse_large_json(text, "fuzz.json", {"a", "weight_map"}); });
  attempt([&] {
    nkat::for_each_json_entry(
        text, "fuzz.json", [](const auto&, const auto&) {}, 4);
  });
  return 0;
}
