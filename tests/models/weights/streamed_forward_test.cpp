#include "models/weights/streamed_forward.h"

#include <map>

#include <gtest/gtest.h>

#include "tests/support/gradients.h"
#include "tests/support/memory_weights.h"
#include "tests/support/tiny_model.h"

namespace nkat::models {
namespace {

using namespace nkat::testing;

struct EvalModel {
  ModelConfig config = tiny_config();
  Weights weights = tiny_weights(config, at::kFloat);
  std::map<std::string, at::Tensor> tensors = tiny_tensors(config);
  std::vector<at::Tensor> blocks = {at::Tensor(), at::eye(8) + 0.2 * at::randn({config.hidden_size / 8, 8, 8})};

  MemoryWeights source = MemoryWeights(tensors);

  StreamedModel streamed() const { return {.config = config, .weights = source, .adapter = blocks}; }
};

PackedBatch batch_of(const std::vector<std::int32_t>& tokens) {
  return {.tokens = at::tensor(std::vector<std::int64_t>(tokens.begin(), tokens.end()), at::kLong),
          .lengths = {static_cast<std::int64_t>(tokens.size())}};
}

TEST(StreamedForward, ComputesWhatTheDecoderComputes) {
  const EvalModel subject;
  const Decoder decoder(subject.config, subject.weights);
  const StreamedModel model = subject.streamed();
  std::vector<PackedBatch> batches;  // on both sides of the longrope boundary at 16
  for (const std::int64_t length : {5, 17}) batches.push_back(batch_of(random_tokens(subject.config, length)));
  const std::vector<at::Tensor> hidden = streamed_hidden(model, batches);
  ASSERT_EQ(hidden.size(), 2U);
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const at::Tensor expected = decoder.hidden(batches[i], subject.blocks);
    EXPECT_TRUE(at::equal(hidden[i], expected));
    // The head may be cut into pieces of other shapes, whose sums the matrix product may order differently.
    EXPECT_LT(relative_error(streamed_logits(model, hidden[i]), decoder.logits(expected)), 1e-6);
  }
}

TEST(StreamedForward, ShowsTheInputOfEachMatrixOnce) {
  const EvalModel subject;
  std::map<std::string, at::Tensor> inputs;
  streamed_hidden(subject.streamed(), {batch_of(random_tokens(subject.config, 5))},
                  [&](const std::string& name, const at::Tensor& input) {
                    EXPECT_TRUE(inputs.emplace(name, input.clone()).second) << name;
                  });
  EXPECT_EQ(inputs.size(), static_cast<std::size_t>(4 * subject.config.num_layers));
  for (const auto& [name, input] : inputs) {
    EXPECT_EQ(input.sizes(), (std::vector<std::int64_t>{5, subject.tensors.at(name).size(1)})) << name;
  }
}

}  // namespace
}  // namespace nkat::models
