// nkat_write_gguf OUT ALIGNMENT: a GGUF file with every value type and tensors of one to four dimensions, for readers
// of others to check. Element i of every float tensor is i.
#include <iostream>

#include "core/error.h"
#include "data/formats/gguf_writer.h"
#include "data/quantize/quantize.h"

namespace {

using namespace nkat::gguf;

GgufMetadata metadata(std::uint32_t alignment) {
  GgufMetadata all("nkat_write_gguf");
  all.add("general.architecture", GgufValue::string("phi3"));
  all.add("general.alignment", GgufValue::number(alignment));
  all.add("test.u8", GgufValue::number<std::uint8_t>(200));
  all.add("test.i8", GgufValue::number<std::int8_t>(-100));
  all.add("test.u16", GgufValue::number<std::uint16_t>(60'000));
  all.add("test.i16", GgufValue::number<std::int16_t>(-30'000));
  all.add("test.u32", GgufValue::number<std::uint32_t>(4'000'000'000));
  all.add("test.i32", GgufValue::number<std::int32_t>(-2'000'000'000));
  all.add("test.f32", GgufValue::number(1.190238F));
  all.add("test.u64", GgufValue::number<std::uint64_t>(UINT64_MAX));
  all.add("test.i64", GgufValue::number<std::int64_t>(INT64_MIN));
  all.add("test.f64", GgufValue::number(1e-300));
  all.add("test.true", GgufValue::number(true));
  all.add("test.false", GgufValue::number(false));
  all.add("test.text", GgufValue::string("\u3053\U0001F999 \n"));
  all.add("test.texts", GgufValue::strings(std::vector<std::string>{"", "a", "\u2581b"}));
  all.add("test.floats", GgufValue::numbers<float>(std::vector<float>{0, -1.5F}));
  all.add("test.ints", GgufValue::numbers<std::int32_t>(std::vector<std::int32_t>{1, -2, 3}));
  return all;
}

void produce(const GgufTensor& tensor, const AppendBytes& append) {
  std::vector<float> values(tensor.elements());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  std::vector<std::byte> bytes(tensor.bytes);
  encode_tensor(tensor.type, {.values = values, .length = static_cast<std::int64_t>(tensor.ne[0]), .importance = {}},
                bytes);
  append(bytes);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    write_gguf(argv[1], metadata(static_cast<std::uint32_t>(std::stoul(argv[2]))),
               {{"vector", {7}, GgmlType::kF32},
                {"matrix", {3, 5}, GgmlType::kF16},
                {"cube", {2, 3, 4}, GgmlType::kBF16},
                {"four", {2, 3, 4, 5}, GgmlType::kF32},
                {"blocks", {64, 2}, GgmlType::kQ8_0}},
               produce);
  } catch (const nkat::Error& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  return 0;
}
