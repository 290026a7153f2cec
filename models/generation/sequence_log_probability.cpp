#include "models/generation/sequence_log_probability.h"

#include "core/error.h"
#include "core/signals.h"
#include "layers/cross_entropy.h"

namespace nkat::models {
namespace {

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
