// A model whose answers a test chooses, as the evaluation tasks see it, with the tiny tokenizer and some answers among
// its pieces.
#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ATen/ops/eye.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "tests/support/tiny_dataset.h"
#include "tests/support/tiny_model.h"
#include "tests/support/tiny_tokenizer.h"
#include "validation/tasks/eval_model.h"
#include "validation/tasks/question_task_options.h"

namespace nkat::testing {

// Behind the tiny pieces: answers of one token. "\u25817" is read as "7".
inline constexpr std::array<std::string_view, 4> kTinyAnswers = {"ALLOW", "DENY", "####\u25817", "\u25817"};
inline int answer_id(std::string_view answer) {
  const auto place = std::ranges::find(kTinyAnswers, answer) - kTinyAnswers.begin();
  return kFirstTinyPiece + static_cast<int>(kTinyPieces.size()) + static_cast<int>(place);
}

inline models::TextProcessor tiny_text(const TemporaryFolder& folder) {
  write_tiny_tokenizer(folder);
  std::string model = tiny_pieces();
  for (const std::string_view answer : kTinyAnswers) model += proto_piece(answer, -100, 1);
  folder.write("tokenizer.model", model + tiny_trainer() + tiny_normalizer());
  return {data::Tokenizer(folder.path()), data::ChatTemplate::from_model_folder(folder.path())};
}

inline models::ModelConfig tiny_eval_config() {
  models::ModelConfig config = tiny_config();
  config.vocab_size = kTinyVocabulary;
  return config;
}

inline validation::EvalInputs tiny_inputs(const TemporaryFolder& folder) {
  return {.options = {.model_path = ""},
          .config = tiny_eval_config(),
          .text = tiny_text(folder),
          .device = at::kCPU,
          .precision = at::kFloat};
}

// After every text a token's logit is its preference times one positive number; 0 for the others. Layer 0 adds h, a
// multiple of e1, to the embedding, which is e0 for all tokens; layer 1 adds nothing; the head sees e1 alone.
using Preferences = std::map<int, double>;
inline models::Decoder preferring_decoder(const Preferences& preferences) {
  const models::ModelConfig config = tiny_eval_config();
  const std::int64_t hidden = config.hidden_size, inner = config.intermediate_size;
  const auto set = [](const at::Tensor& matrix, std::int64_t row, std::int64_t column, double value) {
    matrix.select(0, row).select(0, column).fill_(value);
  };
  models::Weights weights;
  weights.embedding = at::zeros({config.vocab_size, hidden});
  weights.embedding.select(1, 0).fill_(1);
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
    const at::Tensor gate_up = at::zeros({2 * inner, hidden}), down = at::zeros({hidden, inner});
    if (layer == 0) {
      set(gate_up, 0, 0, 1);      // gate
      set(gate_up, inner, 0, 1);  // up
      set(down, 1, 0, 1);
    }
    weights.layers.push_back({.input_norm = at::ones({hidden}),
                              .qkv = at::zeros({config.qkv_rows(), hidden}),
                              .attention_output = at::zeros({hidden, config.num_heads * config.head_dim}),
                              .post_attention_norm = at::ones({hidden}),
                              .gate_up = gate_up,
                              .down = down});
  }
  weights.final_norm = at::ones({hidden});
  weights.head = at::zeros({config.vocab_size, hidden});
  for (const auto& [token, preference] : preferences) set(weights.head, token, 1, preference);
  return {config, std::move(weights)};
}

// M by layer with which x + M h is x - h: every logit changes its sign.
inline std::vector<at::Tensor> opposite_blocks() {
  return std::vector<at::Tensor>(2, at::eye(8).neg().repeat({tiny_eval_config().hidden_size / 8, 1, 1}));
}

// blocks: empty for the bare model.
inline validation::EvalModel preferring_model(const TemporaryFolder& folder, const Preferences& preferences,
                                              std::vector<at::Tensor> blocks) {
  return {.config = tiny_eval_config(),
          .text = tiny_text(folder),
          .decoder = preferring_decoder(preferences),
          .adapter = {},
          .blocks = std::move(blocks)};
}

// Questions in a file of this name, answered with one token each; the answers go to answers.jsonl.
class QuestionTaskTest : public ::testing::Test {
 protected:
  QuestionTaskTest(std::string name, std::string_view questions) : name_(std::move(name)) {
    folder_.write(name_, questions);
  }
  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }
  validation::QuestionTaskOptions options() const {
    return {.files = {path(name_)}, .answering = {.max_new_tokens = 1}, .answers_file = path("answers.jsonl")};
  }
  const TemporaryFolder folder_;
  const validation::EvalInputs inputs_ = tiny_inputs(folder_);

 private:
  std::string name_;
};

// The bare model's logit of a token after any text.
inline double logit_of(const validation::EvalModel& model, int token) {
  const at::Tensor hidden = model.decoder.hidden({at::zeros({1}, at::kLong), {1}}, {});
  return model.decoder.logits(hidden).select(0, 0).select(0, token).item<double>();
}

}  // namespace nkat::testing
