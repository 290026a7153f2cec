#include "data/quantize/quantize.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"
#include "core/message.h"
#include "core/parallel.h"
#include "data/quantize/ggml_decoders.h"
#include "data/quantize/kernels.h"

namespace nkat::gguf {
namespace {

constexpr std::int64_t kValuesPerPiece = 1 << 18;  // a thread's turn: long enough that taking turns costs nothing

RowKernels kernels_for(GgmlType type, Instructions instructions) {
  return instructions == Instructions::kAvx2 ? avx2_kernels(type) : plain_kernels(type);
}

std::size_t bytes_of(GgmlType type, std::size_t elements) {
  const auto bytes = tensor_bytes(type, elements);
  NKAT_INVARIANT(bytes.has_value());
  return *bytes;
}

void check_importance(std::span<const float> importance) {
  for (std::size_t i = 0; i < importance.size(); ++i) {
    if (!(std::isfinite(importance[i]) && importance[i] >= 0.0f)) {
      throw FormatError(fmt::format("importance of column {}: {}", i,
                                    expected("a finite number of at least 0", fmt::format("{}", importance[i]))));
    }
  }
}

void check(GgmlType type, const Rows& rows, std::size_t out_bytes) {
  NKAT_INVARIANT(traits(type).has_encoder);
  NKAT_INVARIANT(rows.length > 0 && rows.length % traits(type).block_elements == 0);
  NKAT_INVARIANT(rows.values.size() % static_cast<std::size_t>(rows.length) == 0);
  NKAT_INVARIANT(out_bytes == bytes_of(type, rows.values.size()));
  NKAT_INVARIANT(rows.importance.empty() || rows.importance.size() == static_cast<std::size_t>(rows.length));
  check_importance(rows.importance);
}

class RowEncoder {
 public:
  RowEncoder(GgmlType type, const Rows& rows, std::span<std::byte> out, Instructions instructions)
      : type_(type), rows_(rows), out_(out), encode_(kernels_for(type, instructions).encode) {}

  // Rows [begin, end). Without importance, no row's blocks depend on the others: they are one long row.
  void encode(std::size_t begin, std::size_t end) const {
    if (rows_.importance.empty() && encode_all(begin, end)) return;
    for (std::size_t row = begin; row < end; ++row) {
      if (!encode_all(row, row + 1)) refuse(row, rows_.values.subspan(row * length(), length()));
    }
  }

 private:
  std::size_t length() const { return static_cast<std::size_t>(rows_.length); }

  bool encode_all(std::size_t begin, std::size_t end) const {
    const float* importance = rows_.importance.empty() ? nullptr : rows_.importance.data();
    std::byte* out = out_.data() + begin * bytes_of(type_, length());
    return encode_(rows_.values.data() + begin * length(), static_cast<std::int64_t>((end - begin) * length()),
                   importance, reinterpret_cast<std::uint8_t*>(out));
  }

  [[noreturn]] void refuse(std::size_t row, std::span<const float> values) const {
    const auto broken = std::ranges::find_if(values, [](float x) { return !std::isfinite(x); });
    if (broken != values.end()) {
      throw FormatError(fmt::format("row {}, column {}: {}", row, broken - values.begin(),
                                    expected("a finite weight", fmt::format("{}", *broken))));
    }
    const std::size_t block = first_refused_block(values);
    const auto elements = traits(type_).block_elements;
    const auto of_block = values.subspan(block * elements, elements);
    const float largest = std::abs(std::ranges::max(of_block, {}, [](float x) { return std::abs(x); }));
    throw FormatError(
        fmt::format("row {}, columns {} to {}: weights of up to {} in magnitude don't fit {}, which would store "
                    "infinity; choose a wider type",
                    row, block * elements, (block + 1) * elements - 1, largest, traits(type_).name));
  }

  // Blocks of the weighted legacy types depend on their row; one of those is named by its largest weight.
  std::size_t first_refused_block(std::span<const float> values) const {
    const std::size_t elements = traits(type_).block_elements;
    std::vector<std::uint8_t> scratch(traits(type_).block_bytes);
    for (std::size_t i = 0; i < values.size(); i += elements) {
      const float* importance = rows_.importance.empty() ? nullptr : rows_.importance.data() + i;
      if (!encode_(values.data() + i, static_cast<std::int64_t>(elements), importance, scratch.data()))
        return i / elements;
    }
    const auto largest = std::ranges::max_element(values, {}, [](float x) { return std::abs(x); });
    return static_cast<std::size_t>(largest - values.begin()) / elements;
  }

  GgmlType type_;
  Rows rows_;
  std::span<std::byte> out_;
  RowKernels::Encode encode_;
};

}  // namespace

Instructions best_instructions() {
#if defined(__x86_64__)
  static const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
  return has_avx2 ? Instructions::kAvx2 : Instructions::kPlain;
#else
  return Instructions::kPlain;
#endif
}

void encode_rows(GgmlType type, const Rows& rows, std::span<std::byte> out, Instructions instructions) {
  check(type, rows, out.size());
  RowEncoder(type, rows, out, instructions).encode(0, rows.values.size() / static_cast<std::size_t>(rows.length));
}

void encode_tensor(GgmlType type, const Rows& rows, std::span<std::byte> out) {
  check(type, rows, out.size());
  const std::size_t count = rows.values.size() / static_cast<std::size_t>(rows.length);
  const auto piece = static_cast<std::size_t>(std::max<std::int64_t>(1, kValuesPerPiece / rows.length));
  const RowEncoder encoder(type, rows, out, best_instructions());
  try {
    parallel_for((count + piece - 1) / piece,
                 [&](std::size_t i) { encoder.encode(i * piece, std::min(count, (i + 1) * piece)); });
  } catch (const FormatError&) {
    encoder.encode(0, count);  // the error names the first row, whichever thread was first
    throw;
  }
}

void decode_rows(GgmlType type, std::span<const std::byte> blocks, std::span<float> out, Instructions instructions) {
  NKAT_INVARIANT(traits(type).has_decoder && blocks.size() == bytes_of(type, out.size()));
  const RowKernels::Decode decode = kernels_for(type, instructions).decode;
  if (decode == nullptr) return decode_by_ggml(type, blocks, out);
  decode(reinterpret_cast<const std::uint8_t*>(blocks.data()), static_cast<std::int64_t>(out.size()), out.data());
}

}  // namespace nkat::gguf
