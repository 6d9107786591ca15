// The engine on a disk that stands still for a while: who has to wait for it, and how long.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "embedded/embedded_engine.h"
#include "embedded/manifest.h"
#include "support/manual_clock.h"
#include "support/simulated_file_system.h"

namespace tuskv::embedded {
namespace {

using test::Operation;

/// Long enough for whatever must happen, short enough for a test that fails.
constexpr std::chrono::seconds kLong(10);

/// Holds calls on the disk back once it is armed.
class Stall final {
 public:
  using Matches = std::function<bool(Operation operation, const std::string& path)>;

  Stall(test::SimulatedFileSystem& disk, Matches matches) : disk_(disk), matches_(std::move(matches)) {
    disk_.set_hook([this](Operation operation, const std::string& path) { meet(operation, path); });
  }
  ~Stall() {
    end();
    disk_.set_hook(nullptr);
  }
  Stall(const Stall&) = delete;
  Stall& operator=(const Stall&) = delete;

  /// Waits until a call is held.
  bool is_met() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLong, [this] { return met_; });
  }
  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }

 private:
  void meet(Operation operation, const std::string& path) {
    std::unique_lock lock(mutex_);
    if (ended_ || !matches_(operation, path)) return;
    met_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return ended_; });
  }

  test::SimulatedFileSystem& disk_;
  const Matches matches_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool met_ = false;
  bool ended_ = false;
};

class EngineStall : public testing::Test {
 protected:
  void open(Durability durability, std::chrono::milliseconds sync_interval = std::chrono::milliseconds(1)) {
    engine_ = EmbeddedEngine::open({.directory = "data",
                                    .options = {.durability = durability,
                                                .ttl_mode = TtlMode::manual,
                                                .sync_interval = sync_interval,
                                                .snapshot_interval = std::chrono::hours(1)}},
                                   disk_, clock_)
                  .value();
  }

  std::unique_ptr<Failure> put(const std::string& key, std::int64_t timeout_ms) {
    std::vector<Command> commands{Put{.key = key, .value = "v"}};
    Unit unit{.commands = commands, .timeout_ms = timeout_ms};
    engine_->execute(std::span(&unit, 1));
    return std::move(unit.failure);
  }

  void put_shortlived() {
    std::vector<Command> commands{
        Put{.key = "short", .value = "v", .expiry = {.kind = Expiry::Kind::after, .value = 1000}}};
    Unit unit{.commands = commands};
    engine_->execute(std::span(&unit, 1));
    ASSERT_EQ(unit.failure, nullptr);
  }

  /// That of the store, not of a snapshot in the making.
  static bool writes_manifest(Operation operation, const std::string& path) {
    return operation == Operation::write && path.find(kManifestName) != path.npos &&
           path.find("snapshot-") == path.npos;
  }

  test::SimulatedFileSystem disk_{{.seed = 1}};
  test::ManualClock clock_;
  std::unique_ptr<Engine> engine_;
};

/// A sync of the log stands still while a snapshot begins and dumps: writers, who wait for no sync, go on.
TEST_F(EngineStall, S25_ASnapshotBeginsAndEndsBesideASyncThatStandsStill) {
  open(Durability::relaxed);
  ASSERT_EQ(put("a", 5000), nullptr);
  ASSERT_TRUE(engine_->sync(5000).ok());
  std::atomic<bool> ended = false;
  Stall stall(disk_, [&](Operation operation, const std::string& path) {
    // The segment behind the end of the delta.
    if (operation == Operation::rename && path.find("log-3.tlog") != path.npos) ended = true;
    return operation == Operation::sync && path.find("log-1.tlog") != path.npos;
  });
  ASSERT_EQ(put("b", 5000), nullptr);
  ASSERT_TRUE(stall.is_met());
  std::thread snapshot([&] { EXPECT_TRUE(engine_->snapshot().ok()); });
  const auto until = std::chrono::steady_clock::now() + kLong;
  bool writes = true;
  while (!ended && writes && std::chrono::steady_clock::now() < until) writes = put("c", 300) == nullptr;
  EXPECT_TRUE(writes && put("d", 300) == nullptr);
  EXPECT_TRUE(ended);
  stall.end();
  snapshot.join();
}

/// An unlogged store makes files when a snapshot begins; nobody waits for them.
TEST_F(EngineStall, S25_TheSegmentOfASnapshotIsMadeWithoutLocks) {
  open(Durability::unlogged);
  ASSERT_EQ(put("a", 5000), nullptr);
  Stall stall(disk_, [](Operation operation, const std::string& path) {
    return operation == Operation::allocate && path.find("log-") != path.npos;
  });
  std::thread snapshot([&] { EXPECT_TRUE(engine_->snapshot().ok()); });
  ASSERT_TRUE(stall.is_met());
  EXPECT_EQ(put("b", 300), nullptr);
  stall.end();
  snapshot.join();
}

TEST_F(EngineStall, S98_ACountEndsAtItsDeadline) {
  constexpr std::uint64_t kEntries = 1000;  // several holds
  open(Durability::relaxed);
  for (std::uint64_t i = 0; i < kEntries; ++i) ASSERT_EQ(put(std::to_string(i), 5000), nullptr);
  std::vector<Command> commands{Count{}};
  Unit hurried{.commands = commands, .timeout_ms = 0};
  engine_->execute(std::span(&hurried, 1));
  ASSERT_NE(hurried.failure, nullptr);
  EXPECT_EQ(hurried.failure->code, Code::Timeout);
  commands = {Count{}};
  Unit patient{.commands = commands};
  engine_->execute(std::span(&patient, 1));
  EXPECT_EQ(patient.failure, nullptr);
  EXPECT_EQ(std::get<Count>(commands.front()).count, kEntries);
}

/// The manifest is being written for a snapshot; what a clean-up would write there is not waited for beyond
/// its deadline.
TEST_F(EngineStall, S100_ACleanUpWaitsForNoManifest) {
  open(Durability::relaxed);
  put_shortlived();
  Stall stall(disk_, &writes_manifest);
  std::thread snapshot([&] { EXPECT_TRUE(engine_->snapshot().ok()); });
  ASSERT_TRUE(stall.is_met());
  clock_.advance_ms(3600 * 1000);
  auto cleaned = std::async(std::launch::async, [&] { return engine_->remove_expired(0, 300); });
  EXPECT_EQ(cleaned.wait_for(kLong), std::future_status::ready);
  stall.end();
  EXPECT_EQ(cleaned.get().value(), 1U);
  snapshot.join();
}

/// The first value of an encrypted store sees to it that the manifest says so; where it does, nothing is waited for.
TEST_F(EngineStall, WhatTheManifestSaysIsNotedWithoutIt) {
  open(Durability::relaxed);
  ASSERT_TRUE(engine_->note_encrypted().ok());
  ASSERT_EQ(put("a", 5000), nullptr);
  Stall stall(disk_, &writes_manifest);
  std::thread snapshot([&] { EXPECT_TRUE(engine_->snapshot().ok()); });
  ASSERT_TRUE(stall.is_met());
  auto noted = std::async(std::launch::async, [&] { return engine_->note_encrypted().ok(); });
  EXPECT_EQ(noted.wait_for(kLong), std::future_status::ready);
  stall.end();
  EXPECT_TRUE(noted.get());
  snapshot.join();
}

/// Closing is the last chance to write the time, so it waits.
TEST_F(EngineStall, S100_ClosingWritesTheTimeBehindWhoeverIsAtTheManifest) {
  open(Durability::relaxed);
  put_shortlived();
  Stall stall(disk_, &writes_manifest);
  std::thread snapshot([&] { EXPECT_TRUE(engine_->snapshot().ok()); });
  ASSERT_TRUE(stall.is_met());
  clock_.advance_ms(3600 * 1000);
  auto closed = std::async(std::launch::async, [&] { return engine_->close().ok(); });
  EXPECT_EQ(closed.wait_for(std::chrono::milliseconds(100)), std::future_status::timeout);
  stall.end();
  EXPECT_TRUE(closed.get());
  snapshot.join();
  EXPECT_GE(read_manifest(disk_, "data").value().clock_high_us, clock_.now_us());
}

TEST_F(EngineStall, S101_AnUnloggedStoreSaysHowMuchOfItSurvivesACrash) {
  open(Durability::unlogged);
  ASSERT_EQ(put("a", 5000), nullptr);
  disk_.inject({.operation = Operation::rename, .path_contains = "snapshot-"});
  EXPECT_FALSE(engine_->snapshot().ok());
  EXPECT_EQ(engine_->stats(1000).value().sequence, 1U);
  EXPECT_EQ(engine_->stats(1000).value().synced_sequence, 0U);
  EXPECT_TRUE(engine_->snapshot().ok());
  ASSERT_EQ(put("a", 5000), nullptr);
  EXPECT_EQ(engine_->stats(1000).value().sequence, 2U);
  EXPECT_EQ(engine_->stats(1000).value().synced_sequence, 1U);
}

/// A write stands still and holds the log: those of other keys, in other shards too, end at their deadline.
TEST_F(EngineStall, S26_WhoWaitsForTheLogEndsAtItsDeadline) {
  open(Durability::relaxed);
  ASSERT_EQ(put("a", 5000), nullptr);
  Stall stall(disk_, [](Operation operation, const std::string&) { return operation == Operation::write; });
  std::thread writer([&] { EXPECT_EQ(put("a", 5000), nullptr); });
  ASSERT_TRUE(stall.is_met());
  std::future<void> others = std::async(std::launch::async, [&] {
    for (int i = 0; i < 16; ++i) {
      const auto failure = put("other" + std::to_string(i), 20);
      ASSERT_NE(failure, nullptr);
      EXPECT_EQ(failure->code, Code::Timeout);
      EXPECT_EQ(failure->outcome, Outcome::not_applied);
    }
  });
  EXPECT_EQ(others.wait_for(kLong), std::future_status::ready);
  stall.end();
  writer.join();
}

/// It would sync for all, but what there is to sync cannot be known yet.
TEST_F(EngineStall, S26_WhoWouldSyncBehindAWriteThatStandsStillEndsAtItsDeadline) {
  open(Durability::relaxed, std::chrono::hours(1));
  ASSERT_EQ(put("a", 5000), nullptr);
  Stall stall(disk_, [](Operation operation, const std::string&) { return operation == Operation::write; });
  std::thread writer([&] { EXPECT_EQ(put("b", 5000), nullptr); });
  ASSERT_TRUE(stall.is_met());
  std::future<Status> sync = std::async(std::launch::async, [&] { return engine_->sync(20); });
  EXPECT_EQ(sync.wait_for(kLong), std::future_status::ready);
  stall.end();
  writer.join();
  const Status status = sync.get();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.failure().code, Code::Timeout);
  EXPECT_TRUE(engine_->sync(5000).ok()) << "nobody has kept the turn";
}

struct Submitted final : Submission {
  explicit Submitted(Command command) : commands{std::move(command)} {
    unit.commands = commands;
    done = [](Submission& submission) noexcept { static_cast<Submitted&>(submission).ended.set_value(); };
  }
  std::vector<Command> commands;
  std::promise<void> ended = {};
};

/// The log's thread is in the sync itself.
TEST_F(EngineStall, S27_AsynchronousCallsEndAtTheirDeadline) {
  open(Durability::durable);
  ASSERT_EQ(put("a", 5000), nullptr);
  Stall stall(disk_, [](Operation operation, const std::string&) { return operation == Operation::sync; });
  Submitted patient(Put{.key = "a", .value = "patient"});
  patient.unit.timeout_ms = 60'000;
  engine_->submit(patient);
  ASSERT_TRUE(stall.is_met());
  std::string value;
  Submitted write(Put{.key = "a", .value = "late"});
  Submitted read(Read{.key = "a", .into = &value});
  for (Submitted* late : {&write, &read}) {
    late->unit.timeout_ms = 20;
    engine_->submit(*late);
  }
  std::future<void> ended = patient.ended.get_future();
  for (Submitted* late : {&write, &read}) {
    EXPECT_EQ(late->ended.get_future().wait_for(kLong), std::future_status::ready);
  }
  EXPECT_EQ(ended.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  stall.end();
  ended.wait();
  EXPECT_EQ(patient.unit.failure, nullptr);
  ASSERT_TRUE(write.unit.failure != nullptr && read.unit.failure != nullptr);
  EXPECT_EQ(write.unit.failure->code, Code::Timeout);
  EXPECT_EQ(write.unit.failure->outcome, Outcome::unknown);
  EXPECT_EQ(read.unit.failure->outcome, Outcome::not_applied);
  Submitted next(Put{.key = "a", .value = "next"});
  engine_->submit(next);
  next.ended.get_future().wait();
  EXPECT_EQ(next.unit.failure, nullptr);
}

}  // namespace
}  // namespace tuskv::embedded
