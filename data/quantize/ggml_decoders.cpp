#include "data/quantize/ggml_decoders.h"

#include <ggml.h>

#include "core/error.h"

namespace nkat::gguf {

void decode_by_ggml(GgmlType type, std::span<const std::byte> blocks, std::span<float> out) {
  const ggml_type_traits* known = ggml_get_type_traits(static_cast<ggml_type>(type));
  NKAT_INVARIANT(known != nullptr && known->to_float != nullptr);
  known->to_float(blocks.data(), out.data(), static_cast<std::int64_t>(out.size()));
}

}  // namespace nkat::gguf
