#include "data/formats/gguf_format.h"

#include <array>

namespace nkat::gguf {
namespace {

struct ValueTypeRow {
  const char* name;
  std::uint64_t size;
};
// By id. The smallest string is its length, the smallest array its element type and count.
constexpr std::array kValueTypes = {ValueTypeRow{"u8", 1},     ValueTypeRow{"i8", 1},   ValueTypeRow{"u16", 2},
                                    ValueTypeRow{"i16", 2},    ValueTypeRow{"u32", 4},  ValueTypeRow{"i32", 4},
                                    ValueTypeRow{"f32", 4},    ValueTypeRow{"bool", 1}, ValueTypeRow{"string", 8},
                                    ValueTypeRow{"array", 12}, ValueTypeRow{"u64", 8},  ValueTypeRow{"i64", 8},
                                    ValueTypeRow{"f64", 8}};

}  // namespace

const char* value_type_name(ValueType type) { return kValueTypes.at(static_cast<std::size_t>(type)).name; }
std::uint64_t value_size(ValueType type) { return kValueTypes.at(static_cast<std::size_t>(type)).size; }

std::optional<ValueType> value_type_of(std::uint32_t id) {
  return id < kValueTypes.size() ? std::optional(static_cast<ValueType>(id)) : std::nullopt;
}

}  // namespace nkat::gguf
