// The likeliest continuation of many prompts, several at a time: a sequence that ends makes room for the next prompt,
// so the batch stays full until the prompts run out.
//
// The tokens are those of generate() with temperature 0, up to ties within the rounding of a matrix product. Each
// sequence in work holds cache for its prompt and max_new_tokens from the beginning, so that what fits once fits to the
// end; where memory runs out all the same, the youngest half of the batch waits and begins anew later (the log says
// so), down to one sequence. Throws DataError for a prompt that the model can't take (before anything is computed),
// Interrupted when a stop was asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "models/generation/generation.h"

namespace nkat::models {

struct BatchProgress {
  std::int64_t finished = 0;  // prompts
  std::int64_t prompts = 0;
  std::int64_t new_tokens = 0;  // so far, end tokens included
};

struct BatchGenerationOptions {
  std::int64_t max_new_tokens = 256;
  std::int64_t max_sequences = 32;  // in work at once
  std::int64_t cache_tokens = 0;    // that all caches together may hold; a prompt that needs more goes alone
  std::function<void(const BatchProgress&)> progress = {};
};

// In the prompts' order.
std::vector<Generation> generate_batch(const Decoder& decoder, const std::vector<at::Tensor>& blocks,
                                       const std::vector<std::vector<std::int32_t>>& prompts,
                                       const BatchGenerationOptions& options);

// Bytes of cache for one position.
std::int64_t cache_bytes_per_token(const Decoder& decoder);
// How many positions fit the memory that is free now, with room left for the pass itself: on a GPU what the device and
// the allocator's cache have free, less 512 MiB, on a CPU half of what the machine has available.
std::int64_t free_cache_tokens(const Decoder& decoder);

}  // namespace nkat::models
