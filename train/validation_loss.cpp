#include "train/validation_loss.h"

#include <bit>

#include "core/cli/log.h"
#include "core/error.h"
#include "models/device.h"

namespace nkat::train {
namespace {

constexpr std::int64_t kFewestTokens = 16;

}  // namespace

ValidationLoss::ValidationLoss(const models::Decoder& decoder, const data::Dataset& dataset, ProcessGroup& group,
                               const MemoryMonitor& monitor)
    : decoder_(decoder), dataset_(dataset), group_(group), monitor_(monitor) {}

double ValidationLoss::operator()(const models::Adapter& adapter, const OnMemoryChange& on_memory_change) {
  models::LossReport share;
  bool stop = false;
  try {
    share = loss_of_share(adapter, on_memory_change);
  } catch (const Interrupted&) {  // the other ranks wait for this one's share, and learn of the stop from it
    stop = true;
  }
  double sum = 0.0;
  std::uint64_t targets = 0;
  for (const auto& of_rank :
       group_.all_gather_integers({std::bit_cast<std::uint64_t>(share.sum()),
                                   static_cast<std::uint64_t>(share.target_tokens()), stop ? 1U : 0U})) {
    sum += std::bit_cast<double>(of_rank[0]);
    targets += of_rank[1];
    stop = stop || of_rank[2] != 0;
  }
  if (stop) throw Interrupted("stopped by a signal");
  return sum / static_cast<double>(targets);
}

models::LossReport ValidationLoss::loss_of_share(const models::Adapter& adapter,
                                                 const OnMemoryChange& on_memory_change) {
  const auto matrices = adapter.matrices(decoder_.device());
  for (;;) {
    try {
      return models::evaluate_loss(
          decoder_, matrices, dataset_,
          {.tokens_per_pass = tokens_per_pass_, .first = group_.rank(), .every = group_.size()});
    } catch (const std::exception& error) {
      if (!models::is_out_of_memory(error)) throw;
    }
    monitor_.free_caches();
    if (tokens_per_pass_ <= kFewestTokens) {
      throw DeviceError("validation: out of memory with one sample at a time: " + monitor_.describe() +
                        "; use a smaller --max-sequence-length or a larger --vram-budget-gib");
    }
    tokens_per_pass_ /= 2;
    const std::string event = fmt::format("validating {} tokens at a time", tokens_per_pass_);
    log::warning("memory: " + event);
    on_memory_change(event);
  }
}

}  // namespace nkat::train
