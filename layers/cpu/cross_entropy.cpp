#include <ATen/Parallel.h>

#include "layers/cpu/loops.h"
#include "layers/cpu/simd.h"

namespace nkat::layers::cpu {
namespace {

constexpr std::int64_t kPiece = 1024;  // logits whose exponentials are summed in float32 before float64 takes over

template <typename Scalar, typename Sum = SumOf<Scalar>>
struct Rows {
  Scalar* logits;  // (C, V)
  const std::int64_t* targets;
  Sum* losses;
  std::int64_t vocabulary;
  SoftmaxGradient gradient;
};

// Σ exp(logit - largest)
template <typename Sum, typename Scalar>
NKAT_INLINED double exponential_sum(const Scalar* logits, std::int64_t count, Sum largest) {
  double sum = 0;
  for (std::int64_t piece = 0; piece < count; piece += kPiece) {
    const Scalar* values = logits + piece;
    sum += static_cast<double>(lane_sum<Sum>(std::min(kPiece, count - piece), [values, largest](std::int64_t i) {
      return exponential(widen(values[i]) - largest);
    }));
  }
  return sum;
}

template <typename Scalar, typename Sum>
NKAT_INLINED void loss_rows(const Rows<Scalar, Sum>& run, std::int64_t begin, std::int64_t end) {
  for (std::int64_t row = begin; row < end; ++row) {
    Scalar* logits = run.logits + row * run.vocabulary;
    const Sum top = lane_max<Sum>(logits, run.vocabulary);
    const double sum = exponential_sum(logits, run.vocabulary, top);
    Scalar& wanted = logits[run.targets[row]];
    const double target = static_cast<double>(widen(wanted));
    run.losses[row] = static_cast<Sum>(std::log(sum) + (static_cast<double>(top) - target));
    if (!run.gradient.wanted) continue;
    const Sum factor = static_cast<Sum>(run.gradient.scale / sum);
    const Sum at_target = exponential(static_cast<Sum>(target) - top) * factor;
    for (std::int64_t i = 0; i < run.vocabulary; ++i) round_to(exponential(widen(logits[i]) - top) * factor, logits[i]);
    round_to(at_target - static_cast<Sum>(run.gradient.scale), wanted);
  }
}

NKAT_VECTORIZED_LOOP(loss, loss_rows, Rows)

}  // namespace

void softmax_loss_(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& losses,
                   const SoftmaxGradient& gradient) {
  with_type(logits.scalar_type(), [&]<typename Scalar, typename Sum>(Scalar, Sum) {
    const Rows<Scalar, Sum> run{.logits = logits.mutable_data_ptr<Scalar>(),
                                .targets = targets.const_data_ptr<std::int64_t>(),
                                .losses = losses.mutable_data_ptr<Sum>(),
                                .vocabulary = logits.size(1),
                                .gradient = gradient};
    at::parallel_for(0, logits.size(0), 1, [&](std::int64_t begin, std::int64_t end) { loss(run, begin, end); });
  });
}

}  // namespace nkat::layers::cpu
