// The roll of a start: which processes are the ranks this time, and whether each still lives.
// When to use: train/ranks only, for what is said through the store and not through the process group.
//
// Promise: all ranks that go on have the same start, which no earlier process of theirs was part of, so the keys of
// store() are new. Nothing that a launcher exports says so: torchrun keeps one store for all its starts (torch 2.11,
// elastic/rendezvous/dynamic_rendezvous.py: the shared store of a handler is made once), and each machine's agent
// counts TORCHELASTIC_RESTART_COUNT for itself (elastic/agent/server/api.py: only failures of its own workers count,
// and an agent that joins anew counts from 0). So rank 0 calls the roll: it reads a random word of each rank, publishes
// all of them with a word for the start, and begins when each rank that finds its own word there has answered. A word
// left by a process that is dead gets no answer, and the roll is called anew when its successor has written another.
// Errors: DeviceError that names the ranks that did not come, have ended, or gave no sign of life for as long as
// Timeouts says. Each rank gives one a second, from a thread of its own; a machine that sleeps or a process that is
// held counts no time against the others. Waits end when a stop is asked for, except inside a call to a store whose
// machine has vanished: c10d's calls have no time limit of their own.
#pragma once

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <torch/csrc/distributed/c10d/Store.hpp>

namespace nkat::train {

using StorePointer = c10::intrusive_ptr<c10d::Store>;

class Rendezvous {
 public:
  struct Timeouts {
    int start_seconds = 60;   // for all ranks to come
    int silent_seconds = 30;  // without a sign of life, once they have come
  };

  // Returns when all `size` ranks have come.
  Rendezvous(const StorePointer& store, int rank, int size, const Timeouts& patience);
  Rendezvous(const Rendezvous&) = delete;
  Rendezvous& operator=(const Rendezvous&) = delete;
  // Tells the others that this rank has ended, unless it has left.
  ~Rendezvous();

  const StorePointer& store() const { return store_; }
  void post(const std::string& key, const std::string& text) const;
  // One a rank: "name/rank".
  std::vector<std::string> keys(const std::string& name) const;
  // The texts under these keys, as soon as all are there.
  std::vector<std::string> wait_for(const std::vector<std::string>& keys);
  // The others need not look after this rank any more, nor it after them.
  void leave();

 private:
  bool start_as_leader();
  bool start_as_follower();
  std::vector<int> missing() const;
  void come();
  void check_heartbeats();
  void start_heartbeat();

  StorePointer all_starts_;
  StorePointer store_;  // of this start
  int rank_;
  int size_;
  Timeouts patience_;
  std::string word_;                 // of this process
  std::string start_;                // the word of the start; empty: not called yet
  std::vector<std::string> called_;  // rank 0: the words that it has published
  std::vector<std::string> beats_;   // as last seen
  std::vector<int> silent_looks_;
  bool left_ = false;
  std::jthread beating_;
};

}  // namespace nkat::train
