// Compiles a loop for several x86-64 levels and picks the widest that the machine has when the program starts. Other
// compilers and processors take the plain version, as does the sanitizer build, whose runtime starts after the choice.
// What an NKAT_VECTORIZED function calls must be NKAT_INLINED, or it stays at the plain level. No LibTorch.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define NKAT_VECTORIZED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define NKAT_VECTORIZED
#endif
#define NKAT_INLINED inline __attribute__((always_inline))

// Defines name(const Arguments<T>& run, std::int64_t begin, std::int64_t end) for float, double and at::BFloat16, each
// a multiversioned call of loop(run, begin, end): a template such as `loop` can't be multiversioned itself.
#define NKAT_VECTORIZED_LOOP(name, loop, Arguments)                                                     \
  NKAT_VECTORIZED void name(const Arguments<float>& run, std::int64_t begin, std::int64_t end) {        \
    loop(run, begin, end);                                                                              \
  }                                                                                                     \
  NKAT_VECTORIZED void name(const Arguments<double>& run, std::int64_t begin, std::int64_t end) {       \
    loop(run, begin, end);                                                                              \
  }                                                                                                     \
  NKAT_VECTORIZED void name(const Arguments<at::BFloat16>& run, std::int64_t begin, std::int64_t end) { \
    loop(run, begin, end);                                                                              \
  }
