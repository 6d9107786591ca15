// Large batches of many threads beside everything else. Keys come in groups, and whoever writes, prolongs or erases
// does so with whole groups, a value and an expiry for all keys of one. So a group is one value of one version or
// nothing for whoever looks: with many reads at once, a page, a search, a count, a transaction; in a snapshot and after
// a crash.
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "embedded/embedded_engine.h"
#include "support/manual_clock.h"
#include "support/random.h"
#include "support/random_seed.h"
#include "support/simulated_file_system.h"

namespace tuskv::embedded {
namespace {

constexpr std::size_t kGroups = 5;
/// A page of so many is read at one instant.
constexpr std::size_t kGroupKeys = 150;
constexpr int kWriters = 3;
constexpr int kReaders = 2;
constexpr int kWritesEach = 400;

std::string group_key(std::size_t group, std::size_t number) {
  return "group" + std::to_string(group) + ":" + std::to_string(1'000 + number);
}

/// What a key is seen with; no version: absent.
struct GroupSeen {
  std::uint64_t version = 0;
  std::string value = {};
  auto operator<=>(const GroupSeen&) const = default;
};

class LargeBatchTest : public testing::Test {
 protected:
  LargeBatchTest() {
    for (std::size_t group = 0; group < kGroups; ++group) {
      for (std::size_t i = 0; i < kGroupKeys; ++i) keys_[group].push_back(group_key(group, i));
      ends_[group] = "group" + std::to_string(group) + ";";
    }
    engine_ = open(disk_, "data");
  }

  std::unique_ptr<Engine> open(os::FileSystem& disk, const std::string& directory) const {
    Result<std::unique_ptr<Engine>> opened = EmbeddedEngine::open(
        {.directory = directory,
         .options = {.durability = Durability::relaxed, .ttl_mode = TtlMode::manual, .keep_snapshots = 3}},
        disk, clock_);
    EXPECT_TRUE(opened.ok()) << opened.failure().message;
    return opened.ok() ? std::move(opened).value() : nullptr;
  }
  static bool run(Engine& engine, std::vector<Command>& commands, bool require_all = false) {
    Unit unit{.commands = commands, .require_all = require_all, .timeout_ms = 60'000};
    engine.execute(std::span(&unit, 1));
    return unit.failure == nullptr;
  }
  Range range_of(std::size_t group) const { return {.from = keys_[group].front(), .to = ends_[group]}; }

  // ---- writing

  /// One to three neighbouring groups.
  std::vector<std::size_t> some_groups(test::Random& random) const {
    std::vector<std::size_t> groups = {random.below(kGroups)};
    while (groups.size() < 3 && random.chance(50)) groups.push_back((groups.back() + 1) % kGroups);
    return groups;
  }
  template <class Make>
  std::vector<Command> commands_of(const std::vector<std::size_t>& groups, const Make& make) const {
    std::vector<Command> commands;
    for (const std::size_t group : groups) {
      for (const std::string& key : keys_[group]) commands.emplace_back(make(key));
    }
    return commands;
  }
  static Expiry some_expiry(test::Random& random) {
    if (random.chance(40)) return {};
    return {.kind = Expiry::Kind::after, .value = 1 + static_cast<std::int64_t>(random.below(30))};
  }
  void write(test::Random& random, const std::string& value) {
    const std::vector<std::size_t> groups = some_groups(random);
    const Expiry expiry = some_expiry(random);
    const std::uint64_t kind = random.below(100);
    if (kind < 10) {
      erase_range(random.chance(50) ? Range() : range_of(groups[0]));
    } else if (kind < 20) {
      write_in_transaction(groups[0], value);
    } else if (kind < 60) {
      const bool if_absent = kind < 30;
      const Condition condition{.kind = if_absent ? Condition::Kind::absent : Condition::Kind::always};
      std::vector<Command> puts = commands_of(groups, [&](const std::string& key) {
        return Put{.key = key, .value = value, .condition = condition, .expiry = expiry};
      });
      EXPECT_TRUE(run(*engine_, puts, if_absent));
    } else if (kind < 80) {
      std::vector<Command> touches =
          commands_of(groups, [&](const std::string& key) { return Touch{.key = key, .expiry = expiry}; });
      EXPECT_TRUE(run(*engine_, touches));
    } else {
      std::vector<Command> erases = commands_of(groups, [](const std::string& key) { return Erase{.key = key}; });
      EXPECT_TRUE(run(*engine_, erases));
    }
  }
  void erase_range(const Range& range) {
    std::vector<Command> erase{EraseRange{.range = range}};
    ++range_erases_begun_;
    EXPECT_TRUE(run(*engine_, erase));
    ++range_erases_ended_;
  }
  void write_in_transaction(std::size_t group, const std::string& value) {
    OptimisticTransaction transaction;
    Command read = Read{.key = keys_[group][0], .want = Want::meta};
    Unit unit{.commands = std::span(&read, 1)};
    if (!engine_->read(transaction, unit).ok()) return;
    const bool erases = std::get<Read>(read).seen.found;
    for (const std::string& key : keys_[group]) {
      using Kind = OptimisticTransaction::KeyWrite::Kind;
      transaction.writes.push_back({.key = key, .kind = erases ? Kind::erase : Kind::put, .value = value});
    }
    const Status status = engine_->commit(transaction, 60'000);
    EXPECT_TRUE(status.ok() || status.failure().code == Code::Conflict) << status.failure().message;
  }

  // ---- looking

  /// `seen`: each key that is there, once.
  void expect_whole(const std::vector<GroupSeen>& seen, bool all_is_there, const char* how) {
    EXPECT_EQ(std::set(seen.begin(), seen.end()).size(), seen.empty() ? 0u : 1u) << how;
    if (!all_is_there) return;
    EXPECT_TRUE(seen.empty() || seen.size() == kGroupKeys) << how << ": " << seen.size();
    ++looks_[seen.empty() ? 0 : 1];
  }
  std::vector<GroupSeen> read_many(std::size_t group) {
    std::vector<std::string> values(kGroupKeys);
    std::vector<Command> reads;
    for (std::size_t i = 0; i < kGroupKeys; ++i) reads.emplace_back(Read{.key = keys_[group][i], .into = &values[i]});
    EXPECT_TRUE(run(*engine_, reads));
    std::vector<GroupSeen> seen;
    for (std::size_t i = 0; i < kGroupKeys; ++i) {
      const Seen& of = std::get<Read>(reads[i]).seen;
      if (of.found) seen.push_back({.version = of.version, .value = values[i]});
    }
    return seen;
  }
  static std::vector<GroupSeen> entries_of(const Command& page) {
    std::vector<GroupSeen> seen;
    for (const Entry& entry : std::get<Scan>(page).entries) {
      seen.push_back({.version = entry.version.number, .value = entry.value});
    }
    return seen;
  }
  std::vector<GroupSeen> scan(Engine& engine, std::size_t group, test::Random& random) const {
    Scan page{.range = range_of(group), .limit = 250, .reverse = random.chance(50)};
    if (random.chance(30)) page.filter = {.kind = Filter::Kind::contains, .pattern = "w"};
    std::vector<Command> commands{page};
    EXPECT_TRUE(run(engine, commands));
    return entries_of(commands[0]);
  }
  void look(test::Random& random) {
    const std::size_t group = random.below(kGroups);
    const std::uint64_t kind = random.below(100);
    // An erase of a range gives way to readers while it goes on.
    const std::uint64_t ended_before = range_erases_ended_;
    std::vector<GroupSeen> seen;
    if (kind < 30) {
      seen = read_many(group);
    } else if (kind < 60) {
      seen = scan(*engine_, group, random);
    } else if (kind < 70) {
      std::vector<Command> count{Count{.range = range_of(group)}};
      EXPECT_TRUE(run(*engine_, count));
      seen.resize(std::get<Count>(count[0]).count);
    } else if (kind < 90) {
      look_in_transaction(group);
      return;
    } else {
      look_at_statistics(random);
      return;
    }
    expect_whole(seen, range_erases_begun_ == ended_before, "read");
  }
  /// For it, ranges are erased at one moment as well.
  void look_in_transaction(std::size_t group) {
    OptimisticTransaction transaction;
    std::string value;
    Command first = Read{.key = keys_[group][0], .into = &value};
    Command page = Scan{.range = range_of(group), .limit = 250};
    for (Command* command : {&first, &page}) {
      Unit unit{.commands = std::span(command, 1)};
      const Status status = engine_->read(transaction, unit);
      if (status.ok()) continue;
      EXPECT_EQ(status.failure().code, Code::Conflict) << status.failure().message;
      return;
    }
    std::vector<GroupSeen> seen = entries_of(page);
    expect_whole(seen, true, "transaction");
    EXPECT_EQ(std::get<Read>(first).seen.found, !seen.empty());
    if (!seen.empty()) {
      EXPECT_EQ(std::get<Read>(first).seen.version, seen.front().version);
    }
  }
  void look_at_statistics(test::Random& random) {
    const Stats stats = engine_->stats(1000).value();
    EXPECT_LE(stats.entries, kGroups * kGroupKeys);
    EXPECT_LE(stats.expired, stats.entries);
    clock_.advance_ms(1);
    if (random.chance(20)) {
      EXPECT_TRUE(engine_->remove_expired(random.below(2) * kGroupKeys, 60'000).ok());
    }
  }
  /// A store that nobody writes to.
  void expect_groups_whole(Engine& engine) {
    test::Random random(1);
    for (std::size_t group = 0; group < kGroups; ++group) expect_whole(scan(engine, group, random), true, "reopened");
  }
  /// Key to value and expiry. Versions may be others once the store has been opened again (Batch::put_back).
  static std::map<std::string, std::pair<std::string, std::int64_t>> contents(Engine& engine, bool include_expired) {
    std::vector<Command> all{Scan{.limit = 10'000, .include_expired = include_expired}};
    EXPECT_TRUE(run(engine, all));
    std::map<std::string, std::pair<std::string, std::int64_t>> found;
    for (const Entry& entry : std::get<Scan>(all[0]).entries) {
      found[entry.key] = {entry.value, entry.expires_at.value_or(TimePoint()).time_since_epoch().count()};
    }
    return found;
  }

  std::vector<std::string> keys_[kGroups];
  std::string ends_[kGroups];
  test::SimulatedFileSystem disk_{{.seed = 1}};
  test::ManualClock clock_;
  std::atomic<std::uint64_t> range_erases_begun_ = 0;
  std::atomic<std::uint64_t> range_erases_ended_ = 0;
  std::atomic<std::uint64_t> looks_[2] = {};  ///< that found nothing, or a whole group
  std::unique_ptr<Engine> engine_;
};

TEST_F(LargeBatchTest, S72_GroupsAreWholeForWhoeverLooks) {
  const std::uint64_t seed = test::random_seed();
  std::atomic<int> writing = kWriters;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kWriters; ++thread) {
    threads.emplace_back([&, thread] {
      test::Random random(seed + static_cast<std::uint64_t>(thread));
      for (int i = 0; i < kWritesEach; ++i) {
        const std::string name = std::to_string(thread) + "w" + std::to_string(i);
        write(random, name + std::string(random.below(2) * random.below(100), '.'));
      }
      --writing;
    });
  }
  for (int thread = 0; thread < kReaders; ++thread) {
    threads.emplace_back([&, thread] {
      test::Random random(seed + 100 + static_cast<std::uint64_t>(thread));
      while (writing > 0) look(random);
    });
  }
  test::Random random(seed + 200);
  while (writing > 0) {
    EXPECT_TRUE(engine_->snapshot().ok());
    const auto mode = test::kCrashModes[random.below(std::size(test::kCrashModes))];
    const auto image = disk_.crash_image(mode, random.next());
    if (const std::unique_ptr<Engine> after = open(*image, "data")) expect_groups_whole(*after);
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(looks_[0], 0u);
  EXPECT_GT(looks_[1], 0u);

  const auto stored = contents(*engine_, true);
  const auto live = contents(*engine_, false);
  std::uint64_t bytes = 0;
  for (const auto& [key, entry] : stored) bytes += key.size() + entry.first.size();
  const Stats stats = engine_->stats(1000).value();
  EXPECT_EQ(stats.entries, stored.size());
  EXPECT_EQ(stats.expired, stored.size() - live.size());
  EXPECT_EQ(stats.key_bytes + stats.value_bytes, bytes);
  EXPECT_TRUE(engine_->close().ok());
  engine_ = open(disk_, "data");
  EXPECT_EQ(contents(*engine_, false), live);
}

}  // namespace
}  // namespace tuskv::embedded
