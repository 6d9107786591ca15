// The end of an engine: what may be under way then, and what a second end says.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <future>
#include <memory>
#include <ostream>
#include <string>
#include <thread>
#include <vector>

#include "embedded/embedded_engine.h"
#include "support/manual_clock.h"
#include "support/simulated_file_system.h"

namespace tuskv::embedded {
namespace {

using test::Operation;

constexpr std::size_t kSegmentBytes = 1'000'000;
constexpr std::size_t kLargeValueBytes = 800'000;  // a segment takes one, and ends with room worth cutting off

void put_bytes(Engine& engine, std::string_view key, std::string_view value) {
  std::vector<Command> commands{Put{.key = key, .value = value}};
  Unit unit{.commands = commands};
  engine.execute(std::span(&unit, 1));
  EXPECT_EQ(unit.failure, nullptr);
}

/// Work that somebody has the store do, and a change to the directory that it makes on its way.
struct Work {
  const char* name;
  bool (*run)(Engine& engine);
  Operation change;
  const char* path_contains;

  friend void PrintTo(const Work& work, std::ostream* out) { *out << work.name; }
};

const Work kWorks[] = {
    {"AnUnpublishedSnapshot", [](Engine& engine) { return engine.snapshot().ok(); }, Operation::create,
     "snapshot-3.tmp/part-1"},
    {"APublishedSnapshot", [](Engine& engine) { return engine.snapshot().ok(); }, Operation::remove_file, "data/log-"},
    {"ARemoval", [](Engine& engine) { return engine.prune_snapshots(0).ok(); }, Operation::remove_file, "snapshot-1"},
    {"TheEndOfASegment",
     [](Engine& engine) {
       for (const char* key : {"large", "larger"}) put_bytes(engine, key, std::string(kLargeValueBytes, 'v'));
       return true;
     },
     Operation::truncate, "data/log-"},
};

class EngineClosing : public testing::TestWithParam<Work> {};

INSTANTIATE_TEST_SUITE_P(Embedded, EngineClosing, testing::ValuesIn(kWorks),
                         [](const auto& work) { return std::string(work.param.name); });

/// The directory may be another's from then on, who trusts that nobody else writes there.
TEST_P(EngineClosing, S1_NothingChangesInTheDirectoryOnceItIsReleased) {
  test::SimulatedFileSystem disk({.seed = 1});
  const test::ManualClock clock;
  const EngineOptions options{
      .directory = "data", .options = {.keep_snapshots = 3}, .log_segment_bytes_max = kSegmentBytes};
  std::unique_ptr<Engine> engine = EmbeddedEngine::open(options, disk, clock).value();
  for (const char* key : {"first", "second"}) {
    put_bytes(*engine, key, "v");
    ASSERT_TRUE(engine->snapshot().ok());
  }
  put_bytes(*engine, "third", "v");

  std::atomic<bool> is_first = true;
  std::promise<void> at_work;
  std::promise<void> closed;
  std::future<void> is_closed = closed.get_future();
  std::atomic<int> late_changes = 0;
  disk.set_hook([&](Operation operation, const std::string& path) {
    if (operation == GetParam().change && path.find(GetParam().path_contains) != path.npos &&
        is_first.exchange(false)) {
      at_work.set_value();
      while (engine->stats(1000).ok()) std::this_thread::yield();
      // Closing has begun. It must wait for this call, which gives it time enough to show that it does not.
      is_closed.wait_for(std::chrono::milliseconds(100));
    }
    if (test::mutates(operation) && !disk.is_locked("data")) ++late_changes;
  });
  std::thread worker([&] { EXPECT_TRUE(GetParam().run(*engine)) << "it had begun"; });
  EXPECT_EQ(at_work.get_future().wait_for(std::chrono::minutes(1)), std::future_status::ready);
  EXPECT_TRUE(engine->close().ok());
  closed.set_value();
  worker.join();
  disk.set_hook(nullptr);
  EXPECT_EQ(late_changes, 0);

  engine = EmbeddedEngine::open(options, disk, clock).value();
  EXPECT_GE(engine->stats(1000).value().entries, 3U);
}

/// A first close that fails: because the data cannot be kept, or because the log cannot be synced.
struct FailedClose {
  Durability durability;
  test::Fault fault;
  Code code;
};

const FailedClose kFailedCloses[] = {
    {Durability::unlogged, {.operation = Operation::rename, .for_ever = true, .error = ENOSPC}, Code::NoSpace},
    {Durability::relaxed, {.operation = Operation::sync, .path_contains = ".tlog", .for_ever = true}, Code::Io},
};

TEST(EngineSecondClose, S4_SaysWhatTheFirstOneSaid) {
  for (const FailedClose& failing : kFailedCloses) {
    test::SimulatedFileSystem disk({.seed = 1});
    const test::ManualClock clock;
    std::atomic<int> events = 0;
    const auto count = [](void* context, const Event&) { ++*static_cast<std::atomic<int>*>(context); };
    const Options options{.durability = failing.durability,
                          .sync_interval = std::chrono::hours(1),
                          .on_event = count,
                          .event_context = &events};
    std::unique_ptr<Engine> engine =
        EmbeddedEngine::open({.directory = "data", .options = options}, disk, clock).value();
    put_bytes(*engine, "k", "v");
    disk.inject(failing.fault);
    const Status first = engine->close();
    ASSERT_FALSE(first.ok());
    EXPECT_EQ(first.failure().code, failing.code);
    disk.clear_faults();
    const int told = events;
    const Status second = engine->close();
    ASSERT_FALSE(second.ok()) << "what was lost is still lost";
    EXPECT_EQ(second.failure().code, failing.code);
    EXPECT_EQ(second.failure().outcome, first.failure().outcome);
    EXPECT_EQ(second.failure().message, first.failure().message);
    engine.reset();
    EXPECT_EQ(events, told) << "the caller knows";
  }
}

}  // namespace
}  // namespace tuskv::embedded
