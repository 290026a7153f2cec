// The keys and values of one sequence, so that one more token costs one row instead of the whole sequence. Takes 2 *
// layers * kv heads * head_dim * element size bytes per position; grows by doubling, or at once to what was reserved.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "layers/rope.h"

namespace nkat::models {

class KvCache {
 public:
  KvCache(std::int64_t num_layers, const layers::HeadShape& heads, const at::TensorOptions& options);

  std::int64_t length() const { return length_; }
  // Takes effect when the first position is written.
  void reserve(std::int64_t length) { reserved_ = length; }
  // Keeps the first `length` positions.
  void truncate(std::int64_t length);
  // Frees all memory.
  void clear();
  // Writes the keys and values of qkv (n, (heads + 2 kv heads) head_dim), rotated, at positions length() ..
  // length()+n-1 of one layer. advance(n) makes them part of the cache once all layers are written.
  void write(std::int64_t layer, const at::Tensor& qkv);
  void advance(std::int64_t count);
  at::Tensor keys(std::int64_t layer, std::int64_t length) const;    // (length, kv heads, head_dim)
  at::Tensor values(std::int64_t layer, std::int64_t length) const;  // (length, kv heads, head_dim)

 private:
  at::Tensor with_room(const at::Tensor& store, std::int64_t needed) const;

  layers::HeadShape heads_;
  std::int64_t length_ = 0;
  std::int64_t reserved_ = 0;
  std::vector<at::Tensor> stores_;  // per layer (2, capacity, kv heads, head_dim)
};

}  // namespace nkat::models
