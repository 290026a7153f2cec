// ProcessGroup as threads of the test, over a key-value store of the test's own, as torchrun keeps one.
#pragma once

#include <functional>
#include <thread>

#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "train/distributed/process_group.h"

namespace nkat::train {

class KeyStore {
 public:
  KeyStore() {
    c10d::TCPStoreOptions options;
    options.port = 0;  // any that is free
    options.isServer = true;
    options.waitWorkers = false;
    server_ = c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options);
  }
  std::uint16_t port() const { return server_->getPort(); }
  // A connection of its own for each rank.
  c10::intrusive_ptr<c10d::Store> connect() const {
    c10d::TCPStoreOptions options;
    options.port = port();
    options.waitWorkers = false;
    return c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options);
  }

 private:
  c10::intrusive_ptr<c10d::TCPStore> server_;
};

// Runs work(ranks) on `size` ranks, each with a process group of its own, over Gloo.
inline void on_ranks(int size, const std::function<void(ProcessGroup&)>& work) {
  const KeyStore store;
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([=, &store, &work] {
      ProcessGroup ranks({.rank = rank,
                          .size = size,
                          .local_rank = rank,
                          .local_size = size,
                          .address = "127.0.0.1",
                          .port = store.port(),
                          .store_is_there = true},
                         std::chrono::seconds(30));
      ranks.open(at::kCPU);
      work(ranks);
      ranks.shutdown();
    });
  }
}

}  // namespace nkat::train
