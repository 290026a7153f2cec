#include "models/kv_cache.h"

#include <algorithm>

#include "core/error.h"
#include "core/signals.h"

namespace nkat::models {

namespace {
constexpr std::int64_t kFirstCapacity = 64;
}

KvCache::KvCache(std::int64_t num_layers, const layers::HeadShape& heads, const at::TensorOptions& options)
    : heads_(heads) {
  for (std::int64_t i = 0; i < num_layers; ++i) {
    stores_.push_back(at::empty({2, 0, heads.num_key_value_heads, heads.head_dim}, options));
  }
}

void KvCache::truncate(std::int64_t length) {
  NKAT_INVARIANT(length <= length_);
  length_ = length;
}

at::Tensor KvCache::with_room(const at::Tensor& store, std::int64_t needed) const {
  if (store.size(1) >= needed) return store;
  const std::int64_t capacity = std::max({kFirstCapacity, needed, 2 * store.size(1)});
  at::Tensor larger = at::empty({2, capacity, heads_.num_key_value_heads, heads_.head_dim}, store.options());
  larger.narrow(1, 0, length_).copy_(store.narrow(1, 0, length_));
  return larger;
}

void KvCache::write(std::int64_t layer, const at::Tensor& qkv) {
  const std::int64_t count = qkv.size(0), width = heads_.num_key_value_heads * heads_.head_dim;
  at::Tensor& store = stores_[static_cast<std::size_t>(layer)];
  store = with_room(store, length_ + count);
  for (std::int64_t part = 0; part < 2; ++part) {
    const at::Tensor rows = qkv.narrow(1, heads_.num_heads * heads_.head_dim + part * width, width);
    store[part].narrow(0, length_, count).copy_(rows.view({count, heads_.num_key_value_heads, heads_.head_dim}));
  }
}

void KvCache::advance(std::int64_t count) { length_ += count; }

at::Tensor KvCache::keys(std::int64_t layer, std::int64_t length) const {
  return stores_[static_cast<std::size_t>(layer)][0].narrow(0, 0, length);
}

at::Tensor KvCache::values(std::int64_t layer, std::int64_t length) const {
  return stores_[static_cast<std::size_t>(layer)][1].narrow(0, 0, length);
}

CachedSequence::CachedSequence(const Decoder& decoder, std::vector<at::Tensor> blocks)
    : decoder_(decoder),
      blocks_(std::move(blocks)),
      cache_(decoder.num_layers(), decoder.heads(), at::TensorOptions(decoder.device()).dtype(decoder.dtype())) {
  blocks_.resize(static_cast<std::size_t>(decoder.num_layers()));
}

std::int64_t CachedSequence::reusable(const std::vector<std::int32_t>& tokens) const {
  const auto length = [](const std::vector<std::int32_t>& list) { return static_cast<std::int64_t>(list.size()); };
  if (decoder_.rope().is_long(length(tokens_)) != decoder_.rope().is_long(length(tokens))) return 0;
  const auto [mine, theirs] = std::mismatch(tokens_.begin(), tokens_.end(), tokens.begin(), tokens.end());
  return std::min<std::int64_t>(mine - tokens_.begin(), length(tokens) - 1);  // the last row is what is asked for
}

at::Tensor CachedSequence::next_logits(const std::vector<std::int32_t>& tokens) {
  NKAT_INVARIANT(!tokens.empty());
  const at::NoGradGuard no_grad;
  const std::int64_t first = reusable(tokens);
  cache_.truncate(first);
  tokens_.resize(static_cast<std::size_t>(first));
  const at::Tensor logits = forward(tokens, first);
  tokens_ = tokens;
  return logits;
}

at::Tensor CachedSequence::forward(const std::vector<std::int32_t>& tokens, std::int64_t first) {
  const auto length = static_cast<std::int64_t>(tokens.size());
  const std::vector<std::int64_t> rows(tokens.begin() + first, tokens.end());
  const layers::RopeAngles angles = decoder_.rope().angles(first, length);
  at::Tensor x = decoder_.embed(at::tensor(rows, at::kLong).to(decoder_.device()));  // (n, H)
  for (std::int64_t i = 0; i < decoder_.num_layers(); ++i) {
    throw_if_stop_requested();
    const at::Tensor qkv = decoder_.rotated_qkv(i, x, angles);
    cache_.write(i, qkv);
    const at::Tensor attended = layers::cached_attention(qkv, cache_.keys(i, length), cache_.values(i, length),
                                                         decoder_.heads(), decoder_.config().sliding_window);
    x = decoder_.finish_layer(i, x, attended, blocks_[static_cast<std::size_t>(i)]);
  }
  cache_.advance(length - first);
  return decoder_.logits(decoder_.final_norm(x.narrow(0, x.size(0) - 1, 1))).squeeze(0);
}

}  // namespace nkat::models
