#include "layers/cpu/attention.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "layers/cpu/blas.h"
#include "layers/cpu/convert_rows.h"
#include "layers/cpu/gemm_tiles.h"
#include "layers/cpu/simd.h"

namespace nkat::layers::cpu {
namespace {

constexpr std::int64_t kQueries = kAttentionQueries;

// Turns the scores of a row's `seen` keys into probabilities and those up to `end` into 0; returns the log-sum-exp.
NKAT_VECTORIZED float softmax_row(float* scores, std::int64_t seen, std::int64_t end) {
  const float top = lane_max<float>(scores, seen);
  for (std::int64_t i = 0; i < seen; ++i) scores[i] = exponential(scores[i] - top);
  const float sum = lane_sum<float>(seen, [scores](std::int64_t i) { return scores[i]; }), factor = 1.0f / sum;
  for (std::int64_t i = 0; i < seen; ++i) scores[i] *= factor;
  for (std::int64_t i = seen; i < end; ++i) scores[i] = 0;
  return top + std::log(sum);
}

NKAT_VECTORIZED void probabilities_row(float* scores, std::int64_t seen, std::int64_t end, float log_sum_exp) {
  for (std::int64_t i = 0; i < seen; ++i) scores[i] = exponential(scores[i] - log_sum_exp);
  for (std::int64_t i = seen; i < end; ++i) scores[i] = 0;
}

// Turns dP of a row into dS = P (dP - Σ dO O).
NKAT_VECTORIZED void score_gradient_row(const float* probabilities, float* gradient, std::int64_t end, float inner) {
  for (std::int64_t i = 0; i < end; ++i) gradient[i] = probabilities[i] * (gradient[i] - inner);
}

NKAT_VECTORIZED float inner_product(const float* a, const float* b, std::int64_t count) {
  return lane_sum<float>(count, [a, b](std::int64_t i) { return a[i] * b[i]; });
}

struct Sequence {
  std::int64_t first, length;
};

std::vector<Sequence> sequences_of(const std::vector<std::int64_t>& lengths) {
  std::vector<Sequence> sequences;
  std::int64_t first = 0;
  for (const std::int64_t length : lengths) {
    sequences.push_back({first, length});
    first += length;
  }
  return sequences;
}

// One head's columns of qkv, or of its gradient.
template <typename Scalar>
struct HeadColumns {
  StridedRows<Scalar> query, key, value;
};

template <typename Scalar>
HeadColumns<Scalar> columns_of(Scalar* qkv, const HeadShape& heads, std::int64_t head, std::int64_t first) {
  const std::int64_t d = heads.head_dim, stride = (heads.num_heads + 2 * heads.num_key_value_heads) * d;
  const std::int64_t shared = head / (heads.num_heads / heads.num_key_value_heads);
  Scalar* row = qkv + first * stride;
  return {{row + head * d, stride},
          {row + (heads.num_heads + shared) * d, stride},
          {row + (heads.num_heads + heads.num_key_value_heads + shared) * d, stride}};
}

// One thread's buffers, for one head of the longest sequence.
struct Scratch {
  Scratch(std::int64_t longest, std::int64_t head_dim, bool backward)
      : keys(longest * head_dim),
        values(longest * head_dim),
        queries(kQueries * head_dim),
        out(kQueries * head_dim),
        scores(kQueries * longest) {
    if (!backward) return;
    for (Buffer* buffer : {&key_gradient, &value_gradient}) buffer->resize(longest * head_dim);
    out_gradient.resize(kQueries * head_dim);
    score_gradient.resize(kQueries * longest);
  }

  // A tensor, so that the allocator's accounting and limits include it.
  class Buffer {
   public:
    explicit Buffer(std::int64_t count = 0) { resize(count); }
    void resize(std::int64_t count) {
      rows_ = at::empty({count}, at::kFloat);
      data_ = rows_.mutable_data_ptr<float>();
    }
    operator float*() { return data_; }
    float* from(std::int64_t at) { return data_ + at; }

   private:
    at::Tensor rows_;
    float* data_ = nullptr;
  };
  Buffer keys, values, queries, out, scores;
  Buffer key_gradient, value_gradient, out_gradient, score_gradient;
};

struct Block {
  std::int64_t first, count, end;  // queries [first, end) of the sequence, which see keys [0, end)
};

template <typename Run>
void for_each_block(std::int64_t length, const Run& run) {
  for (std::int64_t first = 0; first < length; first += kQueries) {
    const std::int64_t end = std::min(first + kQueries, length);
    run(Block{first, end - first, end});
  }
}

float scale_of(const HeadShape& heads) { return 1.0f / std::sqrt(static_cast<float>(heads.head_dim)); }

template <typename Scalar>
void attend_head(const HeadColumns<const Scalar>& head, std::int64_t length, const HeadShape& heads,
                 const StridedRows<Scalar>& out, float* log_sum_exps, Scratch& scratch) {
  const std::int64_t d = heads.head_dim;
  widen_rows(head.key, length, d, scratch.keys);
  widen_rows(head.value, length, d, scratch.values);
  for_each_block(length, [&](const Block& block) {
    widen_rows(head.query.from_row(block.first), block.count, d, scratch.queries);
    multiply({block.count, block.end, d}, {scratch.queries, d}, {scratch.keys, d, true}, scratch.scores, block.end,
             scale_of(heads));
    for (std::int64_t row = 0; row < block.count; ++row)
      log_sum_exps[block.first + row] =
          softmax_row(scratch.scores.from(row * block.end), block.first + row + 1, block.end);
    multiply({block.count, d, block.end}, {scratch.scores, block.end}, {scratch.values, d}, scratch.out, d);
    round_rows(scratch.out, block.count, d, out.from_row(block.first));
  });
}

template <typename Scalar>
struct BackwardHead {
  HeadColumns<const Scalar> given;
  StridedRows<const Scalar> out, out_gradient;
  const float* log_sum_exps;
  StridedRows<Scalar> query_gradient;
};

// The scratch holds keys and values already; their gradients are added to it.
template <typename Scalar>
void attend_head_backward(const BackwardHead<Scalar>& head, std::int64_t length, const HeadShape& heads,
                          Scratch& scratch) {
  const std::int64_t d = heads.head_dim;
  const float scale = scale_of(heads);
  for_each_block(length, [&](const Block& block) {
    const std::int64_t end = block.end;
    widen_rows(head.given.query.from_row(block.first), block.count, d, scratch.queries);
    widen_rows(head.out.from_row(block.first), block.count, d, scratch.out);
    widen_rows(head.out_gradient.from_row(block.first), block.count, d, scratch.out_gradient);
    multiply({block.count, end, d}, {scratch.queries, d}, {scratch.keys, d, true}, scratch.scores, end, scale);
    multiply({block.count, end, d}, {scratch.out_gradient, d}, {scratch.values, d, true}, scratch.score_gradient, end);
    for (std::int64_t row = 0; row < block.count; ++row) {
      float* probabilities = scratch.scores.from(row * end);
      probabilities_row(probabilities, block.first + row + 1, end, head.log_sum_exps[block.first + row]);
      score_gradient_row(probabilities, scratch.score_gradient.from(row * end), end,
                         inner_product(scratch.out.from(row * d), scratch.out_gradient.from(row * d), d));
    }
    multiply({end, d, block.count}, {scratch.scores, end, true}, {scratch.out_gradient, d}, scratch.value_gradient, d,
             1.0f, 1.0f);
    multiply({end, d, block.count}, {scratch.score_gradient, end, true}, {scratch.queries, d}, scratch.key_gradient, d,
             scale, 1.0f);
    multiply({block.count, d, end}, {scratch.score_gradient, end}, {scratch.keys, d}, scratch.out, d, scale);
    round_rows(scratch.out, block.count, d, head.query_gradient.from_row(block.first));
  });
}

template <typename Run>
void with_row_type(at::ScalarType type, const Run& run) {
  if (type == at::kBFloat16) return run(at::BFloat16{});
  TORCH_CHECK(type == at::kFloat, "cpu::causal_attention: no loop for ", type);
  run(float{});
}

}  // namespace

// Heads outermost, so that threads get equal shares of every sequence.
Attended causal_attention(const at::Tensor& qkv, const std::vector<std::int64_t>& lengths, const HeadShape& heads) {
  const std::int64_t d = heads.head_dim, width = heads.num_heads * d, tokens = qkv.size(0);
  const Attended result{.out = at::empty({tokens, width}, qkv.options()),
                        .log_sum_exps = at::empty({heads.num_heads, tokens}, qkv.options().dtype(at::kFloat))};
  if (tokens == 0) return result;
  const std::vector<Sequence> sequences = sequences_of(lengths);
  const std::int64_t longest = *std::max_element(lengths.begin(), lengths.end());
  with_row_type(qkv.scalar_type(), [&]<typename Scalar>(Scalar) {
    at::parallel_for(0, heads.num_heads, 1, [&](std::int64_t begin, std::int64_t end) {
      Scratch scratch(longest, d, /*backward=*/false);
      for (std::int64_t head = begin; head < end; ++head)
        for (const Sequence& sequence : sequences)
          attend_head<Scalar>(columns_of(qkv.const_data_ptr<Scalar>(), heads, head, sequence.first), sequence.length,
                              heads, {result.out.mutable_data_ptr<Scalar>() + sequence.first * width + head * d, width},
                              result.log_sum_exps.mutable_data_ptr<float>() + head * tokens + sequence.first, scratch);
    });
  });
  return result;
}

at::Tensor causal_attention_backward(const at::Tensor& gradient, const at::Tensor& qkv, const Attended& attended,
                                     const std::vector<std::int64_t>& lengths, const HeadShape& heads) {
  const std::int64_t d = heads.head_dim, width = heads.num_heads * d, tokens = qkv.size(0);
  at::Tensor result = at::empty_like(qkv);
  if (tokens == 0) return result;
  const std::vector<Sequence> sequences = sequences_of(lengths);
  const std::int64_t longest = *std::max_element(lengths.begin(), lengths.end());
  const std::int64_t group = heads.num_heads / heads.num_key_value_heads;
  with_row_type(qkv.scalar_type(), [&]<typename Scalar>(Scalar) {
    at::parallel_for(0, heads.num_key_value_heads, 1, [&](std::int64_t begin, std::int64_t end) {
      Scratch scratch(longest, d, /*backward=*/true);
      for (std::int64_t shared = begin; shared < end; ++shared)
        for (const Sequence& sequence : sequences) {
          const auto columns = [&](std::int64_t head) {
            return columns_of(qkv.const_data_ptr<Scalar>(), heads, head, sequence.first);
          };
          const auto gradients = [&](std::int64_t head) {
            return columns_of(result.mutable_data_ptr<Scalar>(), heads, head, sequence.first);
          };
          const HeadColumns<const Scalar> first = columns(shared * group);
          widen_rows(first.key, sequence.length, d, scratch.keys);
          widen_rows(first.value, sequence.length, d, scratch.values);
          std::fill_n(scratch.key_gradient.from(0), sequence.length * d, 0.0f);
          std::fill_n(scratch.value_gradient.from(0), sequence.length * d, 0.0f);
          for (std::int64_t head = shared * group; head < (shared + 1) * group; ++head) {
            const std::int64_t at = sequence.first * width + head * d;
            attend_head_backward<Scalar>(
                {.given = columns(head),
                 .out = {attended.out.const_data_ptr<Scalar>() + at, width},
                 .out_gradient = {gradient.const_data_ptr<Scalar>() + at, width},
                 .log_sum_exps = attended.log_sum_exps.const_data_ptr<float>() + head * tokens + sequence.first,
                 .query_gradient = gradients(head).query},
                sequence.length, heads, scratch);
          }
          round_rows(scratch.key_gradient, sequence.length, d, gradients(shared * group).key);
          round_rows(scratch.value_gradient, sequence.length, d, gradients(shared * group).value);
        }
    });
  });
  return result;
}

}  // namespace nkat::layers::cpu
