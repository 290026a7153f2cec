#include "models/planning/time_plan.h"

namespace nkat::models {
namespace {

// Published rates of cuBLASLt's int8 products on an RTX 5090: 168 to 186 TOPS of row-major A B, 466 to 479 of A Bᵀ.
constexpr double kSlowLayout = 0.38;
constexpr double kBandwidthShare = 0.85;

// Bytes that the steps of layers/quantized/int8_rows.cpp (plain) read and write for an entry of BF16 input: to float32
// 6, factors 8, abs and largest 12, divided 8, cleaned 8, rounded 8, stored 5; of a second term 12 + 8 + 8 + 5.
constexpr double kRoundBytes = 55, kSecondTermBytes = 33;
// For an entry of the result: to float32 8, row scales 8, column scales 8, stored 6; each term's int32 4; the second's
// sum 12.
constexpr double kSumBytes = 30, kTermSumBytes = 4, kSecondSumBytes = 12;
// layers/quantized/nf4.cpp (plain), for an entry of W: nibbles 4, index 5, level 8, scale 8, column scale 8, stored 6.
constexpr double kWidenBytes = 39;

struct Matrix {
  double rows, columns;  // out, in
  WeightFormat form;
};

double linear_operations(const ModelConfig& config) {
  double entries = 0;
  for (const TensorSpec& matrix : layer_matrices(config)) entries += static_cast<double>(matrix.matrix().elements());
  return 2 * entries;
}

// Of the keys that a token sees on average, T / 2.
double attention_operations(const ModelConfig& config, const PlanRequest& request) {
  return 2.0 * static_cast<double>(request.sequence_length * config.num_heads * config.head_dim);
}

double head_operations(const ModelConfig& config) {
  return 2.0 * static_cast<double>(config.vocab_size * config.hidden_size);
}

// How often a layer goes through its products in one pass over the model.
struct Passes {
  double forward, back;
};

Passes passes_of(const ModelConfig& config, const PlanRequest& request, std::int64_t recomputed_layers) {
  // The first adapter's own layer sends nothing further down.
  return {static_cast<double>(config.num_layers + recomputed_layers),
          static_cast<double>(config.num_layers - request.first_adapter_layer - 1)};
}

MicroBatchWork int8_work(const Matrix& matrix, double tokens, const Passes& passes) {
  const double product = 2 * matrix.rows * matrix.columns * tokens;
  const auto rounding = [](std::int64_t terms) { return kRoundBytes + (terms > 1 ? kSecondTermBytes : 0); };
  const auto scaling = [](std::int64_t terms) {
    return kSumBytes + kTermSumBytes * static_cast<double>(terms) + (terms > 1 ? kSecondSumBytes : 0);
  };
  const auto [in, back] = std::pair(matrix.form.input_passes, matrix.form.gradient_passes);
  const double forward_bytes = tokens * (matrix.columns * rounding(in) + matrix.rows * scaling(in));
  const double back_bytes = tokens * (matrix.rows * rounding(back) + matrix.columns * scaling(back));
  return {.int8_operations = passes.forward * product * static_cast<double>(in),
          .int8_back_operations = passes.back * product * static_cast<double>(back),
          .quantization_bytes = passes.forward * forward_bytes + passes.back * back_bytes};
}

MicroBatchWork matrix_work(const Matrix& matrix, double tokens, const Passes& passes) {
  if (matrix.form.storage == WeightFormat::Storage::kInt8) return int8_work(matrix, tokens, passes);
  const double both = passes.forward + passes.back, entries = matrix.rows * matrix.columns;
  const bool widened = matrix.form.storage == WeightFormat::Storage::kNf4;
  return {.bf16_operations = 2 * entries * tokens * both,
          .quantization_bytes = widened ? kWidenBytes * entries * both : 0};
}

}  // namespace

MicroBatchWork& MicroBatchWork::operator+=(const MicroBatchWork& other) {
  bf16_operations += other.bf16_operations;
  int8_operations += other.int8_operations;
  int8_back_operations += other.int8_back_operations;
  quantization_bytes += other.quantization_bytes;
  return *this;
}

double sample_flops(const ModelConfig& config, const PlanRequest& request, std::int64_t recomputed_layers) {
  const Passes passes = passes_of(config, request, recomputed_layers);
  const double layer = linear_operations(config) * (passes.forward + passes.back);
  const double attention = attention_operations(config, request) * (passes.forward + 2.5 * passes.back);
  return static_cast<double>(request.sequence_length) * (layer + attention + 2 * head_operations(config));
}

MicroBatchWork micro_batch_work(const ModelConfig& config, const PlanRequest& request, std::int64_t recomputed_layers) {
  const Passes passes = passes_of(config, request, recomputed_layers);
  const auto tokens = static_cast<double>(request.micro_batch_tokens());
  const double attention = attention_operations(config, request) * (passes.forward + 2.5 * passes.back);
  MicroBatchWork work{.bf16_operations = tokens * (attention + 2 * head_operations(config))};
  for (const TensorSpec& tensor : layer_matrices(config)) {
    const MatrixShape shape = tensor.matrix();
    const Matrix matrix{static_cast<double>(shape.rows), static_cast<double>(shape.columns),
                        request.forms.of(tensor.role)};
    work += matrix_work(matrix, static_cast<double>(request.micro_batch_rows()), passes);
  }
  return work;
}

double memory_rate(const Card& card) { return card.memory_gigabytes_per_second * 1e9 * kBandwidthShare; }

TimeByKind micro_batch_seconds(const MicroBatchWork& work, const Card& card, double efficiency) {
  const double int8_rate = card.int8_tops * 1e12 * efficiency;
  return {.bf16 = work.bf16_operations / (card.bf16_tflops * 1e12 * efficiency),
          .int8 = work.int8_operations / int8_rate + work.int8_back_operations / (int8_rate * kSlowLayout),
          .quantization = work.quantization_bytes / memory_rate(card)};
}

const std::vector<Card>& known_cards() {
  static const std::vector<Card> cards = {
      {"RTX 3060", 25.5, 101.9, 360, 12}, {"RTX 3060 Ti", 32.4, 129.6, 448, 8}, {"RTX 3090", 71.0, 284.0, 936, 24},
      {"RTX 4070", 58.3, 233.2, 504, 12}, {"RTX 4090", 165.2, 660.6, 1008, 24}, {"A100", 312.0, 624.0, 2039, 80},
      {"H100", 989.0, 1979.0, 3350, 80},  {"H200", 989.0, 1979.0, 4800, 141},
  };
  return cards;
}

}  // namespace nkat::models
