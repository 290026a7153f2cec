#include "train/sample_answers.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/cli/log.h"
#include "core/error.h"
#include "core/message.h"
#include "core/utf8.h"
#include "models/device.h"
#include "models/generation/generation.h"

namespace nkat::train {
namespace {

constexpr std::int64_t kMostSequences = 8;  // at once
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// ASCII's white space alone is no prompt; other Unicode may be one.
bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\v\f\r") == std::string_view::npos; }

SamplePrompt encode_prompt(std::string_view line, const std::string& where, const models::TextProcessor& text,
                           const models::ModelConfig& model) {
  if (find_invalid_utf8(line) != std::string_view::npos)
    throw DataError(fmt::format("{}: {}", where, expected("UTF-8", "other bytes", "convert the file with iconv")));
  SamplePrompt prompt{.text = std::string(line)};
  prompt.tokens = text.chat_template
                      .encode(text.tokenizer, {{.role = data::Role::kUser, .content = prompt.text}},
                              data::AddedTokens::kText, /*generation_prompt=*/true)
                      .tokens;
  try {
    models::check_prompt(prompt.tokens, model);
  } catch (const DataError& error) {
    throw DataError(fmt::format("{}: {}", where, error.what()));
  }
  return prompt;
}

// Cache positions in half of what the machine and the budget have left; the passes take the rest.
std::int64_t cache_tokens(const models::Decoder& decoder, const MemoryMonitor& monitor) {
  const std::int64_t on_machine = models::free_cache_tokens(decoder);
  if (monitor.budget_bytes() == 0) return on_machine;
  const std::uint64_t held = std::min(monitor.figures().current_bytes, monitor.budget_bytes());
  const auto left = static_cast<std::int64_t>((monitor.budget_bytes() - held) / 2);
  return std::min(on_machine, left / models::cache_bytes_per_token(decoder));
}

std::vector<models::Generation> generate(const models::Decoder& decoder, const models::Adapter& adapter,
                                         const std::vector<SamplePrompt>& prompts, const MemoryMonitor& monitor) {
  std::vector<std::vector<std::int32_t>> tokens;
  for (const SamplePrompt& prompt : prompts) tokens.push_back(prompt.tokens);
  return models::generate_batch(decoder, adapter.matrices(decoder.device()), tokens,
                                {.max_new_tokens = kSampleTokens,
                                 .max_sequences = kMostSequences,
                                 .cache_tokens = cache_tokens(decoder, monitor)});
}

}  // namespace

std::vector<SamplePrompt> read_sample_prompts(const fs::path& file, const models::TextProcessor& text,
                                              const models::ModelConfig& model) {
  const std::string bytes = read_file(file, kLargestPromptFile);
  std::vector<SamplePrompt> prompts;
  std::size_t begin = bytes.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  for (std::int64_t number = 1; begin < bytes.size(); ++number) {
    const std::size_t end = std::min(bytes.find('\n', begin), bytes.size());
    std::string_view line = std::string_view(bytes).substr(begin, end - begin);
    begin = end + 1;
    if (is_blank(line)) continue;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (prompts.size() == kMostSamplePrompts) {
      throw DataError(fmt::format("{}: {}", file.string(),
                                  expected(fmt::format("at most {} prompts", kMostSamplePrompts), "more",
                                           "each validation answers all of them")));
    }
    prompts.push_back(encode_prompt(line, fmt::format("{}:{}", file.string(), number), text, model));
  }
  if (prompts.empty())
    throw DataError(
        fmt::format("{}: {}", file.string(), expected("a prompt a line", "none", "write one into the file")));
  return prompts;
}

std::vector<SampleAnswer> answer_samples(const models::Decoder& decoder, const models::Adapter& adapter,
                                         const data::Tokenizer& tokenizer, const std::vector<SamplePrompt>& prompts,
                                         const MemoryMonitor& monitor) {
  std::vector<models::Generation> generations;
  try {
    generations = generate(decoder, adapter, prompts, monitor);
  } catch (const std::exception& error) {
    if (!models::is_out_of_memory(error)) throw;
    log::warning(fmt::format("--sample-prompts: out of memory with one prompt at a time ({}); the answers are left out",
                             monitor.describe()));
  }
  monitor.free_caches();
  std::vector<SampleAnswer> answers;
  for (std::size_t i = 0; i < generations.size(); ++i) {
    std::vector<std::int32_t> tokens = generations[i].tokens;
    if (generations[i].stop == models::StopReason::kEndToken) tokens.pop_back();
    answers.push_back({.prompt = prompts[i].text, .answer = tokenizer.decode(tokens)});
  }
  return answers;
}

}  // namespace nkat::train
