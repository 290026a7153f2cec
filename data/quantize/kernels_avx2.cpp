#include "data/quantize/kernels/table.h"

namespace nkat::gguf {

RowKernels avx2_kernels(GgmlType type) { return kernels_of(type); }

}  // namespace nkat::gguf
