#include "export/verify/logit_comparison.h"

#include <algorithm>

#include <ATen/core/Tensor.h>

#include "core/cli/progress.h"
#include "core/error.h"
#include "export/merge/merged_weights.h"
#include "models/weights/streamed_forward.h"

namespace nkat::exporting {
namespace {

constexpr std::int64_t kRows = 64;  // of logits, held in float64

// M of each layer, undefined where the adapter has none; empty without an adapter.
std::vector<at::Tensor> adapter_by_layer(const models::ModelConfig& config, const AdapterMatrices& matrices) {
  std::vector<at::Tensor> tensors;
  constexpr auto kBlock = static_cast<std::int64_t>(kBlockRows);
  for (std::int64_t layer = 0; layer < config.num_layers && !matrices.empty(); ++layer) {
    const auto found = matrices.find(models::model_tensor(config, models::TensorRole::kDown, layer).name);
    tensors.push_back(found == matrices.end() ? at::Tensor()
                                              : at::tensor(found->second, at::kFloat).view({-1, kBlock, kBlock}));
  }
  return tensors;
}

std::vector<models::PackedBatch> batches_of(const Prompts& prompts) {
  std::vector<models::PackedBatch> batches;
  for (const std::vector<std::int32_t>& prompt : prompts) {
    batches.push_back({.tokens = at::tensor(std::vector<std::int64_t>(prompt.begin(), prompt.end()), at::kLong),
                       .lengths = {static_cast<std::int64_t>(prompt.size())}});
  }
  return batches;
}

// (T, V) of all prompts, end to end.
class Pass {
 public:
  Pass(const Prompts& prompts, std::uint64_t layers)
      : batches_(batches_of(prompts)), progress_("self-test, layers of the logits", layers) {}

  at::Tensor logits(const models::StreamedModel& model) {
    const auto done = [this](std::int64_t) { progress_.update(++layers_, ""); };
    return models::streamed_logits(model, at::cat(models::streamed_hidden(model, batches_, {}, done)));
  }

 private:
  std::vector<models::PackedBatch> batches_;
  ProgressBar progress_;
  std::uint64_t layers_ = 0;
};

struct Divergence {
  at::Tensor kl;    // (T) float64
  at::Tensor same;  // (T) bool: the most likely token is the same
};

Divergence divergence(const at::Tensor& exact, const at::Tensor& found) {
  std::vector<at::Tensor> kl;
  for (std::int64_t row = 0; row < exact.size(0); row += kRows) {
    const std::int64_t count = std::min(kRows, exact.size(0) - row);
    const at::Tensor p = at::log_softmax(exact.narrow(0, row, count).to(at::kDouble), -1);
    const at::Tensor q = at::log_softmax(found.narrow(0, row, count).to(at::kDouble), -1);
    kl.push_back((p.exp() * (p - q)).sum(-1));
  }
  return {at::cat(kl), exact.argmax(-1) == found.argmax(-1)};
}

}  // namespace

LogitComparison compare_logits(const models::ModelConfig& config, const MergedWeights& weights,
                               const WrittenModel& written, const Prompts& prompts) {
  const at::NoGradGuard no_grad;
  const bool adapted = !weights.matrices().empty();
  const models::WeightSource& base = weights.base();
  Pass pass(prompts, static_cast<std::uint64_t>(config.num_layers * (adapted ? 3 : 2)));
  const at::Tensor exact =
      pass.logits({.config = config, .weights = base, .adapter = adapter_by_layer(config, weights.matrices())});
  const Divergence of_file = divergence(exact, pass.logits({.config = written.config, .weights = written.weights}));
  LogitComparison check{.prompts = static_cast<std::int64_t>(prompts.size()),
                        .tokens = exact.size(0),
                        .mean_kl = of_file.kl.mean().item<double>(),
                        .largest_kl = of_file.kl.max().item<double>(),
                        .top1_agreement = of_file.same.to(at::kDouble).mean().item<double>(),
                        .base_mean_kl = std::nullopt};
  if (adapted)
    check.base_mean_kl = divergence(exact, pass.logits({.config = config, .weights = base})).kl.mean().item<double>();
  return check;
}

double default_maximum_kl(gguf::GgmlType type) {
  using gguf::GgmlType;
  switch (type) {
    case GgmlType::kF32: return 1e-6;
    case GgmlType::kF16: return 1e-4;
    case GgmlType::kBF16: return 2e-3;
    case GgmlType::kQ8_0: return 0.02;
    case GgmlType::kQ6_K: return 0.1;
    case GgmlType::kQ5_0:
    case GgmlType::kQ5_1:
    case GgmlType::kQ5_K: return 0.2;
    default: return 1;
  }
}

}  // namespace nkat::exporting
