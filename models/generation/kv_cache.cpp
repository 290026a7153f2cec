#include "models/generation/kv_cache.h"

#include <algorithm>

#include "core/error.h"

namespace nkat::models {
namespace {

constexpr std::int64_t kFirstCapacity = 64;

}  // namespace

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

void KvCache::clear() {
  length_ = 0;
  reserved_ = 0;
  for (at::Tensor& store : stores_) {
    store = at::empty({2, 0, heads_.num_key_value_heads, heads_.head_dim}, store.options());
  }
}

at::Tensor KvCache::with_room(const at::Tensor& store, std::int64_t needed) const {
  if (store.size(1) >= needed) return store;
  const std::int64_t capacity = reserved_ >= needed ? reserved_ : std::max({kFirstCapacity, needed, 2 * store.size(1)});
  at::Tensor larger = at::empty({2, capacity, heads_.num_key_value_heads, heads_.head_dim}, store.options());
  larger.narrow(1, 0, length_).copy_(store.narrow(1, 0, length_));
  return larger;
}

void KvCache::write(std::int64_t layer, const at::Tensor& qkv) {
  const std::int64_t count = qkv.size(0), width = heads_.num_key_value_heads * heads_.head_dim;
  at::Tensor& store = stores_[static_cast<std::size_t>(layer)];
  store = with_room(store, length_ + count);
  const at::Tensor rows = qkv.narrow(1, heads_.num_heads * heads_.head_dim, 2 * width);
  const at::Tensor by_part = rows.unflatten(1, {2, heads_.num_key_value_heads, heads_.head_dim}).transpose(0, 1);
  store.narrow(1, length_, count).copy_(by_part);  // (2, n, kv heads, head_dim)
}

void KvCache::advance(std::int64_t count) { length_ += count; }

at::Tensor KvCache::keys(std::int64_t layer, std::int64_t length) const {
  return stores_[static_cast<std::size_t>(layer)][0].narrow(0, 0, length);
}

at::Tensor KvCache::values(std::int64_t layer, std::int64_t length) const {
  return stores_[static_cast<std::size_t>(layer)][1].narrow(0, 0, length);
}

}  // namespace nkat::models
