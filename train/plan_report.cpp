#include "train/plan_report.h"

#include <numbers>

#include <ATen/Parallel.h>
#include <nlohmann/json.hpp>

#include "core/cli/progress.h"
#include "core/error.h"
#include "core/message.h"
#include "layers/cpu/bf16_gemm.h"
#include "layers/quantized/int8_gemm.h"
#include "layers/sigmoid.h"
#include "models/model_summary.h"

namespace nkat::train {
namespace {

// Larger micro-batches don't make matrix products faster.
constexpr std::int64_t kEnoughTokensOnCpu = 512, kEnoughTokensOnGpu = 1024;
// The spectral norm of the 8 x 8 skew matrix of ones: the angle if every entry of A moves alike.
const double kAngleOfOnes = 1.0 / std::tan(std::numbers::pi / 16.0);

std::int64_t wanted_layers(const models::ModelConfig& model, const TrainConfig& config,
                           const models::PlanRequest& request) {
  const std::int64_t trained = model.num_layers - config.first_adapter_layer;
  if (config.checkpointing == "none") return 0;
  if (config.checkpointing == "full") return trained;
  if (config.checkpointing == "auto") return models::fewest_recomputed_layers(model, request).value_or(trained);
  const std::int64_t layers = std::stoll(config.checkpointing);
  if (layers > trained) {
    throw ConfigError("--checkpointing: " + expected(fmt::format("at most {} layers, all that are trained", trained),
                                                     std::to_string(layers)));
  }
  return layers;
}

std::int64_t packed_tokens(const models::ModelConfig& model, const TrainConfig& config,
                           const models::PlanRequest& unpacked) {
  if (config.tokens_per_micro_batch != "auto") return config.packed_tokens();
  return models::packable_tokens(model, unpacked, wanted_layers(model, config, unpacked),
                                 unpacked.on_gpu ? kEnoughTokensOnGpu : kEnoughTokensOnCpu);
}

std::string what_would_fit(const models::ModelConfig& model, const models::PlanRequest& request) {
  if (const auto layers = models::fewest_recomputed_layers(model, request))
    return fmt::format("It fits with --checkpointing {}.", *layers);
  if (request.packed_tokens > request.samples * request.sequence_length) {
    models::PlanRequest unpacked = request;
    unpacked.packed_tokens = 0;
    if (const auto layers = models::fewest_recomputed_layers(model, unpacked))
      return fmt::format("It fits with --tokens-per-micro-batch none and --checkpointing {}.", *layers);
  }
  models::PlanRequest single = request;
  single.samples = 1;
  single.packed_tokens = 0;
  if (const auto layers = models::fewest_recomputed_layers(model, single)) {
    return fmt::format(
        "It fits with --batch-size 1 (and {} times the --gradient-accumulation: the same gradient) and --checkpointing "
        "{}.",
        request.samples, *layers);
  }
  const std::int64_t longest = models::longest_sequence(model, single);
  if (longest > 0)
    return fmt::format("It fits with --batch-size 1, --max-sequence-length {} and --checkpointing full.", longest);
  const double all = models::plan_memory(model, single, model.num_layers - request.first_adapter_layer).total();
  return fmt::format("Even one sample at a time with every layer recomputed needs {}: raise --vram-budget-gib.",
                     format_bytes(all));
}

models::TimeByKind hours_of(const models::ModelConfig& model, const RunPlan& plan, const CardChoice& card) {
  const auto tokens = static_cast<double>(plan.run_samples * plan.request.sequence_length);
  const double hours = tokens / static_cast<double>(plan.request.micro_batch_tokens()) / 3600.0;
  const models::MicroBatchWork work = models::micro_batch_work(model, plan.request, plan.memory.recomputed_layers);
  const models::TimeByKind seconds = models::micro_batch_seconds(work, card.card, card.efficiency);
  return {hours * seconds.bf16, hours * seconds.int8, hours * seconds.quantization};
}

std::string time_lines(const TrainConfig& config, const RunPlan& plan, const CardChoice& card) {
  std::string text = fmt::format(
      "Time, an estimate for the {}: {:.1f} h for {} steps of {} samples, all {} tokens long, products at {:.0f} % of "
      "its {:.1f} TFLOP/s (BF16)",
      card.card.name, plan.hours.total(), config.max_steps, config.global_batch_samples(),
      config.dataset.max_sequence_length, 100 * card.efficiency, card.card.bf16_tflops);
  if (plan.hours.int8 > 0) text += fmt::format(" and {:.1f} TOPS (8 bits)", card.card.int8_tops);
  if (plan.hours.quantization > 0) {
    text += fmt::format(
        "\n  BF16 products and attention {:.1f} h, 8-bit products {:.1f} h, rounding, scaling and widening {:.1f} h, "
        "as separate steps through its memory at {:.0f} GB/s",
        plan.hours.bf16, plan.hours.int8, plan.hours.quantization, models::memory_rate(card.card) / 1e9);
  }
  return text + "\n";
}

std::string row(const std::string& name, double bytes, const std::string& note) {
  return fmt::format("  {:<24}{:>11}   {}\n", name, format_bytes(bytes), note);
}

}  // namespace

models::PlanRequest plan_request(const models::ModelConfig& model, const TrainConfig& config,
                                 std::int64_t element_bytes, bool on_gpu) {
  if (config.first_adapter_layer >= model.num_layers) {
    throw ConfigError("--first-adapter-layer: " + expected(fmt::format("0 to {} for this model", model.num_layers - 1),
                                                           std::to_string(config.first_adapter_layer)));
  }
  if (config.dataset.max_sequence_length > model.max_position_embeddings) {
    throw ConfigError("--max-sequence-length: " +
                      expected(fmt::format("at most {} for this model", model.max_position_embeddings),
                               std::to_string(config.dataset.max_sequence_length)));
  }
  models::PlanRequest request{.samples = config.batch_size,
                              .sequence_length = config.dataset.max_sequence_length,
                              .element_bytes = element_bytes,
                              .forms = models::formats_of(config.base),
                              .first_adapter_layer = config.first_adapter_layer,
                              .on_gpu = on_gpu,
                              .widened = !on_gpu && element_bytes == 2 && layers::cpu::prefer_fp32_gemm(),
                              .int8_in_float = !on_gpu && layers::int8_gemm_in_float(),
                              .threads = at::get_num_threads(),
                              .budget_bytes = config.vram_budget_gib * kGiB};
  request.packed_tokens = packed_tokens(model, config, request);
  return request;
}

RunPlan plan_run(const models::ModelConfig& model, const TrainConfig& config, const models::PlanRequest& request,
                 const CardChoice& card) {
  RunPlan plan;
  plan.request = request;
  plan.base = name_of(config.base, models::kBaseFormatNames);
  plan.memory = models::plan_memory(model, request, wanted_layers(model, config, request));
  plan.fits = plan.memory.total() <= request.budget_bytes;
  plan.longest_sequence = models::longest_sequence(model, request);
  plan.sample_flops = models::sample_flops(model, request, plan.memory.recomputed_layers);
  plan.run_samples = config.max_steps * config.global_batch_samples();
  plan.hours = hours_of(model, plan, card);
  const double rates = config.rate_schedule().total();
  plan.alpha_reach = config.control == Control::kFrozenGates ? 0.0 : rates * config.alpha_learning_rate;
  plan.gate_reach = layers::sigmoid(config.alpha_init + plan.alpha_reach);
  plan.angle_reach = config.control == Control::kIdentity ? 0.0 : kAngleOfOnes * rates * config.learning_rate;
  return plan;
}

std::int64_t resolve_recomputed_layers(const models::ModelConfig& model, const TrainConfig& config,
                                       const models::PlanRequest& request) {
  const std::int64_t layers = wanted_layers(model, config, request);
  const models::MemoryPlan plan = models::plan_memory(model, request, layers);
  if (plan.total() <= request.budget_bytes) return layers;
  throw DeviceError(fmt::format(
      "the run needs {} ({} weights, {} activations with {} layers recomputed, {} else), the budget is {}. {}",
      format_bytes(plan.total()), format_bytes(plan.weights), format_bytes(plan.activations), layers,
      format_bytes(plan.total() - plan.weights - plan.activations), format_bytes(request.budget_bytes),
      what_would_fit(model, request)));
}

std::string plan_table(const models::ModelConfig& model, const TrainConfig& config, const RunPlan& plan,
                       const CardChoice& card) {
  const models::MemoryPlan& m = plan.memory;
  const std::int64_t trained = model.num_layers - config.first_adapter_layer;
  std::string text = models::describe(model, {.base = config.base,
                                              .element_bytes = plan.request.element_bytes,
                                              .first_adapter_layer = config.first_adapter_layer});
  text += fmt::format(
      "Memory for micro-batches of up to {} tokens, samples of up to {} ({} parameters, {} bytes each before --base)\n",
      plan.request.micro_batch_tokens(), config.dataset.max_sequence_length, models::parameter_count(model),
      plan.request.element_bytes);
  text += row("weights", m.weights, fmt::format("frozen, --base {}", plan.base));
  text +=
      row("kept activations", m.activations, fmt::format("{} of {} layers recompute", m.recomputed_layers, trained));
  text += row("logits", m.head, fmt::format("{} rows at a time", plan.request.head_rows));
  text += row("adapter", m.adapter,
              plan.request.on_gpu ? "M, its gradient and their sum; Adam's moments are on the host"
                                  : "rotations, M, its gradient and their sum, Adam's moments");
  text += row("workspace", m.workspace, "inside one layer's backward");
  if (plan.request.on_gpu) text += row("context", m.context, "driver and cuBLAS, an allowance");
  text += row(
      "total", m.total(),
      fmt::format("of {} budget: {}", format_bytes(plan.request.budget_bytes), plan.fits ? "fits" : "does not fit"));
  text += fmt::format("Longest sequence that fits, all layers recomputed: {} tokens\n", plan.longest_sequence);
  text += time_lines(config, plan, card);
  text += fmt::format("Gates: alpha can move {:.2f} from {:.2f}, so sigmoid(alpha) stays below {:.4f}\n",
                      plan.alpha_reach, config.alpha_init, plan.gate_reach);
  text += fmt::format("Angles: at most {:.2f} rad from the start\n", plan.angle_reach);
  if (!plan.fits) text += what_would_fit(model, plan.request) + "\n";
  return text;
}

nlohmann::ordered_json plan_json(const RunPlan& plan, const CardChoice& card) {
  const models::MemoryPlan& m = plan.memory;
  return {{"fits", plan.fits},
          {"base", plan.base},
          {"budget_bytes", plan.request.budget_bytes},
          {"total_bytes", m.total()},
          {"weights_bytes", m.weights},
          {"activations_bytes", m.activations},
          {"logits_bytes", m.head},
          {"adapter_bytes", m.adapter},
          {"workspace_bytes", m.workspace},
          {"context_bytes", m.context},
          {"recomputed_layers", m.recomputed_layers},
          {"micro_batch_tokens", plan.request.micro_batch_tokens()},
          {"longest_sequence", plan.longest_sequence},
          {"card", card.card.name},
          {"peak_tflops", card.card.bf16_tflops},
          {"peak_int8_tops", card.card.int8_tops},
          {"memory_bytes_per_second", models::memory_rate(card.card)},
          {"efficiency", card.efficiency},
          {"sample_flops", plan.sample_flops},
          {"run_samples", plan.run_samples},
          {"hours", plan.hours.total()},
          {"hours_bf16_products", plan.hours.bf16},
          {"hours_int8_products", plan.hours.int8},
          {"hours_quantization", plan.hours.quantization},
          {"alpha_reach", plan.alpha_reach},
          {"gate_reach", plan.gate_reach},
          {"angle_reach", plan.angle_reach}};
}

}  // namespace nkat::train
