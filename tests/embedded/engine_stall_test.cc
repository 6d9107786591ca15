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

}  // namespace
}  // namespace tuskv::embedded
