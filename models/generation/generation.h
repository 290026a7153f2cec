// Continues a prompt, one token at a time, or many prompts with continuous batching.
//
// Temperature 0 takes the most likely token (the first of equals). Otherwise a token is sampled from softmax(logits /
// temperature) restricted to the smallest set of most likely tokens whose probabilities reach top_p (nucleus sampling).
// RandomStream(seed, "generate"), computed in float64 on the CPU: a seed gives the same text on every run.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/random.h"
#include "models/generation/batch_decoder.h"

namespace nkat::models {

struct SamplingOptions {
  std::int64_t max_new_tokens = 256;
  double temperature = 0;  // >= 0
  double top_p = 1;        // in (0, 1]
  std::uint64_t seed = 0;
};

enum class StopReason { kEndToken, kMaxNewTokens, kContextFull, kSignal };

struct Generation {
  std::vector<std::int32_t> tokens;  // the new ones, the end token included
  StopReason stop = StopReason::kMaxNewTokens;
};

// Throws DataError if the prompt is empty, holds a token outside the vocabulary, or leaves no room before
// max_position_embeddings.
void check_prompt(const std::vector<std::int32_t>& prompt, const ModelConfig& config);

// logits (V) -> a token
std::int32_t choose_token(const at::Tensor& logits, const SamplingOptions& options, RandomStream& random);

// Calls on_token for each new token that is not an end token, as soon as it is known. Checks the prompt first.
Generation generate(SequenceDecoder& sequence, const std::vector<std::int32_t>& prompt, const SamplingOptions& options,
                    const std::function<void(std::int32_t)>& on_token);

// Greedy continuations of many prompts with continuous batching: a finished sequence's slot goes to the next prompt.
//
// The tokens are those of generate() with temperature 0, up to ties within the rounding of a matrix product. An active
// sequence reserves cache for its prompt and max_new_tokens from the start, so that what fits once fits to the end. If
// memory runs out all the same, the most recently started half is evicted and restarted later (logged), down to one
// sequence. Throws DataError for a prompt that the model can't take (before anything is computed), Interrupted.

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
