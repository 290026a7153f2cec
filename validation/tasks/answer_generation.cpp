#include "validation/tasks/answer_generation.h"

#include <chrono>

#include <fmt/format.h>

#include "core/cli/progress.h"
#include "core/error.h"
#include "models/generation/generation.h"

namespace nkat::validation {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::string text_of(const EvalModel& model, const models::Generation& generation) {
  std::vector<std::int32_t> tokens = generation.tokens;
  if (generation.stop == models::StopReason::kEndToken) tokens.pop_back();
  return model.text.tokenizer.decode(tokens);
}

}  // namespace

void require_usable(const Prompt& tokens, const EvalInputs& inputs, const Question& question) {
  try {
    models::check_prompt(tokens, inputs.config);
  } catch (const DataError& error) {
    throw DataError(fmt::format("{}: {}", question.where, error.what()));
  }
}

Prompt encode_prompt(const EvalInputs& inputs, const Question& question) {
  Prompt tokens;
  try {
    tokens = inputs.text.chat_template
                 .encode(inputs.text.tokenizer, question.turns, data::AddedTokens::kText, /*generation_prompt=*/true)
                 .tokens;
  } catch (const DataError& error) {  // what a template raises
    throw DataError(fmt::format("{}: {}", question.where, error.what()));
  }
  require_usable(tokens, inputs, question);
  return tokens;
}

Answers answer_prompts(const EvalModel& model, const std::vector<at::Tensor>& blocks,
                       const std::vector<Prompt>& prompts, const AnsweringOptions& options, const std::string& title) {
  ProgressBar bar(title, prompts.size());
  const Clock::time_point start = Clock::now();
  const auto show = [&](const models::BatchProgress& progress) {
    const double rate = static_cast<double>(progress.new_tokens) / seconds_since(start);
    bar.update(static_cast<std::uint64_t>(progress.finished),
               fmt::format("{} tokens, {:.0f} per second", progress.new_tokens, rate));
  };
  const std::vector<models::Generation> generations =
      models::generate_batch(model.decoder, blocks, prompts,
                             {.max_new_tokens = options.max_new_tokens,
                              .max_sequences = options.generation_batch,
                              .cache_tokens = models::free_cache_tokens(model.decoder),
                              .progress = show});
  Answers answers{.texts = {}, .seconds = seconds_since(start)};
  for (const models::Generation& generation : generations) {
    answers.texts.push_back(text_of(model, generation));
    answers.new_tokens += static_cast<std::int64_t>(generation.tokens.size());
  }
  return answers;
}

}  // namespace nkat::validation
