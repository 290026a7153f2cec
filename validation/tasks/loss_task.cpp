#include "validation/tasks/loss_task.h"

#include <fmt/ranges.h>

#include "core/cli/log.h"
#include "core/cli/progress.h"
#include "core/error.h"
#include "core/signals.h"
#include "layers/kl_divergence.h"
#include "validation/statistics/bootstrap.h"

namespace nkat::validation {
namespace {

using Losses = std::vector<models::SampleLoss>;

struct NamedData {
  std::string name;  // its files
  data::Dataset dataset;
};

std::shared_ptr<const NamedData> read_data(data::DatasetOptions options, const std::vector<std::string>& files,
                                           const EvalInputs& inputs) {
  options.files = files;
  options.vocabulary_size = inputs.config.vocab_size;
  auto data = std::make_shared<const NamedData>(
      NamedData{fmt::format("{}", fmt::join(files, ", ")),
                data::Dataset(options, inputs.text.tokenizer, inputs.text.chat_template)});
  const data::DatasetSummary& summary = data->dataset.summary();
  const std::int64_t dropped = summary.dropped_overlong + summary.dropped_without_target;
  if (summary.truncated + dropped + summary.bad_records > 0) {
    log::info(fmt::format("{}: {} of {} records truncated, {} dropped, {} bad", data->name, summary.truncated,
                          summary.records, dropped, summary.bad_records));
  }
  if (summary.samples > summary.records) {
    log::warning(
        fmt::format("{}: records are repeated (FILE:N); the intervals count each repeat as a sample of its own "
                    "and come out too narrow",
                    data->name));
  }
  return data;
}

// The statistics can't be made of what is not a number.
void require_finite(const NamedData& data, const Losses& losses, const char* of_what) {
  for (std::size_t i = 0; i < losses.size(); ++i) {
    if (std::isfinite(losses[i].sum)) continue;
    throw DataError(
        fmt::format("{}: the loss {} must be finite and is not; compute with --precision fp32, and look at "
                    "the adapter and the model",
                    data.dataset.describe(static_cast<std::int64_t>(i)), of_what));
  }
}

Estimate mean_of(const Losses& losses) {
  std::vector<SampleSum> samples;
  for (const auto& [sum, targets] : losses) samples.push_back({.sum = sum, .weight = static_cast<double>(targets)});
  return bootstrap_ratio(samples);
}

// left - right, paired by sample.
Estimate mean_difference(const Losses& left, const Losses& right) {
  Losses differences = left;
  for (std::size_t i = 0; i < left.size(); ++i) differences[i].sum -= right[i].sum;
  return mean_of(differences);
}

auto shown_by(ProgressBar& bar) {
  return [&bar](std::int64_t done, std::int64_t) { bar.update(static_cast<std::uint64_t>(done), ""); };
}

// The layers of one pass, with the adapter.
struct Pass {
  const EvalModel& model;
  layers::PackedSequences layout;

  // x (T, H) through layers [begin, end) -> (T, H)
  at::Tensor through(std::int64_t begin, std::int64_t end, at::Tensor x) const {
    for (std::int64_t i = begin; i < end; ++i) {
      x = model.decoder.layer(i, x, layout, model.blocks[static_cast<std::size_t>(i)]);
    }
    return x;
  }
  // x (T, H) below `layer` -> (T, H) above all layers, with that layer's gate closed.
  at::Tensor around(std::int64_t layer, const at::Tensor& x) const {
    return through(layer + 1, model.decoder.num_layers(), model.decoder.layer(layer, x, layout, {}));
  }
};

// By sample, in the dataset's order.
struct PairedLosses {
  models::LossReport base;
  models::LossReport adapted;
  std::vector<models::SampleLoss> divergence;  // KL(base || adapted), nats over the sample's targets
};

// Two forward passes over the data, with both hidden states in memory at once; the model must have an adapter. Losses
// equal those of models::evaluate_loss, bit for bit.
PairedLosses evaluate_paired(const EvalModel& model, const data::Dataset& dataset,
                             const models::EvaluationOptions& options) {
  NKAT_INVARIANT(model.has_adapter());
  const at::NoGradGuard no_grad;
  const models::Decoder& decoder = model.decoder;
  PairedLosses losses;
  models::for_each_pass(dataset, decoder.device(), options, [&](const models::PackedBatch& packed) {
    const models::PackedBatch batch{packed.tokens, packed.lengths};
    const at::Tensor base = decoder.hidden(batch, {});               // (T, H)
    const at::Tensor adapted = decoder.hidden(batch, model.blocks);  // (T, H)
    models::append_losses(decoder, packed, base, losses.base);
    models::append_losses(decoder, packed, adapted, losses.adapted);
    const at::Tensor divergence =
        layers::kl_divergence(base.index_select(0, packed.target_rows), adapted.index_select(0, packed.target_rows),
                              decoder.head_weight());  // (R)
    models::append_sample_sums(packed, divergence, losses.divergence);
  });
  return losses;
}

struct AblatedLosses {
  models::LossReport whole;                 // all gates as they are
  std::vector<models::LossReport> without;  // by layer from the adapter's first, that layer's gate closed
};

// Leave-one-layer-out ablation. In each pass the state below a layer is computed once, with the whole adapter; from
// there the layers above run again without that layer's M: half a forward pass per layer on average, plus one.
// progress: (done, total) in samples times layers. The model must have an adapter.
AblatedLosses ablate_layers(const EvalModel& model, const data::Dataset& dataset,
                            const std::function<void(std::int64_t, std::int64_t)>& progress) {
  NKAT_INVARIANT(model.has_adapter());
  const at::NoGradGuard no_grad;
  const models::Decoder& decoder = model.decoder;
  const std::int64_t first = model.adapter.first_layer;
  const std::int64_t count = decoder.num_layers() - first;
  AblatedLosses losses;
  losses.without.resize(static_cast<std::size_t>(count));
  std::int64_t done = 0;
  models::for_each_pass(dataset, decoder.device(), {}, [&](const models::PackedBatch& packed) {
    const Pass pass{model, decoder.layout(packed.lengths)};
    at::Tensor x = pass.through(0, first, decoder.embed(packed.tokens));  // (T, H)
    for (std::int64_t i = 0; i < count; ++i) {
      throw_if_stop_requested();
      models::append_losses(decoder, packed, decoder.final_norm(pass.around(first + i, x)),
                            losses.without[static_cast<std::size_t>(i)]);
      x = pass.through(first + i, first + i + 1, x);
      progress(done += static_cast<std::int64_t>(packed.samples.size()), dataset.size() * count);
    }
    models::append_losses(decoder, packed, decoder.final_norm(x), losses.whole);
  });
  return losses;
}

LossFinding measure_loss(const EvalModel& model, const NamedData& data, const char* title) {
  LossFinding finding{
      .file = data.name, .samples = data.dataset.size(), .tokens = data.dataset.summary().target_tokens};
  ProgressBar bar(title, static_cast<std::uint64_t>(data.dataset.size()));
  if (!model.has_adapter()) {
    const models::LossReport report =
        models::evaluate_loss(model.decoder, {}, data.dataset, {.progress = shown_by(bar)});
    require_finite(data, report.samples, "of the model");
    finding.loss = mean_of(report.samples);
    finding.perplexity = exponential(finding.loss);
    return finding;
  }
  const PairedLosses losses = evaluate_paired(model, data.dataset, {.progress = shown_by(bar)});
  require_finite(data, losses.base.samples, "of the model");
  require_finite(data, losses.adapted.samples, "with the adapter");
  finding.loss = mean_of(losses.adapted.samples);
  finding.perplexity = exponential(finding.loss);
  finding.base_loss = mean_of(losses.base.samples);
  finding.base_perplexity = exponential(*finding.base_loss);
  finding.change = mean_difference(losses.adapted.samples, losses.base.samples);
  finding.divergence = mean_of(losses.divergence);
  return finding;
}

std::vector<LayerAblation> measure_ablation(const EvalModel& model, const NamedData& data) {
  const std::vector<double> gates = model.adapter.gates();
  ProgressBar bar("layers", static_cast<std::uint64_t>(data.dataset.size()) * gates.size());
  const AblatedLosses losses = ablate_layers(model, data.dataset, shown_by(bar));
  std::vector<LayerAblation> ablation;
  for (std::size_t i = 0; i < gates.size(); ++i) {
    require_finite(data, losses.without[i].samples, "with a gate closed");
    ablation.push_back({.layer = model.adapter.first_layer + static_cast<std::int64_t>(i),
                        .gate = gates[i],
                        .loss_change = mean_difference(losses.without[i].samples, losses.whole.samples)});
  }
  return ablation;
}

}  // namespace

EvalTask prepare_loss_task(const LossTaskOptions& options, const EvalInputs& inputs) {
  const auto read = [&](const std::vector<std::string>& files) {
    return files.empty() ? nullptr : read_data(options.dataset, files, inputs);
  };
  const auto held_out = read(options.dataset.files), general = read(options.general_data);
  NKAT_INVARIANT(held_out || (general && !options.ablate_layers));
  return [held_out, general, ablate = options.ablate_layers](const EvalModel& model, EvalResults& results) {
    if (held_out) results.held_out = measure_loss(model, *held_out, "held-out");
    if (general) results.general = measure_loss(model, *general, "general");
    if (ablate) results.ablation = measure_ablation(model, *held_out);
  };
}

}  // namespace nkat::validation
