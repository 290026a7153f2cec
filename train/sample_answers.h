// What the adapter in training answers to fixed prompts, as `nkat generate` would: the prompt as a user turn of the model's
// chat template, greedy, at most 128 tokens. Random numbers, gradients and the training state have no part in it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/adapter.h"
#include "models/decoder.h"
#include "models/model_folder.h"
#include "train/memory/memory_monitor.h"
#include "train/run/samples_log.h"

namespace nkat::train {

inline constexpr std::int64_t kSampleTokens = 128;      // of an answer, at most
inline constexpr std::size_t kMostSamplePrompts = 100;  // each validation answers all of them
inline constexpr std::uint64_t kLargestPromptFile = 1 << 20;

struct SamplePrompt {
  std::string text = "";
  std::vector<std::int32_t> tokens = {};
};

// A prompt a line, UTF-8; lines of white space are skipped. DataError "<file>:line" for a line that is not UTF-8 or that the
// model can't take; DataError for a file without a prompt, of more than kMostSamplePrompts, or above 1 MiB.
std::vector<SamplePrompt> read_sample_prompts(const fs::path& file, const models::TextProcessor& text,
                                              const models::ModelConfig& model);

// In the prompts' order; an answer has no end token. Several at a time as far as they fit into half of the budget that is
// left; none, and a warning in the log, when one does not fit. The memory is given back. Interrupted when a stop is
// requested.
std::vector<SampleAnswer> answer_samples(const models::Decoder& decoder, const models::Adapter& adapter,
                                         const data::Tokenizer& tokenizer, const std::vector<SamplePrompt>& prompts,
                                         const MemoryMonitor& monitor);

}  // namespace nkat::train
