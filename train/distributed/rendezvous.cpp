#include "train/distributed/rendezvous.h"

#include <condition_variable>
#include <functional>
#include <mutex>
#include <random>
#include <sstream>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>

#include "core/error.h"
#include "core/message.h"
#include "core/signals.h"

namespace nkat::train {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPollEvery{50};
constexpr std::chrono::seconds kHeartbeatEvery{1};
// Values of a heartbeat key besides the count.
constexpr const char* kEnded = "ended";
constexpr const char* kLeft = "left";

std::string random_name() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}", device(), device());
}

void set_text(c10d::Store& store, const std::string& key, const std::string& text) {
  store.set(key, std::vector<std::uint8_t>(text.begin(), text.end()));
}

std::vector<std::string> get_texts(c10d::Store& store, const std::vector<std::string>& keys) {
  std::vector<std::string> texts;
  for (const auto& bytes : store.multiGet(keys)) texts.emplace_back(bytes.begin(), bytes.end());
  return texts;
}

// Polls until `done`; calls `each_second` once per second, but not for seconds in which the process was suspended.
void poll(const std::function<bool()>& done, const std::function<void()>& each_second,
          Rendezvous::Phase phase = Rendezvous::Phase::kLoading) {
  auto looked = Clock::now();
  while (!done()) {
    if (phase == Rendezvous::Phase::kLoading) throw_if_stop_requested();
    if (Clock::now() - looked >= kHeartbeatEvery) {
      each_second();
      looked = Clock::now();
    }
    std::this_thread::sleep_for(kPollEvery);
  }
}

}  // namespace

Rendezvous::Rendezvous(const StorePointer& store, int rank, int size, const Timeouts& timeouts)
    : all_launches_(store),
      rank_(rank),
      size_(size),
      timeouts_(timeouts),
      nonce_(random_name()),
      heartbeats_(static_cast<std::size_t>(size)),
      silent_seconds_(static_cast<std::size_t>(size), 0) {
  set_text(*all_launches_, fmt::format("nonce/{}", rank_), nonce_);
  int seconds = 0;
  poll([this] { return rank_ == 0 ? start_as_leader() : start_as_follower(); },
       [&] {
         if (++seconds < timeouts_.start_seconds) return;
         throw DeviceError(
             fmt::format("rank {} of {} did not join within {} s of rank {}'s start; check its log and that it was "
                         "launched with the same WORLD_SIZE, MASTER_ADDR and MASTER_PORT",
                         fmt::join(missing(), ", "), size_, seconds, rank_));
       });
  start_heartbeat();
}

Rendezvous::~Rendezvous() {
  heartbeat_ = {};
  if (left_) return;
  try {
    post(fmt::format("heartbeat/{}", rank_), kEnded);
  } catch (const std::exception&) {  // without the store, the other ranks meet an error of their own
  }
}

std::vector<std::string> Rendezvous::keys(const std::string& name) const {
  std::vector<std::string> keys;
  for (int rank = 0; rank < size_; ++rank) keys.push_back(fmt::format("{}/{}", name, rank));
  return keys;
}

void Rendezvous::post(const std::string& key, const std::string& text) const { set_text(*store_, key, text); }

void Rendezvous::join(const std::string& launch) {
  launch_ = launch;
  store_ = c10::make_intrusive<c10d::PrefixStore>(launch_, all_launches_);
  post(fmt::format("heartbeat/{}", rank_), "0");
  post(fmt::format("joined/{}", rank_), "");
}

bool Rendezvous::start_as_leader() {
  const auto nonce_keys = keys("nonce");
  if (!all_launches_->check(nonce_keys)) return false;
  const auto nonces = get_texts(*all_launches_, nonce_keys);
  if (nonces != published_) {
    published_ = nonces;
    join(random_name());
    set_text(*all_launches_, "members", fmt::format("{} {}", launch_, fmt::join(nonces, " ")));
  }
  if (!store_->check(keys("joined"))) return false;
  post("begun", "");
  return true;
}

bool Rendezvous::start_as_follower() {
  if (!all_launches_->check({"members"})) return false;
  std::istringstream members(get_texts(*all_launches_, {"members"}).front());
  std::string launch;
  members >> launch;
  const std::vector<std::string> nonces{std::istream_iterator<std::string>(members), {}};
  const bool is_member = rank_ < std::ssize(nonces) && nonces[static_cast<std::size_t>(rank_)] == nonce_;
  if (!is_member) return false;  // members of an earlier launch
  if (std::ssize(nonces) != size_) {
    throw ConfigError("WORLD_SIZE: " + expected(fmt::format("{} on rank {}, as on rank 0", nonces.size(), rank_),
                                                std::to_string(size_), "start all ranks with the same"));
  }
  if (launch != launch_) join(launch);
  return store_->check({"begun"});
}

std::vector<int> Rendezvous::missing() const {
  std::vector<int> ranks;
  for (int rank = 0; rank < size_; ++rank) {
    const bool there = launch_.empty() ? all_launches_->check({fmt::format("nonce/{}", rank)})
                                       : store_->check({fmt::format("joined/{}", rank)});
    if (!there) ranks.push_back(rank);
  }
  return ranks.empty() ? std::vector<int>{0} : ranks;  // all others are there, so it is the leader that does nothing
}

void Rendezvous::start_heartbeat() {
  heartbeat_ = std::jthread([this](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    for (std::uint64_t count = 1; !wake.wait_for(lock, stop, kHeartbeatEvery, [&] { return stop.stop_requested(); });
         ++count) {
      try {
        post(fmt::format("heartbeat/{}", rank_), std::to_string(count));
      } catch (const std::exception&) {  // the next wait meets the same error
        return;
      }
    }
  });
}

void Rendezvous::check_heartbeats(Phase phase) {
  const auto seen = get_texts(*store_, keys("heartbeat"));
  for (std::size_t rank = 0; rank < seen.size(); ++rank) {
    if (seen[rank] == kLeft || std::cmp_equal(rank, rank_)) continue;
    if (seen[rank] == kEnded) {
      throw DeviceError(fmt::format("rank {} of {} has ended{}; its own message says why", rank, size_,
                                    phase == Phase::kLoading ? " before the training began" : ""));
    }
    silent_seconds_[rank] = seen[rank] == heartbeats_[rank] ? silent_seconds_[rank] + 1 : 0;
    if (silent_seconds_[rank] >= timeouts_.silent_seconds) {
      throw DeviceError(fmt::format(
          "rank {} of {} has sent no heartbeat for {} s: it was killed, or its machine or network is down. Check its "
          "log and its machine; the same command starts again",
          rank, size_, silent_seconds_[rank]));
    }
  }
  heartbeats_ = seen;
}

std::vector<std::string> Rendezvous::wait_for(const std::vector<std::string>& wanted, Phase phase) {
  std::fill(silent_seconds_.begin(), silent_seconds_.end(), 0);
  poll([&] { return store_->check(wanted); }, [&] { check_heartbeats(phase); }, phase);
  return get_texts(*store_, wanted);
}

void Rendezvous::leave() {
  heartbeat_ = {};
  left_ = true;
  post(fmt::format("heartbeat/{}", rank_), kLeft);
}

}  // namespace nkat::train
