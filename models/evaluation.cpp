#include "models/evaluation.h"

#include "core/error.h"
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

// Sequences laid end to end, and the rows whose next token is scored.
struct Pass {
  std::vector<std::int64_t> tokens = {};
  std::vector<std::int64_t> lengths = {};
  std::vector<std::int64_t> rows = {};
  std::vector<std::int64_t> targets = {};
  std::vector<std::int64_t> scored = {};  // of each sequence

  void add(const ScoredSequence& sequence) {
    const auto begin = static_cast<std::int64_t>(tokens.size());
    const auto length = static_cast<std::int64_t>(sequence.tokens.size());
    NKAT_INVARIANT(sequence.first >= 1 && sequence.first < length);
    tokens.insert(tokens.end(), sequence.tokens.begin(), sequence.tokens.end());
    lengths.push_back(length);
    for (std::int64_t i = sequence.first; i < length; ++i) {
      rows.push_back(begin + i - 1);
      targets.push_back(sequence.tokens[static_cast<std::size_t>(i)]);
    }
    scored.push_back(length - sequence.first);
  }
};

void append_scores(const Decoder& decoder, const std::vector<at::Tensor>& adapter, const Pass& pass,
                   std::vector<double>& scores) {
  const auto on_device = [&](const std::vector<std::int64_t>& values) {
    return at::tensor(values, at::kLong).to(decoder.device());
  };
  const at::Tensor hidden = decoder.hidden({on_device(pass.tokens), pass.lengths}, adapter);  // (T, H)
  const at::Tensor rows = hidden.index_select(0, on_device(pass.rows));                       // (R, H)
  const at::Tensor losses = layers::cross_entropy(rows, on_device(pass.targets), decoder.head_weight(), {})
                                .losses.to(at::kCPU, at::kDouble)
                                .contiguous();
  const double* loss = losses.const_data_ptr<double>();
  for (const std::int64_t count : pass.scored) {
    double sum = 0.0;
    for (std::int64_t i = 0; i < count; ++i) sum -= *loss++;
    scores.push_back(sum);
  }
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

std::vector<double> log_probabilities(const Decoder& decoder, const std::vector<at::Tensor>& adapter,
                                      const std::vector<ScoredSequence>& sequences, const ScoringOptions& options) {
  const at::NoGradGuard no_grad;
  std::vector<double> scores;
  while (scores.size() < sequences.size()) {
    throw_if_stop_requested();
    Pass pass;
    for (std::size_t i = scores.size(); i < sequences.size(); ++i) {
      const std::size_t together = pass.tokens.size() + sequences[i].tokens.size();
      if (!pass.tokens.empty() && together > static_cast<std::size_t>(options.tokens_per_pass)) break;
      pass.add(sequences[i]);
    }
    append_scores(decoder, adapter, pass, scores);
    if (options.progress) {
      options.progress(static_cast<std::int64_t>(scores.size()), static_cast<std::int64_t>(sequences.size()));
    }
  }
  return scores;
}

}  // namespace nkat::models
