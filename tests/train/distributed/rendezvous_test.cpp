#include "train/distributed/rendezvous.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/support/message_of.h"
#include "tests/train/distributed/rank_threads.h"

namespace nkat::train {
namespace {

using nkat::testing::message_of;

void wait_until(const std::function<bool()>& there) {
  while (!there()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

void set(const StorePointer& store, const std::string& key, const std::string& text) {
  store->set(key, std::vector<std::uint8_t>(text.begin(), text.end()));
}

TEST(Rendezvous, GivesEachLaunchKeysOfItsOwn) {
  const KeyStore store;
  for (int launch = 0; launch < 3; ++launch) {
    std::vector<std::jthread> ranks;
    for (int rank = 0; rank < 3; ++rank) {
      ranks.emplace_back([&, rank] {
        Rendezvous rendezvous(store.connect(), rank, 3, {});
        EXPECT_FALSE(rendezvous.store()->check({"late"})) << "of an earlier launch";
        rendezvous.post(std::to_string(rank), std::to_string(10 * launch + rank));
        EXPECT_EQ(rendezvous.wait_for({"0", "1", "2"}),
                  (std::vector<std::string>{std::to_string(10 * launch), std::to_string(10 * launch + 1),
                                            std::to_string(10 * launch + 2)}));
        rendezvous.leave();
        rendezvous.post("late", "");
      });
    }
  }
}

TEST(Rendezvous, BeginsWithTheSuccessorOfARankThatDiedWhileJoining) {
  const KeyStore store;
  const StorePointer look = store.connect();
  set(look, "nonce/1", "of-a-dead-process");
  std::jthread first([&] {
    Rendezvous rendezvous(store.connect(), 0, 2, {});
    EXPECT_EQ(rendezvous.wait_for({"hello"}), std::vector<std::string>{"from the successor"});
    rendezvous.leave();
  });
  wait_until([&] { return look->check({"members"}); });  // published with the nonce of the dead
  Rendezvous rendezvous(store.connect(), 1, 2, {});
  rendezvous.leave();
  rendezvous.post("hello", "from the successor");
}

TEST(Rendezvous, NamesTheRankThatNeverComes) {
  const KeyStore store;
  for (const int rank : {0, 1}) {
    EXPECT_NE(message_of([&] {
                Rendezvous(store.connect(), rank, 4, {.start_seconds = 1});
              }).find(rank == 0 ? "rank 1, 2, 3 of 4 did not join" : "rank 2, 3 of 4 did not join"),
              std::string::npos);
  }
}

TEST(Rendezvous, NamesARankThatHasEnded) {
  const KeyStore store;
  std::jthread other([&] { Rendezvous(store.connect(), 1, 2, {}); });
  Rendezvous rendezvous(store.connect(), 0, 2, {});
  EXPECT_NE(message_of([&] { rendezvous.wait_for({"never"}); }).find("rank 1 of 2 has ended before the training"),
            std::string::npos);
  EXPECT_NE(message_of([&] {
              rendezvous.wait_for({"never"}, Rendezvous::Phase::kTraining);
            }).find("rank 1 of 2 has ended; its own message"),
            std::string::npos);
}

TEST(Rendezvous, WaitsAsLongAsARankLivesAndNamesOneThatIsSilent) {
  const KeyStore store;
  const StorePointer look = store.connect();
  // Rank 1 joins and then sends no heartbeat, like a process that was killed.
  std::jthread killed([&] {
    const StorePointer mine = store.connect();
    set(mine, "nonce/1", "nonce-of-1");
    wait_until([&] { return mine->check({"members"}); });
    const auto members = mine->get("members");
    const std::string launch(members.begin(), std::find(members.begin(), members.end(), ' '));
    set(mine, launch + "/heartbeat/1", "0");
    set(mine, launch + "/joined/1", "");
  });
  Rendezvous rendezvous(store.connect(), 0, 2, {.silent_seconds = 2});
  const auto started = std::chrono::steady_clock::now();
  EXPECT_NE(message_of([&] { rendezvous.wait_for({"never"}); }).find("rank 1 of 2 has sent no heartbeat for 2 s"),
            std::string::npos);
  EXPECT_GE(std::chrono::steady_clock::now() - started, std::chrono::seconds(2));

  const KeyStore other_store;
  std::jthread slow([&] {
    Rendezvous mine(other_store.connect(), 1, 2, {});
    std::this_thread::sleep_for(std::chrono::seconds(4));  // twice as long as silence is borne
    mine.leave();
    mine.post("late", "");
  });
  Rendezvous patient(other_store.connect(), 0, 2, {.silent_seconds = 2});
  EXPECT_EQ(message_of([&] { patient.wait_for({"late"}); }), "");
}

TEST(Rendezvous, RefusesAnotherNumberOfRanks) {
  const KeyStore store;
  std::jthread first([&] { message_of([&] { Rendezvous(store.connect(), 0, 2, {.start_seconds = 2}); }); });
  EXPECT_NE(message_of([&] {
              Rendezvous(store.connect(), 1, 3, {.start_seconds = 5});
            }).find("WORLD_SIZE: expected 2 on rank 1, as on rank 0, found 3"),
            std::string::npos);
}

}  // namespace
}  // namespace nkat::train
