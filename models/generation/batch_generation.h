// Greedy continuations of many prompts with continuous batching: a finished sequence's slot goes to the next prompt.
//
// The tokens are those of generate() with temperature 0, up to ties within the rounding of a matrix product. An active
// sequence reserves cache for its prompt and max_new_tokens from the start, so that what fits once fits to the end. If
// memory runs out all the same, the most recently started half is evicted and restarted later (logged), down to one
// sequence. Throws DataError for a prompt that the model can't take (before anything is computed), Interrupted.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "models/generation/generation.h"

namespace nkat::models {

struct BatchProgress {
  std::int64_t finished = 0;  // prompts
  std::int64_t prompts = 0;
  std::int64_t new_tokens = 0;  // end tokens included
};

struct BatchGenerationOptions {
  std::int64_t max_new_tokens = 256;
  std::int64_t max_sequences = 32;  // active at once
  std::int64_t cache_tokens = 0;    // of all caches together; a prompt that needs more runs alone
  std::function<void(const BatchProgress&)> progress = {};
};

// In the prompts' order.
std::vector<Generation> generate_batch(const Decoder& decoder, const std::vector<at::Tensor>& adapter,
                                       const std::vector<std::vector<std::int32_t>>& prompts,
                                       const BatchGenerationOptions& options);

// Bytes of cache for one position.
std::int64_t cache_bytes_per_token(const Decoder& decoder);
// How many positions fit into free memory beside the forward pass: on a GPU what the device and the allocator's cache
// have free, less 512 MiB; on a CPU half of the machine's available memory.
std::int64_t free_cache_tokens(const Decoder& decoder);

}  // namespace nkat::models
