// What the embedded engine logs, and what its answers owe to the log.
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "embedded/embedded_engine.h"
#include "embedded/log_reader.h"
#include "support/manual_clock.h"
#include "support/simulated_file_system.h"

namespace tuskv::embedded {
namespace {

/// What the records in the log's first segment do, a letter each: p, e (erase), t, r (erase_range); "," ends a record.
std::string logged_operations(test::SimulatedFileSystem& disk) {
  const Manifest manifest = read_manifest(disk, "data").value();
  const std::unique_ptr<SegmentReader> reader = SegmentReader::open(disk, "data", manifest.store_id, 1).value();
  std::string operations;
  RecordHeader header;
  std::string_view record;
  while (reader->next(header, record).value()) {
    ChangeReader changes(record, header.change_count);
    for (Change change; changes.next(change);) operations += "petr"[static_cast<int>(change.op) - 1];
    if (header.kind == RecordKind::changes) operations += ",";
  }
  return operations;
}

/// Replaying an erase_range looks at every entry there is, so few keys are erased one by one, in one record; with the
/// dead ones among them.
TEST(EngineLogTest, S11_FewKeysOfARangeAreLoggedOneByOne) {
  test::SimulatedFileSystem disk({.seed = 1});
  test::ManualClock clock;
  std::unique_ptr<Engine> engine =
      EmbeddedEngine::open({.directory = "data", .options = {.ttl_mode = TtlMode::manual}}, disk, clock).value();
  const auto run = [&](std::vector<Command>& commands) {
    Unit unit{.commands = commands};
    engine->execute(std::span(&unit, 1));
    EXPECT_EQ(unit.failure, nullptr);
  };
  const auto fill = [&](int keys) {
    std::vector<std::string> names;
    for (int i = 0; i < keys; ++i) names.push_back("s:" + std::to_string(i) + std::string(100, '-'));
    std::vector<Command> commands{
        Put{.key = "s:dead", .value = "v", .expiry = {.kind = Expiry::Kind::after, .value = 1'000}},
        Put{.key = "other", .value = "v"}};
    for (const std::string& name : names) commands.emplace_back(Put{.key = name, .value = "v"});
    run(commands);
    clock.advance_ms(1'000);
  };
  const auto erased = [&] {
    std::vector<Command> commands{EraseRange{.range = {.from = "s:", .to = "s;"}}};
    run(commands);
    return std::get<EraseRange>(commands[0]).erased;
  };
  fill(3);
  EXPECT_EQ(erased(), 3U);
  EXPECT_TRUE(logged_operations(disk).ends_with(",eeee,")) << logged_operations(disk);
  fill(1'000);
  EXPECT_EQ(erased(), 1'000U);
  EXPECT_TRUE(logged_operations(disk).ends_with(",r,"));
  fill(2);
  EXPECT_EQ(erased(), 2U);
  ASSERT_TRUE(engine->close().ok());
  engine = EmbeddedEngine::open({.directory = "data"}, disk, clock).value();
  EXPECT_EQ(engine->stats(1000).value().entries, 1U);
}

/// A failure that tells of a value is an answer like any other: it waits for the sync of what it tells of.
TEST(EngineLogTest, S12_AFailureTellsNothingOfAValueThatCouldNotBeSynced) {
  test::SimulatedFileSystem disk({.seed = 1});
  test::ManualClock clock;
  const std::unique_ptr<Engine> engine = EmbeddedEngine::open({.directory = "data"}, disk, clock).value();
  const auto run = [&](Command command) {
    std::vector<Command> commands;
    commands.push_back(std::move(command));
    Unit unit{.commands = commands};
    engine->execute(std::span(&unit, 1));
    return std::move(unit.failure);
  };
  const auto submit = [&](Command command) {
    std::vector<Command> commands;
    commands.push_back(std::move(command));
    struct Awaited : Submission {
      std::promise<void> ended = {};
    } submission;
    submission.unit.commands = commands;
    submission.done = [](Submission& ended) noexcept { static_cast<Awaited&>(ended).ended.set_value(); };
    std::future<void> ended = submission.ended.get_future();
    engine->submit(submission);
    ended.wait();
    return std::move(submission.unit.failure);
  };
  ASSERT_EQ(run(Put{.key = "n", .value = "1"}), nullptr);
  disk.inject({.operation = test::Operation::sync, .path_contains = ".tlog", .for_ever = true});
  const auto lost = run(Put{.key = "n", .value = "text"});
  ASSERT_NE(lost, nullptr);
  EXPECT_EQ(lost->outcome, Outcome::unknown);
  std::string value;
  for (const Command& command : {Command(Add{.key = "n", .magnitude = 1}), Command(Read{.key = "n", .into = &value})}) {
    for (const auto& failure : {run(command), submit(command)}) {
      ASSERT_NE(failure, nullptr);
      EXPECT_EQ(failure->code, lost->code) << failure->message;
      EXPECT_EQ(failure->outcome, Outcome::not_applied);
    }
  }
  EXPECT_FALSE(engine->close().ok());
}

}  // namespace
}  // namespace tuskv::embedded
