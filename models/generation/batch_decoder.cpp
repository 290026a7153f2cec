#include "models/generation/batch_decoder.h"

#include <algorithm>

#include "core/error.h"
#include "core/signals.h"

namespace nkat::models {
namespace {

at::Tensor joined(const std::vector<at::Tensor>& parts) { return parts.size() == 1 ? parts[0] : at::cat(parts); }

}  // namespace

BatchDecoder::BatchDecoder(const Decoder& decoder, std::vector<at::Tensor> adapter, const BatchDecoderOptions& options)
    : decoder_(decoder), adapter_(std::move(adapter)), rows_per_pass_(options.rows_per_pass) {
  adapter_.resize(static_cast<std::size_t>(decoder.num_layers()));
  const KvCache empty(decoder.num_layers(), decoder.heads(),
                      at::TensorOptions(decoder.device()).dtype(decoder.dtype()));
  slots_.assign(static_cast<std::size_t>(options.slots), Slot{.cache = empty, .tokens = {}});
}

void BatchDecoder::reserve(std::int64_t index, std::int64_t length) { slot(index).cache.reserve(length); }

void BatchDecoder::release(std::int64_t index) {
  slot(index).cache.clear();
  slot(index).tokens.clear();
}

std::int64_t BatchDecoder::reusable(const Slot& slot, std::span<const std::int32_t> tokens) const {
  const auto length = static_cast<std::int64_t>(tokens.size());
  if (slot.is_long != decoder_.rope().is_long(length)) return 0;
  const auto mine = std::mismatch(slot.tokens.begin(), slot.tokens.end(), tokens.begin(), tokens.end()).first;
  return std::min<std::int64_t>(mine - slot.tokens.begin(), length - 1);  // the last row is what is asked for
}

at::Tensor BatchDecoder::next_logits(const std::vector<Request>& requests) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> logits;
  std::vector<Part> pass;
  std::int64_t rows = 0;
  for (const Request& request : requests) {
    NKAT_INVARIANT(!request.tokens.empty());
    const Part part{.request = request, .first = reusable(slot(request.slot), request.tokens)};
    if (!pass.empty() && rows + part.rows() > rows_per_pass_) {
      logits.push_back(forward(pass));
      pass.clear();
      rows = 0;
    }
    pass.push_back(part);
    rows += part.rows();
  }
  NKAT_INVARIANT(!pass.empty());
  logits.push_back(forward(pass));
  return joined(logits);
}

layers::RopeAngles BatchDecoder::angles(const std::vector<Part>& parts) const {
  std::vector<at::Tensor> cos, sin;
  for (const Part& part : parts) {
    const layers::RopeAngles angles = decoder_.rope().angles(part.first, part.length());
    cos.push_back(angles.cos);
    sin.push_back(angles.sin);
  }
  return {.cos = joined(cos), .sin = joined(sin)};
}

at::Tensor BatchDecoder::embed(const std::vector<Part>& parts) const {
  std::vector<std::int64_t> rows;
  for (const Part& part : parts) {
    rows.insert(rows.end(), part.request.tokens.begin() + part.first, part.request.tokens.end());
  }
  return decoder_.embed(at::tensor(rows, at::kLong).to(decoder_.device()));
}

// qkv (T, (heads + 2 kv heads) head_dim) of all parts -> (T, heads head_dim)
at::Tensor BatchDecoder::attend(std::int64_t layer, const at::Tensor& qkv, const std::vector<Part>& parts) {
  std::vector<at::Tensor> attended;
  std::int64_t begin = 0;
  for (const Part& part : parts) {
    const at::Tensor rows = qkv.narrow(0, begin, part.rows());
    begin += part.rows();
    KvCache& cache = slot(part.request.slot).cache;
    cache.write(layer, rows);
    attended.push_back(layers::cached_attention(rows, cache.keys(layer, part.length()),
                                                cache.values(layer, part.length()), decoder_.heads(),
                                                decoder_.config().sliding_window));
  }
  return joined(attended);
}

at::Tensor BatchDecoder::forward(const std::vector<Part>& parts) {
  std::vector<std::int64_t> last_rows;
  std::int64_t end = 0;
  for (const Part& part : parts) {
    Slot& held = slot(part.request.slot);
    held.cache.truncate(part.first);
    held.tokens.resize(static_cast<std::size_t>(part.first));
    held.is_long = decoder_.rope().is_long(part.length());
    last_rows.push_back((end += part.rows()) - 1);
  }
  const layers::RopeAngles turned = angles(parts);
  at::Tensor x = embed(parts);  // (T, H)
  for (std::int64_t i = 0; i < decoder_.num_layers(); ++i) {
    throw_if_stop_requested();
    const at::Tensor qkv = decoder_.rotated_qkv(i, x, turned);
    x = decoder_.finish_layer(i, x, attend(i, qkv, parts), adapter_[static_cast<std::size_t>(i)]);
  }
  for (const Part& part : parts) {
    slot(part.request.slot).cache.advance(part.rows());
    slot(part.request.slot).tokens.assign(part.request.tokens.begin(), part.request.tokens.end());
  }
  const at::Tensor rows = at::tensor(last_rows, at::kLong).to(decoder_.device());
  return decoder_.logits(decoder_.final_norm(x.index_select(0, rows)));
}

}  // namespace nkat::models
