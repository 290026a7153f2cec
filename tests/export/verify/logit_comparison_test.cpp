#include "export/verify/logit_comparison.h"

#include <ATen/ops/kl_div.h>
#include <ATen/ops/randn_like.h>
#include <gtest/gtest.h>

#include "tests/support/tiny_export.h"

namespace nkat::exporting {
namespace {

using namespace nkat::testing;

// Logits have errors of 1e-6 of their size here (float32, 2 layers), and KL changes by less than twice that.
constexpr double kBound = 2e-5;

struct EvalModel {
  models::ModelConfig config = tiny_config();
  std::map<std::string, at::Tensor> tensors = tiny_tensors(config);
  std::vector<at::Tensor> blocks = tiny_blocks(config);
  MergedWeights weights = tiny_merged(tensors, blocks);
  Prompts prompts = {random_tokens(config, 6), random_tokens(config, 11), random_tokens(config, 1)};

  // (T, V) float64 of all prompts, by the whole decoder.
  at::Tensor logits(const std::map<std::string, at::Tensor>& of, const std::vector<at::Tensor>& adapter) const {
    models::Weights all = tiny_weights(config, at::kDouble);
    all.embedding = of.at("model.embed_tokens.weight").to(at::kDouble);
    all.head = of.at("lm_head.weight").to(at::kDouble);
    for (std::size_t i = 0; i < all.layers.size(); ++i) all.layers[i].down = of.at(down_projection(i)).to(at::kDouble);
    const models::Decoder decoder(config, std::move(all));
    std::vector<at::Tensor> rows, exact;
    for (const at::Tensor& one : adapter) exact.push_back(one.to(at::kDouble));
    for (const auto& prompt : prompts) {
      const models::PackedBatch batch{.tokens = at::tensor(prompt, at::kLong),
                                      .lengths = {static_cast<std::int64_t>(prompt.size())}};
      rows.push_back(decoder.logits(decoder.hidden(batch, exact)));
    }
    return at::cat(rows);
  }
};

at::Tensor divergence(const at::Tensor& p, const at::Tensor& q) {
  return at::kl_div(at::log_softmax(q, -1), at::log_softmax(p, -1), at::Reduction::None, true).sum(-1);
}

TEST(LogitComparison, MeasuresTheWrittenModelAgainstBackboneAndAdapter) {
  const EvalModel subject;
  std::map<std::string, at::Tensor> written = merged_tensors(subject.tensors, subject.blocks);
  for (const char* name : {"model.embed_tokens.weight", "lm_head.weight", "model.layers.1.mlp.down_proj.weight"})
    written.at(name) = written.at(name) + 0.05 * at::randn_like(written.at(name));
  const MemoryWeights source(written);
  const LogitComparison found =
      compare_logits(subject.config, subject.weights, {subject.config, source}, subject.prompts);

  const at::Tensor exact = subject.logits(subject.tensors, subject.blocks);
  const at::Tensor of_file = subject.logits(written, {});
  const at::Tensor kl = divergence(exact, of_file);
  EXPECT_EQ(found.prompts, 3);
  EXPECT_EQ(found.tokens, 18);
  EXPECT_GT(kl.mean().item<double>(), 1e-2);
  EXPECT_NEAR(found.mean_kl, kl.mean().item<double>(), kBound);
  EXPECT_NEAR(found.largest_kl, kl.max().item<double>(), kBound);
  EXPECT_NEAR(found.base_mean_kl.value(), divergence(exact, subject.logits(subject.tensors, {})).mean().item<double>(),
              kBound);
  EXPECT_DOUBLE_EQ(found.top1_agreement,
                   (exact.argmax(-1) == of_file.argmax(-1)).to(at::kDouble).mean().item<double>());
}

TEST(LogitComparison, FindsNothingInTheMergedWeightsThemselves) {
  const EvalModel subject;
  const MemoryWeights source(merged_tensors(subject.tensors, subject.blocks));
  const LogitComparison found =
      compare_logits(subject.config, subject.weights, {subject.config, source}, subject.prompts);
  EXPECT_LT(std::abs(found.mean_kl), 1e-9);  // half the square of logits' errors of 1e-5
  EXPECT_EQ(found.top1_agreement, 1);
}

TEST(LogitComparison, SaysNothingOfTheBaseWhereThereIsNoAdapter) {
  const EvalModel subject;
  const MergedWeights base(std::make_unique<MemoryWeights>(subject.tensors), {});
  const LogitComparison found = compare_logits(subject.config, base, {subject.config, base.base()}, subject.prompts);
  EXPECT_FALSE(found.base_mean_kl.has_value());
  EXPECT_EQ(found.mean_kl, 0);
}

}  // namespace
}  // namespace nkat::exporting
