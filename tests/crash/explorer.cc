#include "crash/explorer.h"

#include <gtest/gtest.h>

#include <utility>

#include "os/mutex.h"
#include "support/random.h"

namespace tuskv::test {
namespace {

bool loses_power(CrashMode mode) { return mode != CrashMode::process; }

std::uint64_t derived_seed(std::uint64_t seed, std::uint64_t number) { return Random(seed ^ (number << 20U)).next(); }

}  // namespace

/// Keeps what a crash would leave at one operation of a recovery, each as likely as any other though nobody knows how
/// many there will be: the n-th takes the place of the one before with a chance of one in n. One only, because a long
/// recovery would otherwise be crashed many times, each of these recoveries too, and most states would be those of few
/// crashes.
class CrashedRecovery final {
 public:
  CrashedRecovery(const SimulatedFileSystem& image, std::uint64_t seed) : image_(image), random_(seed) {}

  /// To be called from the hook of the image's disk, by the threads of the recovery.
  void look(Operation operation) {
    if (!mutates(operation)) return;
    os::MutexLock lock(mutex_);
    if (random_.below(++operations_) != 0) return;
    mode_ = kCrashModes[random_.below(std::size(kCrashModes))];
    seed_ = random_.next();
    left_ = image_.crash_image(mode_, seed_);
    done_before_ = image_.operation_count();
  }

  /// Null when the recovery changed nothing.
  std::unique_ptr<SimulatedFileSystem> take_left(CrashMode* mode, std::uint64_t* seed) {
    os::MutexLock lock(mutex_);
    *mode = mode_;
    *seed = seed_;
    return std::move(left_);
  }
  std::string describe() {
    os::MutexLock lock(mutex_);
    return "The disk of the recovery that crashed after operation #" + std::to_string(done_before_) +
           " (the rest is what it did without the crash):\n" + image_.trace();
  }

 private:
  const SimulatedFileSystem& image_;
  os::Mutex mutex_;
  Random random_ TUSKV_GUARDED_BY(mutex_);
  std::uint64_t operations_ TUSKV_GUARDED_BY(mutex_) = 0;
  CrashMode mode_ TUSKV_GUARDED_BY(mutex_) = CrashMode::process;
  std::uint64_t seed_ TUSKV_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<SimulatedFileSystem> left_ TUSKV_GUARDED_BY(mutex_);
  std::uint64_t done_before_ TUSKV_GUARDED_BY(mutex_) = 0;
};

CrashExplorer::CrashExplorer(const embedded::EngineOptions& engine_options, const History& history,
                             const ManualClock& clock, const ExplorerOptions& options)
    : engine_options_(engine_options), history_(history), clock_(clock), options_(options) {}

ExplorerCounts CrashExplorer::counts() const {
  return {.states = states_, .nested = nested_, .rereads = rereads_, .follow_ups = follow_ups_};
}

CrashExplorer::Expected CrashExplorer::expected_now() const {
  return {.least_after_process_crash = history_.least_kept(false),
          .least_after_power_loss = history_.least_kept(true),
          .longest = history_.started()};
}

void CrashExplorer::explore(const SimulatedFileSystem& disk) {
  for (const CrashMode mode : kCrashModes) explore(disk, mode);
}

void CrashExplorer::explore_some(const SimulatedFileSystem& disk, std::size_t modes) {
  const std::uint64_t first = derived_seed(options_.seed, disk.operation_count());
  for (std::size_t i = 0; i < modes; ++i) explore(disk, kCrashModes[(first + i) % std::size(kCrashModes)]);
}

void CrashExplorer::explore(const SimulatedFileSystem& disk, CrashMode mode) {
  if (failed()) return;
  // What must be there is asked before the image is taken, what may be there after it: other threads go on meanwhile.
  Expected expected = expected_now();
  Crash crash{.what = "during the workload",
              .mode = mode,
              .seed = derived_seed(options_.seed, ++explored_),
              .power_lost = loses_power(mode)};
  const auto image = disk.crash_image(mode, crash.seed);
  expected.longest = history_.started();
  crash.disk = image.get();
  visit(crash, expected);
  if (failed()) ADD_FAILURE() << "The workload's disk:\n" << disk.trace();
}

CrashExplorer::Crash CrashExplorer::next(const Crash& before, const SimulatedFileSystem& disk, std::string_view what,
                                         CrashMode mode) const {
  return {.before = &before,
          .what = what,
          .mode = mode,
          .seed = derived_seed(before.seed, disk.operation_count() + 1),
          .power_lost = before.power_lost || loses_power(mode),
          .depth = before.depth};
}

/// Opens the image `crash.disk` and everything that follows from it.
void CrashExplorer::visit(const Crash& crash, const Expected& expected) {
  ++states_;
  SimulatedFileSystem& image = *crash.disk;
  Random random(crash.seed);
  std::shared_ptr<CrashedRecovery> recovery;
  if (crash.depth < options_.nested_depth && random.chance(options_.nested_percent)) {
    recovery = std::make_shared<CrashedRecovery>(image, random.next());
    image.set_hook([recovery](Operation operation, const std::string&) { recovery->look(operation); });
  }
  Result<std::unique_ptr<Engine>> opened = open_engine(engine_options_, image, clock_);
  image.set_hook(nullptr);
  if (!opened.ok()) return fail(crash, "cannot open: " + opened.failure().message);
  const std::optional<Found> found = compare(*opened.value(), crash, expected);
  if (!found) return;
  if (random.chance(options_.reread_percent)) lose_power_after_reading(image, crash, *found);
  if (random.chance(options_.follow_up_percent)) {
    follow_up(std::move(opened).value(), image, crash, *found);
  } else {
    image.stop();  // so that its close costs nothing
    opened.value().reset();
  }
  if (recovery && !failed()) visit_crashed_recovery(*recovery, crash, expected);
}

void CrashExplorer::visit_crashed_recovery(CrashedRecovery& recovery, const Crash& crash, const Expected& expected) {
  Crash again{.before = &crash, .what = "during the recovery", .depth = crash.depth + 1};
  const auto left = recovery.take_left(&again.mode, &again.seed);
  if (left == nullptr) return;
  ++nested_;
  again.disk = left.get();
  again.power_lost = crash.power_lost || loses_power(again.mode);
  visit(again, expected);
  if (failed()) ADD_FAILURE() << recovery.describe();
}

std::optional<Found> CrashExplorer::compare(Engine& engine, const Crash& crash, const Expected& expected) {
  Result<Found> read = read_everything(engine);
  if (!read.ok()) {
    fail(crash, "cannot read: " + read.failure().message);
    return std::nullopt;
  }
  Found found = std::move(read).value();
  if (expected.exact != nullptr) {
    if (*expected.exact == found.entries) return found;
    fail(crash, "the store does not show what it has shown before, or what was acknowledged since:\n" +
                    describe_differences(*expected.exact, found.entries));
    return std::nullopt;
  }
  const Prefixes prefixes{
      .shortest = crash.power_lost ? expected.least_after_power_loss : expected.least_after_process_crash,
      .longest = expected.longest};
  if (history_.find(prefixes, found.digest, clock_.now_us())) return found;
  fail(crash, history_.explain(prefixes, found.entries, clock_.now_us()));
  return std::nullopt;
}

/// What a store has shown stays, whatever happens next.
void CrashExplorer::lose_power_after_reading(const SimulatedFileSystem& image, const Crash& crash, const Found& found) {
  ++rereads_;
  Crash again = next(crash, image, "after it was read", CrashMode::lose_unsynced);
  again.depth = options_.nested_depth;
  const auto copy = image.crash_image(again.mode, again.seed);
  again.disk = copy.get();
  visit(again, {.exact = std::make_shared<const ModelEntries>(found.entries)});
}

/// A reopened store must be as good as any other: write, crash, close, reopen.
void CrashExplorer::follow_up(std::unique_ptr<Engine> engine, const SimulatedFileSystem& image, const Crash& crash,
                              const Found& found) {
  ++follow_ups_;
  const auto written = std::make_shared<const ModelEntries>(write_more(*engine, crash, found));
  if (failed()) return;
  if (engine_options_.options.durability != Durability::unlogged) {
    const bool durable = engine_options_.options.durability == Durability::durable;
    Crash again = next(crash, image, "after more was written", durable ? CrashMode::lose_unsynced : CrashMode::process);
    again.depth = options_.nested_depth;
    const auto copy = image.crash_image(again.mode, again.seed);
    again.disk = copy.get();
    visit(again, {.exact = written});
  }
  Status closed = engine->close();
  if (!closed.ok()) return fail(crash, "cannot close: " + closed.failure().message);
  engine.reset();
  Crash last = next(crash, image, "after a close", CrashMode::lose_unsynced);
  last.depth = options_.nested_depth;
  const auto copy = image.crash_image(last.mode, last.seed);
  last.disk = copy.get();
  visit(last, {.exact = written});
}

/// Returns what must be there afterwards.
ModelEntries CrashExplorer::write_more(Engine& engine, const Crash& crash, const Found& found) {
  std::vector<Step> steps = {{.kind = Step::Kind::set, .key = "probe", .value = "1"},
                             {.kind = Step::Kind::batch, .items = {{.key = "probe", .value = "2"}, {"probe2", "2"}}}};
  ModelEntries after = found.entries;
  if (!after.empty() && !after.begin()->first.starts_with("probe")) {
    steps[1].items.push_back({.key = after.begin()->first});
    after.erase(after.begin());
  }
  for (const char* key : {"probe", "probe2"}) {
    const auto old = found.entries.find(key);
    const std::int64_t created_us = old == found.entries.end() ? clock_.now_us() : old->second.created_us;
    after[key] = {.value = "2", .created_us = created_us, .updated_us = clock_.now_us()};
  }
  for (const Step& step : steps) {
    std::uint64_t version = 0;
    Status status = perform(engine, step, &version);
    if (!status.ok()) fail(crash, "cannot write: " + status.failure().message);
    if (version != 0 && version <= found.newest_version) fail(crash, "a version is used twice");
  }
  return after;
}

void CrashExplorer::fail(const Crash& crash, const std::string& why) {
  if (failed_.exchange(true)) return;
  std::string chain;
  for (const Crash* link = &crash; link != nullptr; link = link->before) {
    chain = "  " + std::string(to_string(link->mode)) + " " + std::string(link->what) + ", seed " +
            std::to_string(link->seed) + "\n" + chain;
  }
  ADD_FAILURE() << "after these crashes (TUSKV_TEST_SEED repeats them; state " << states_ << "):\n"
                << chain << why << "\nThe disk that was opened:\n"
                << crash.disk->trace();
}

}  // namespace tuskv::test
