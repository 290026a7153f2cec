// GGUF files put together field by field, so that a test can break any one of them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nkat::testing {

template <class T>
std::string raw(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}
inline std::string raw_text(std::string_view text) { return raw(std::uint64_t{text.size()}) + std::string(text); }

inline std::string raw_pair(std::string_view key, std::uint32_t type, const std::string& value) {
  return raw_text(key) + raw(type) + value;
}
inline std::string raw_array(std::uint32_t element, std::uint64_t count, const std::string& elements) {
  return raw(element) + raw(count) + elements;
}
inline std::string raw_tensor(std::string_view name, const std::vector<std::int64_t>& ne, std::uint32_t type,
                              std::uint64_t offset) {
  std::string bytes = raw_text(name) + raw(static_cast<std::uint32_t>(ne.size()));
  for (const std::int64_t one : ne) bytes += raw(one);
  return bytes + raw(type) + raw(offset);
}

// Sound as it stands: four pairs, and an F32 {3, 2} and a Q8_0 {32} tensor with 64 bytes of data each.
struct RawGguf {
  std::string magic = "GGUF";
  std::uint32_t version = 3;
  std::optional<std::int64_t> tensor_count = std::nullopt;  // else as many as there are
  std::optional<std::int64_t> pair_count = std::nullopt;
  std::vector<std::string> pairs = {raw_pair("general.architecture", 8, raw_text("phi3")),
                                    raw_pair("phi3.block_count", 4, raw(std::uint32_t{2})),
                                    raw_pair("tokens", 9, raw_array(8, 2, raw_text("a") + raw_text("bc"))),
                                    raw_pair("add_bos", 7, std::string(1, '\0'))};
  std::vector<std::string> tensors = {raw_tensor("a.weight", {3, 2}, 0, 0), raw_tensor("b.weight", {32}, 8, 32)};
  std::size_t alignment = 32;
  std::string data = std::string(24, '\x01') + std::string(8, '\0') + std::string(34, '\x02') + std::string(30, '\0');

  std::string header() const {
    std::string bytes = magic + raw(version) + raw(tensor_count.value_or(static_cast<std::int64_t>(tensors.size()))) +
                        raw(pair_count.value_or(static_cast<std::int64_t>(pairs.size())));
    for (const std::string& one : pairs) bytes += one;
    for (const std::string& one : tensors) bytes += one;
    return bytes;
  }
  std::string bytes() const {
    std::string file = header();
    if (!data.empty()) file.append((alignment - file.size() % alignment) % alignment, '\0');
    return file + data;
  }
};

}  // namespace nkat::testing
