// Directories that are only read: kept snapshots inside their store, and what cannot be written.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "embedded/embedded_engine.h"
#include "embedded/maintenance.h"
#include "support/manual_clock.h"
#include "support/simulated_file_system.h"

namespace tuskv::embedded {
namespace {

class EngineReadOnlyTest : public testing::Test {
 protected:
  EngineReadOnlyTest() {
    auto engine = open("data");
    set(*engine, "a", "1");
    set(*engine, "b", "1");
    EXPECT_TRUE(engine->snapshot().ok());
    set(*engine, "a", "2");
    EXPECT_TRUE(engine->snapshot().ok());
    set(*engine, "a", "3");
    EXPECT_TRUE(engine->close().ok());
  }

  std::unique_ptr<Engine> open(const std::string& directory, os::FileSystem& disk) {
    Result<std::unique_ptr<Engine>> opened =
        EmbeddedEngine::open({.directory = directory, .options = {.ttl_mode = TtlMode::manual}}, disk, clock_);
    EXPECT_TRUE(opened.ok()) << opened.failure().message;
    return std::move(opened).value();
  }
  std::unique_ptr<Engine> open(const std::string& directory) { return open(directory, disk_); }

  static std::unique_ptr<Failure> run(Engine& engine, Command command) {
    std::vector<Command> commands{std::move(command)};
    Unit unit{.commands = commands};
    engine.execute(std::span(&unit, 1));
    return std::move(unit.failure);
  }
  static void set(Engine& engine, std::string_view key, std::string_view value) {
    EXPECT_EQ(run(engine, Put{.key = key, .value = value}), nullptr);
  }
  static std::string get(Engine& engine, std::string_view key) {
    std::string value;
    EXPECT_EQ(run(engine, Read{.key = key, .into = &value}), nullptr);
    return value;
  }
  /// Everything that would write, each with the words `why`.
  static void expect_only_read(Engine& engine, const std::string& why) {
    const auto expect_refused = [&](const Failure* failure) {
      ASSERT_NE(failure, nullptr);
      EXPECT_EQ(failure->code, Code::Unsupported);
      EXPECT_EQ(failure->outcome, Outcome::not_applied);
      EXPECT_NE(failure->message.find(why), std::string::npos) << failure->message;
    };
    const std::vector<Command> writes = {Put{.key = "a", .value = "changed"}, Put{.key = "new", .value = ""},
                                         Erase{.key = "a"}, Add{.key = "a", .magnitude = 1}, EraseRange{}};
    for (const Command& command : writes) expect_refused(run(engine, command).get());
    OptimisticTransaction transaction;
    transaction.writes.push_back({.key = "a", .value = "changed"});
    const Status committed = engine.commit(transaction, 1000);
    expect_refused(committed.ok() ? nullptr : &committed.failure());
    const auto snapshot = engine.snapshot();
    expect_refused(snapshot.ok() ? nullptr : &snapshot.failure());
    const auto pruned = engine.prune_snapshots(0);
    expect_refused(pruned.ok() ? nullptr : &pruned.failure());
    EXPECT_TRUE(engine.sync(1000).ok());
    EXPECT_TRUE(engine.diagnose(1000).ok());
    EXPECT_EQ(engine.stats(1000).value().engine, "file");
  }

  test::SimulatedFileSystem disk_{{.seed = 1}};
  test::ManualClock clock_;
};

TEST_F(EngineReadOnlyTest, S39_AKeptSnapshotInPlaceIsOnlyRead) {
  const auto before = disk_.contents();
  const std::uint64_t changes = disk_.operation_count();
  {
    const auto first = open("data/snapshot-1");
    const auto second = open("data/snapshot-1/");
    for (Engine* engine : {first.get(), second.get()}) {
      expect_only_read(*engine, "is a kept snapshot of the store around it");
      EXPECT_EQ(get(*engine, "a"), "1");
      EXPECT_EQ(engine->snapshots().value().size(), 1U);
      EXPECT_EQ(engine->stats(1000).value().newest_snapshot->ordinal, 1U);
    }
    EXPECT_TRUE(first->close().ok());
    EXPECT_TRUE(second->close().ok());
  }
  EXPECT_EQ(disk_.operation_count(), changes);
  EXPECT_EQ(disk_.contents(), before);
  ASSERT_TRUE(restore_store(disk_, "data", 1, clock_.now_us()).ok());
  EXPECT_EQ(get(*open("data"), "a"), "1");
}

TEST_F(EngineReadOnlyTest, AKeptSnapshotThatIsReadIsNotRemoved) {
  const auto store = open("data");
  {
    const auto kept = open("data/snapshot-1");
    EXPECT_EQ(store->prune_snapshots(0).value(), 0U);
    EXPECT_EQ(get(*kept, "a"), "1");
  }
  EXPECT_EQ(store->prune_snapshots(0).value(), 1U);
}

TEST_F(EngineReadOnlyTest, S38_WhatCannotBeWrittenIsRead) {
  {
    const auto store = open("data");
    set(*store, "b", "2");
  }
  const auto torn = disk_.crash_image(test::CrashMode::process, 1);  // closed by nobody
  const auto before = torn->contents();
  torn->set_read_only(true);
  for (int i = 0; i < 2; ++i) {
    const auto engine = open("data", *torn);
    expect_only_read(*engine, "cannot be written");
    EXPECT_EQ(get(*engine, "a"), "3");
    EXPECT_EQ(get(*engine, "b"), "2");
    EXPECT_EQ(engine->snapshots().value().size(), 2U);
    EXPECT_GT(engine->stats(1000).value().log_bytes, 0U);
    EXPECT_TRUE(check_store(*torn, "data").value().damage.empty()) << "beside it";
    EXPECT_TRUE(engine->close().ok());
  }
  EXPECT_EQ(torn->contents(), before);
  torn->set_read_only(false);
  const auto engine = open("data", *torn);
  set(*engine, "b", "3");
}

TEST_F(EngineReadOnlyTest, S92_WhoAsksForItOnlyReadsBesideOtherReaders) {
  {
    const auto store = open("data");
    set(*store, "b", "2");
    const auto refused = EmbeddedEngine::open({.directory = "data", .options = {.read_only = true}}, disk_, clock_);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.failure().code, Code::Busy);
  }
  const auto torn = disk_.crash_image(test::CrashMode::process, 1);
  const auto before = torn->contents();
  const std::uint64_t changes = torn->operation_count();
  const EngineOptions reading = {.directory = "data", .options = {.read_only = true}};
  {
    const auto first = EmbeddedEngine::open(reading, *torn, clock_);
    const auto second = EmbeddedEngine::open(reading, *torn, clock_);
    ASSERT_TRUE(first.ok() && second.ok());
    for (Engine* engine : {first.value().get(), second.value().get()}) {
      expect_only_read(*engine, "opened with read_only=true");
      EXPECT_EQ(get(*engine, "b"), "2");
    }
    const std::uint64_t syncs = torn->count(test::Operation::sync) + torn->count(test::Operation::sync_directory);
    EXPECT_EQ(torn->operation_count(), changes + syncs);
    EXPECT_EQ(EmbeddedEngine::open({.directory = "data"}, *torn, clock_).failure().code, Code::Busy);
  }
  EXPECT_EQ(torn->contents(), before);
  set(*open("data", *torn), "b", "3");
}

/// It would be told of entries that are there again at the next opening.
TEST_F(EngineReadOnlyTest, S122_NobodyIsToldThatExpiredEntriesWereRemoved) {
  {
    const auto store = open("data");
    EXPECT_EQ(run(*store, Put{.key = "k", .value = "v", .expiry = {.kind = Expiry::Kind::after, .value = 1}}), nullptr);
  }
  clock_.advance_ms(1);
  const auto engine = EmbeddedEngine::open(
      {.directory = "data", .options = {.ttl_mode = TtlMode::manual, .read_only = true}}, disk_, clock_);
  ASSERT_TRUE(engine.ok());
  const Result<std::uint64_t> removed = engine.value()->remove_expired(0, 1000);
  ASSERT_FALSE(removed.ok());
  EXPECT_EQ(removed.failure().code, Code::Unsupported);
  EXPECT_EQ(engine.value()->stats(1000).value().expired, 1U);
}

TEST_F(EngineReadOnlyTest, S92_WhoOnlyReadsMakesNoStore) {
  disk_.put("empty/LOCK", "");
  const auto before = disk_.contents();
  for (const char* directory : {"empty", "missing"}) {
    const auto opened = EmbeddedEngine::open({.directory = directory, .options = {.read_only = true}}, disk_, clock_);
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.failure().code, Code::Config);
    EXPECT_NE(opened.failure().message.find("read_only is true"), std::string::npos) << opened.failure().message;
  }
  EXPECT_EQ(disk_.contents(), before);
}

TEST_F(EngineReadOnlyTest, NobodyMakesAStoreWhereNothingCanBeWritten) {
  disk_.put("empty/LOCK", "");
  disk_.set_read_only(true);
  for (const char* directory : {"empty", "missing"}) {
    const auto opened = EmbeddedEngine::open({.directory = directory}, disk_, clock_);
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.failure().code, Code::Io) << opened.failure().message;
  }
}

}  // namespace
}  // namespace tuskv::embedded
