// Times the kernels of RMSNorm, RoPE, SwiGLU, cross-entropy and the rotation at the sizes of Phi-3.5-mini.
#pragma once

namespace nkat::layers {

// Prints a table for the first CUDA device: what share of its memory's peak each kernel reaches, counting every value
// that must be read or written once, and its time against ATen's operators for the same. peak: bytes a second, or 0.
void print_row_kernels(double peak);

}  // namespace nkat::layers
