// Compiles a loop for several x86-64 levels and picks the widest that the machine has when the program starts; other
// compilers, processors and the sanitizer build (whose run time starts after the choice) take the plain version.
// What an NKAT_VECTORIZED function calls must be NKAT_INLINED, or it stays at the plain level.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define NKAT_VECTORIZED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define NKAT_VECTORIZED
#endif
#define NKAT_INLINED inline __attribute__((always_inline))
