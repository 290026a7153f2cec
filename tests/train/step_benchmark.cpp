// Times a micro-batch of a model folder against its limits, contender after contender in each round, and prints JSON:
// run_micro_batch; the same pass with M left out; the bare matrix products of the same shapes in the model's type and
// in float32; the adapter's work once a step. Called by scripts/measure/bench.py and scripts/gpu_check.
//   train_benchmark step MODEL-FOLDER --device cpu --precision bf16 --lengths 200,180,160 --rounds 5
// The peaks of a device: one large product in BF16 or float32, one of 8-bit integers, one large copy.
//   train_benchmark peak --device cpu --precision bf16 --size 4096
// --budget-gib: with no more of the device's memory than a run with that budget. Units: seconds, operations (a
// multiply-add is two), bytes.
#include <iostream>

#include <ATen/Parallel.h>
#include <ATen/ops/_int_mm.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/randint.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <torch/csrc/autograd/autograd.h>

#include "core/error.h"
#include "layers/activation_checkpointing.h"
#include "layers/cross_entropy.h"
#include "models/device.h"
#include "models/model_folder.h"
#include "tests/support/benchmark_timer.h"
#include "train/adapter_gradients.h"
#include "train/memory/memory_monitor.h"
#include "train/micro_batch.h"

namespace {

using namespace nkat;
using testing::seconds_of;

constexpr std::int64_t kMoreThanACache = 512LL << 20;  // bytes

struct Settings {
  std::string model, device = "cpu", precision = "bf16";
  std::vector<std::int64_t> lengths = {256};
  std::int64_t rounds = 5, size = 4096;
  double budget_gib = 0;  // 0: all of the device's
};

// Samples of random tokens in which every token but the first is a target.
models::PackedBatch random_samples(const Settings& settings, std::int64_t vocabulary) {
  models::PackedBatch packed;
  packed.lengths = settings.lengths;
  std::vector<std::int64_t> rows;
  std::int64_t begin = 0;
  for (const std::int64_t length : settings.lengths) {
    for (std::int64_t i = 0; i + 1 < length; ++i) rows.push_back(begin + i);
    begin += length;
  }
  packed.tokens = at::randint(vocabulary, {begin}, at::kLong);
  packed.target_rows = at::tensor(rows, at::kLong);
  packed.targets = packed.tokens.index_select(0, packed.target_rows + 1);
  return packed;
}

// The pass of run_micro_batch for an adapter whose M is left out: gradients flow down to the first layer's output.
double run_without_blocks(const models::Decoder& decoder, const models::PackedBatch& packed, double scale) {
  const auto layout = decoder.layout(packed.lengths);
  const auto layer = [&](std::int64_t index, const at::Tensor& x) { return decoder.layer(index, x, layout, {}); };
  // With -1 as the first trained layer the lowest of the upper layers, too, sends a gradient to its input.
  layers::CheckpointedLayers upper(decoder.num_layers() - 1, /*first_trained=*/-1, /*recomputed=*/0,
                                   [&](std::int64_t index, const at::Tensor& x) { return layer(index + 1, x); });
  at::Tensor first;
  {
    const at::NoGradGuard no_grad;
    first = layer(0, decoder.embed(packed.tokens));
  }
  const at::Tensor last = upper.forward(first).requires_grad_(true);
  const at::Tensor normed = decoder.final_norm(last.index_select(0, packed.target_rows));
  const layers::CrossEntropy loss = layers::cross_entropy(normed.detach(), packed.targets, decoder.head_weight(),
                                                          {.scale = scale, .want_gradient = true, .chunk_rows = 256});
  torch::autograd::backward({normed}, {loss.gradient});
  upper.backward(last.grad());
  return loss.losses.sum(at::kDouble).item<double>();
}

// Random matrices of a layer's shapes, each with its forward product and, above the first layer, its product towards
// the input; the head both ways on the rows that have a target. As many layers have matrices of their own as no cache
// can hold; the others use them again.
class BareProducts {
 public:
  BareProducts(const models::ModelConfig& config, const at::TensorOptions& options, const models::PackedBatch& packed) {
    const std::int64_t hidden = config.hidden_size, inner = config.intermediate_size, tokens = packed.token_count();
    const std::vector<std::pair<std::int64_t, std::int64_t>> shapes = {{config.qkv_rows(), hidden},
                                                                       {hidden, config.num_heads * config.head_dim},
                                                                       {2 * inner, hidden},
                                                                       {hidden, inner}};
    const std::int64_t apart =
        std::clamp<std::int64_t>(kMoreThanACache / layer_bytes(shapes, options), 1, config.num_layers);
    for (std::int64_t layer = 0; layer < config.num_layers; ++layer) {
      for (std::size_t i = 0; i < shapes.size(); ++i) {
        const auto [out, in] = shapes[i];
        const at::Tensor weight = layer < apart
                                      ? random(out, in, options)
                                      : products_[static_cast<std::size_t>(layer - apart) * shapes.size() + i].weight;
        add(weight, tokens, /*both_ways=*/layer > 0);
      }
    }
    add(random(config.vocab_size, hidden, options), packed.target_count(), /*both_ways=*/true);
  }

  void run() const {
    const at::NoGradGuard no_grad;
    for (const Product& p : products_) {
      at::linear(p.input, p.weight);
      if (p.both_ways) at::matmul(p.gradient, p.weight);
    }
  }
  double operations() const { return operations_; }

 private:
  struct Product {
    at::Tensor weight, input, gradient;  // (out, in), (rows, in), (rows, out)
    bool both_ways;
  };

  static at::Tensor random(std::int64_t rows, std::int64_t width, const at::TensorOptions& options) {
    return at::randn({rows, width}, at::kFloat).to(options);
  }

  static std::int64_t layer_bytes(const std::vector<std::pair<std::int64_t, std::int64_t>>& shapes,
                                  const at::TensorOptions& options) {
    std::int64_t bytes = 0;
    for (const auto& [out, in] : shapes) bytes += out * in * static_cast<std::int64_t>(options.dtype().itemsize());
    return bytes;
  }

  // Rows of one shape are shared: a step, too, works on rows that it has just written.
  void add(const at::Tensor& weight, std::int64_t rows, bool both_ways) {
    const auto known = std::ranges::find_if(
        products_, [&](const Product& p) { return p.input.size(0) == rows && p.weight.sizes() == weight.sizes(); });
    const at::TensorOptions options = weight.options();
    Product product = known != products_.end() ? *known
                                               : Product{weight, random(rows, weight.size(1), options),
                                                         random(rows, weight.size(0), options), both_ways};
    product.weight = weight;
    product.both_ways = both_ways;
    products_.push_back(std::move(product));
    operations_ += 2.0 * static_cast<double>(weight.numel() * rows) * (both_ways ? 2 : 1);
  }

  std::vector<Product> products_;
  double operations_ = 0;
};

nlohmann::ordered_json time_step(const Settings& settings) {
  const at::Device device = models::resolve_device(settings.device);
  const models::ModelConfig config = models::read_model_config(settings.model);
  std::optional<train::MemoryMonitor> monitor;
  if (settings.budget_gib > 0) monitor.emplace(device, static_cast<std::uint64_t>(settings.budget_gib * (1 << 30)));
  const models::Decoder decoder = models::open_decoder(
      settings.model, config,
      {.dtype = models::resolve_precision(value_of(settings.precision, models::kPrecisionNames).value(), device),
       .device = device});
  const models::PackedBatch packed = random_samples(settings, config.vocab_size).to(device);
  const double scale = 1.0 / static_cast<double>(packed.target_count());
  models::Adapter adapter = models::init_adapter(config, {.alpha = -5.0, .weight_std = 0.01, .seed = 0});
  train::AdapterGradients step(adapter, device);
  auto state = train::OptimizerState::zeros_for(adapter);

  std::vector<std::pair<std::string, std::function<void()>>> contenders = {
      {"with_blocks", [&] { train::run_micro_batch(decoder, step.matrices(), packed, scale, {}); }},
      {"without_blocks", [&] { run_without_blocks(decoder, packed, scale); }},
      {"once_a_step", [&] {
         train::AdapterGradients fresh(adapter, device);
         for (const at::Tensor& blocks : fresh.matrices()) blocks.mutable_grad() = at::ones_like(blocks);
         auto [gradient, force] = fresh.backward(fresh.collect_gradients(), 0.1, train::Control::kNone);
         train::clip_by_global_norm(gradient, 1.0);
         train::adamw_update(adapter, gradient, state, {1e-3, 5e-3}, 1e-12);
       }}};
  const BareProducts products(config, at::TensorOptions(device).dtype(decoder.dtype()), packed);
  contenders.emplace_back("products", [&] { products.run(); });
  std::optional<BareProducts> wide;
  if (!device.is_cuda() && decoder.dtype() != at::kFloat) {
    wide.emplace(config, at::TensorOptions(at::kFloat), packed);
    contenders.emplace_back("products_float32", [&] { wide->run(); });
  }
  nlohmann::ordered_json seconds = nlohmann::ordered_json::object();
  for (const auto& [name, call] : contenders) call();  // the first touches memory and builds plans
  for (std::int64_t round = 0; round < settings.rounds; ++round)
    for (const auto& [name, call] : contenders) seconds[name].push_back(seconds_of(device, call));
  return {{"device", device.str()},
          {"precision", models::precision_name(decoder.dtype())},
          {"threads", at::get_num_threads()},
          {"tokens", packed.token_count()},
          {"target_tokens", packed.target_count()},
          {"product_operations", products.operations()},
          {"seconds", seconds}};
}

// `amount` over the seconds of a call, round by round.
nlohmann::ordered_json rates(const Settings& settings, const at::Device& device, double amount,
                             const std::function<void()>& call) {
  call();
  nlohmann::ordered_json found;
  for (std::int64_t round = 0; round < settings.rounds; ++round) found.push_back(amount / seconds_of(device, call));
  return found;
}

// Square products of random numbers (zeros would flatter a GPU), 8-bit ones in the layout that they are fast in; a copy
// that no cache holds, read and write counted.
nlohmann::ordered_json time_peak(const Settings& settings) {
  const at::NoGradGuard no_grad;
  const at::Device device = models::resolve_device(settings.device);
  const at::ScalarType type =
      models::resolve_precision(value_of(settings.precision, models::kPrecisionNames).value(), device);
  const std::array<std::int64_t, 2> square = {settings.size, settings.size};
  const auto random = [&] { return at::randn(square).to(device, type); };
  const auto random_bytes = [&] { return at::randint(-127, 128, square, at::kChar).to(device); };
  const at::Tensor a = random(), b = random(), a8 = random_bytes(), b8 = random_bytes();
  const at::Tensor source = at::empty({kMoreThanACache}, at::TensorOptions(device).dtype(at::kByte)).fill_(1);
  const at::Tensor target = at::empty_like(source);
  const double operations = 2.0 * std::pow(static_cast<double>(settings.size), 3);
  return {{"device", device.str()},
          {"precision", models::precision_name(type)},
          {"size", settings.size},
          {"operations_per_second", rates(settings, device, operations, [&] { at::linear(a, b); })},
          {"int8_operations_per_second", rates(settings, device, operations, [&] { at::_int_mm(a8, b8.t()); })},
          {"bytes_per_second", rates(settings, device, 2.0 * kMoreThanACache, [&] { target.copy_(source); })}};
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  CLI::App app("times a micro-batch, or a bare matrix product");
  app.require_subcommand(1);
  CLI::App* step = app.add_subcommand("step");
  CLI::App* peak = app.add_subcommand("peak");
  for (CLI::App* one : {step, peak}) {
    one->add_option("--device", settings.device);
    one->add_option("--precision", settings.precision);
    one->add_option("--rounds", settings.rounds)->check(CLI::PositiveNumber);
  }
  step->add_option("model", settings.model)->required();
  step->add_option("--budget-gib", settings.budget_gib)->check(CLI::NonNegativeNumber);
  step->add_option("--lengths", settings.lengths)->delimiter(',')->check(CLI::Range(2, 1 << 20));
  peak->add_option("--size", settings.size)->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  try {
    std::cout << (*step ? time_step(settings) : time_peak(settings)).dump(2) << '\n';
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
