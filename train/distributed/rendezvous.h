// Rendezvous and heartbeats of one launch: which processes are its ranks, and whether each is still alive. Used by
// ProcessGroup alone.
//
// Why not torchrun's own: it keeps one key-value store for all its launches, and no variable that it sets tells one
// launch from the next (each machine's agent counts TORCHELASTIC_RESTART_COUNT for itself), so the store may still hold
// keys of processes that are dead.
//
// How a launch begins:
//   1. Each rank writes a random nonce under nonce/RANK.
//   2. Rank 0, the leader, reads all nonces and publishes them under `members`, with a random name for the launch.
//   3. A rank that finds its own nonce there joins: from now on it uses keys below the launch's name, which are new.
//   4. When all ranks have joined, the leader writes `begun`. A dead process never joins; as soon as its successor has
//      written another nonce, the leader publishes the members anew, under a new name.
//
// Each rank then sends a heartbeat per second from a thread. Seconds in which a process itself is suspended don't count
// against the others.
//
// Errors: DeviceError names the ranks that did not join, have ended, or sent no heartbeat for as long as Timeouts says;
// ConfigError when WORLD_SIZE differs. Interrupted when a stop is requested while the ranks load, except inside a call to a
// store whose machine has vanished: c10d's calls have no time limit of their own.
#pragma once

#include <string>
#include <thread>
#include <vector>

#include <torch/csrc/distributed/c10d/Store.hpp>

namespace nkat::train {

using StorePointer = c10::intrusive_ptr<c10d::Store>;

class Rendezvous {
 public:
  struct Timeouts {
    int start_seconds = 60;   // for all ranks to join
    int silent_seconds = 30;  // without a heartbeat, once they have joined
  };

  // Returns when all `size` ranks have joined.
  Rendezvous(const StorePointer& store, int rank, int size, const Timeouts& timeouts);
  Rendezvous(const Rendezvous&) = delete;
  Rendezvous& operator=(const Rendezvous&) = delete;
  // Tells the others that this rank has ended, unless it has left.
  ~Rendezvous();

  // The keys of this launch.
  const StorePointer& store() const { return store_; }
  void post(const std::string& key, const std::string& text) const;
  // "name/rank" for each rank.
  std::vector<std::string> keys(const std::string& name) const;
  // While the ranks train, a stop request waits for the next step, where all of them learn of it.
  enum class Phase { kLoading, kTraining };
  // The strings under these keys, as soon as all are there.
  std::vector<std::string> wait_for(const std::vector<std::string>& keys, Phase phase = Phase::kLoading);
  // Ends this rank's heartbeat; the others don't expect it any more.
  void leave();

 private:
  bool start_as_leader();
  bool start_as_follower();
  void join(const std::string& launch);
  std::vector<int> missing() const;
  void check_heartbeats(Phase phase);
  void start_heartbeat();

  StorePointer all_launches_;
  StorePointer store_;
  int rank_;
  int size_;
  Timeouts timeouts_;
  std::string nonce_;
  std::string launch_;                   // empty: not joined yet
  std::vector<std::string> published_;   // rank 0: the nonces under `members`
  std::vector<std::string> heartbeats_;  // as last seen
  std::vector<int> silent_seconds_;
  bool left_ = false;
  std::jthread heartbeat_;
};

}  // namespace nkat::train
