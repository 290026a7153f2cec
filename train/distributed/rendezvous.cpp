#include "train/distributed/rendezvous.h"

#include <condition_variable>
#include <mutex>
#include <random>
#include <sstream>

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>

#include "core/error.h"
#include "core/signals.h"

namespace nkat::train {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPollEvery{50};
constexpr std::chrono::seconds kLookEvery{1};
constexpr const char* kEnded = "ended";
constexpr const char* kLeft = "left";

std::string random_word() {
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

// Polls until `done`, with `each_second` in between; a process that is held in the meantime makes up for no second.
void poll(const std::function<bool()>& done, const std::function<void()>& each_second) {
  auto looked = Clock::now();
  while (!done()) {
    throw_if_stop_requested();
    if (Clock::now() - looked >= kLookEvery) {
      each_second();
      looked = Clock::now();
    }
    std::this_thread::sleep_for(kPollEvery);
  }
}

}  // namespace

Rendezvous::Rendezvous(const StorePointer& store, int rank, int size, const Timeouts& patience)
    : all_starts_(store),
      rank_(rank),
      size_(size),
      patience_(patience),
      word_(random_word()),
      beats_(static_cast<std::size_t>(size)),
      silent_looks_(static_cast<std::size_t>(size), 0) {
  set_text(*all_starts_, fmt::format("word/{}", rank_), word_);
  int seconds = 0;
  poll([this] { return rank_ == 0 ? start_as_leader() : start_as_follower(); },
       [&] {
         if (++seconds < patience_.start_seconds) return;
         throw DeviceError(
             fmt::format("rank {} of {}: not there {} s after rank {} was started. See what it says itself, whether "
                         "its machine has started it, and with the same WORLD_SIZE, MASTER_ADDR and MASTER_PORT",
                         fmt::join(missing(), ", "), size_, seconds, rank_));
       });
  start_heartbeat();
}

Rendezvous::~Rendezvous() {
  beating_ = {};
  if (left_) return;
  try {
    post(fmt::format("beat/{}", rank_), kEnded);
  } catch (const std::exception&) {  // the store has gone first, and all have met that
  }
}

std::vector<std::string> Rendezvous::keys(const std::string& name) const {
  std::vector<std::string> keys;
  for (int rank = 0; rank < size_; ++rank) keys.push_back(fmt::format("{}/{}", name, rank));
  return keys;
}

void Rendezvous::post(const std::string& key, const std::string& text) const { set_text(*store_, key, text); }

// Takes the start's store and is heard there from now on.
void Rendezvous::come() {
  store_ = c10::make_intrusive<c10d::PrefixStore>(start_, all_starts_);
  post(fmt::format("beat/{}", rank_), "0");
  post(fmt::format("answer/{}", rank_), "");
}

bool Rendezvous::start_as_leader() {
  const auto word_keys = keys("word");
  if (!all_starts_->check(word_keys)) return false;
  const auto words = get_texts(*all_starts_, word_keys);
  if (words != called_) {
    called_ = words;
    start_ = random_word();
    come();
    set_text(*all_starts_, "roll", fmt::format("{} {}", start_, fmt::join(words, " ")));
  }
  if (!store_->check(keys("answer"))) return false;
  post("begun", "");
  return true;
}

bool Rendezvous::start_as_follower() {
  if (!all_starts_->check({"roll"})) return false;
  std::istringstream roll(get_texts(*all_starts_, {"roll"}).front());
  std::string start;
  roll >> start;
  const std::vector<std::string> words{std::istream_iterator<std::string>(roll), {}};
  if (std::ssize(words) <= rank_ || words[static_cast<std::size_t>(rank_)] != word_)
    return false;  // an earlier start's
  if (std::ssize(words) != size_) {
    throw ConfigError(fmt::format("WORLD_SIZE: {} on rank {} and {} on rank 0; start all ranks with the same", size_,
                                  rank_, words.size()));
  }
  if (start != start_) {
    start_ = start;
    come();
  }
  return store_->check({"begun"});
}

std::vector<int> Rendezvous::missing() const {
  std::vector<int> ranks;
  for (int rank = 0; rank < size_; ++rank) {
    const bool came = start_.empty() ? all_starts_->check({fmt::format("word/{}", rank)})
                                     : store_->check({fmt::format("answer/{}", rank)});
    if (!came) ranks.push_back(rank);
  }
  return ranks.empty() ? std::vector<int>{0} : ranks;  // all others have come: it calls no roll
}

void Rendezvous::start_heartbeat() {
  beating_ = std::jthread([this](const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    for (std::uint64_t beat = 1; !wake.wait_for(lock, stop, kLookEvery, [&] { return stop.stop_requested(); });
         ++beat) {
      try {
        post(fmt::format("beat/{}", rank_), std::to_string(beat));
      } catch (const std::exception&) {  // whoever waits meets the same error
        return;
      }
    }
  });
}

void Rendezvous::check_heartbeats() {
  const auto beats = get_texts(*store_, keys("beat"));
  for (std::size_t rank = 0; rank < beats.size(); ++rank) {
    if (beats[rank] == kLeft || std::cmp_equal(rank, rank_)) continue;
    if (beats[rank] == kEnded) {
      throw DeviceError(
          fmt::format("rank {} of {} has ended before the training began; its own message says why", rank, size_));
    }
    silent_looks_[rank] = beats[rank] == beats_[rank] ? silent_looks_[rank] + 1 : 0;
    if (silent_looks_[rank] >= patience_.silent_seconds) {
      throw DeviceError(fmt::format(
          "rank {} of {} has given no sign of life for {} s: killed, or its machine or network is down. See "
          "its own messages and its machine's; the same command starts again",
          rank, size_, silent_looks_[rank]));
    }
  }
  beats_ = beats;
}

std::vector<std::string> Rendezvous::wait_for(const std::vector<std::string>& wanted) {
  std::fill(silent_looks_.begin(), silent_looks_.end(), 0);
  poll([&] { return store_->check(wanted); }, [this] { check_heartbeats(); });
  return get_texts(*store_, wanted);
}

void Rendezvous::leave() {
  beating_ = {};
  left_ = true;
  post(fmt::format("beat/{}", rank_), kLeft);
}

}  // namespace nkat::train
