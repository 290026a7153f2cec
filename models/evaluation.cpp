#include "models/evaluation.h"

#include "core/signals.h"
#include "layers/cross_entropy.h"

namespace nkat::models {
namespace {

// The samples from `begin` on that fit one pass; at least one.
std::vector<std::int64_t> next_pass(const data::Dataset& dataset, std::int64_t begin,
                                    const EvaluationOptions& options) {
  std::vector<std::int64_t> samples;
  std::int64_t tokens = 0;
  for (std::int64_t i = begin; i < dataset.size(); i += options.every) {
    tokens += dataset.sample(i).length();
    if (!samples.empty() && tokens > options.tokens_per_pass) break;
    samples.push_back(i);
  }
  return samples;
}

}  // namespace

std::int64_t LossReport::target_tokens() const {
  std::int64_t count = 0;
  for (const SampleLoss& sample : samples) count += sample.targets;
  return count;
}

double LossReport::sum() const {
  double sum = 0.0;
  for (const SampleLoss& sample : samples) sum += sample.sum;
  return sum;
}

double LossReport::mean() const { return sum() / static_cast<double>(target_tokens()); }

void for_each_pass(const data::Dataset& dataset, at::Device device, const EvaluationOptions& options,
                   const std::function<void(const PackedBatch&)>& visit) {
  for (std::int64_t begin = options.first; begin < dataset.size();) {
    throw_if_stop_requested();
    const std::vector<std::int64_t> samples = next_pass(dataset, begin, options);
    begin = samples.back() + options.every;
    visit(pack_samples(dataset, samples).to(device));
    if (options.progress) options.progress(std::min(begin, dataset.size()), dataset.size());
  }
}

void append_sample_sums(const PackedBatch& packed, const at::Tensor& values, std::vector<SampleLoss>& samples) {
  const at::Tensor on_host = values.to(at::kCPU, at::kDouble).contiguous();
  const double* value = on_host.const_data_ptr<double>();
  const at::Tensor rows = packed.target_rows.cpu();
  const std::int64_t* row = rows.const_data_ptr<std::int64_t>();
  const std::int64_t* last_row = row + rows.numel();
  std::int64_t end = 0;
  for (const std::int64_t length : packed.lengths) {
    end += length;
    SampleLoss sample;
    for (; row != last_row && *row < end; ++row, ++sample.targets) sample.sum += *value++;
    samples.push_back(sample);
  }
}

void append_losses(const Decoder& decoder, const PackedBatch& packed, const at::Tensor& hidden, LossReport& report) {
  const at::Tensor rows = hidden.index_select(0, packed.target_rows);  // (R, H)
  append_sample_sums(packed, layers::cross_entropy(rows, packed.targets, decoder.head_weight(), {}).losses,
                     report.samples);
}

LossReport evaluate_loss(const Decoder& decoder, const std::vector<at::Tensor>& adapter, const data::Dataset& dataset,
                         const EvaluationOptions& options) {
  const at::NoGradGuard no_grad;
  LossReport report;
  for_each_pass(dataset, decoder.device(), options, [&](const PackedBatch& packed) {
    append_losses(decoder, packed, decoder.hidden(packed, adapter), report);
  });
  return report;
}

}  // namespace nkat::models
