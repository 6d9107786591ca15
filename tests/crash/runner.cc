#include "crash/runner.h"

#include <utility>

namespace tuskv::test {

embedded::EngineOptions engine_options(const Mix& mix, Durability durability) {
  embedded::EngineOptions options{.directory = kStorePath};
  options.log_segment_bytes_min = mix.segment_bytes_min;
  options.log_segment_bytes_max = mix.segment_bytes_max;
  options.options = {.timeout = std::chrono::milliseconds(kPatientMs),
                     .durability = durability,
                     .ttl_mode = TtlMode::manual,
                     .sync_interval = std::chrono::hours(1),
                     .snapshot_interval = std::chrono::hours(24 * 7),
                     .snapshot_log_bytes_min = mix.snapshot_log_bytes_min,
                     .keep_snapshots = 1,
                     .snapshot_threads = 1};
  return options;
}

testing::AssertionResult shows_prefix(Engine& engine, const History& history, Prefixes prefixes, std::int64_t now_us,
                                      std::size_t* shown) {
  Result<Found> found = read_everything(engine);
  if (!found.ok()) return testing::AssertionFailure() << "cannot read: " << found.failure().message;
  const std::optional<std::size_t> count = history.find(prefixes, found.value().digest, now_us);
  if (!count) return testing::AssertionFailure() << history.explain(prefixes, found.value().entries, now_us);
  if (shown != nullptr) *shown = *count;
  return testing::AssertionSuccess();
}

Runner::Runner(const Mix& mix, Durability durability, std::uint64_t seed, std::shared_ptr<const Encryptor> encryptor)
    : mix_(mix),
      options_(engine_options(mix, durability)),
      disk_(std::make_unique<SimulatedFileSystem>(SimulatedFileSystemOptions{.seed = seed})),
      history_(durability),
      steps_(make_workload(mix, durability, seed)) {
  options_.options.encryptor = std::move(encryptor);
}

Status Runner::open() {
  const Prefixes allowed{.shortest = history_.least_kept(after_power_loss_), .longest = history_.started()};
  Result<std::unique_ptr<Engine>> opened = open_engine(options_, *disk_, clock_);
  if (!opened.ok()) return std::move(opened).status();
  engine_ = std::move(opened).value();
  std::size_t shown = 0;
  const testing::AssertionResult shows = shows_prefix(*engine_, history_, allowed, now_us(), &shown);
  if (!shows) {
    ADD_FAILURE() << shows.message() << disk_->trace();
    return {Code::Internal, "the reopened store shows what it must not"};
  }
  // Versions of what was lost may be used again, and a loss need not show: a set and an erase may be gone together.
  if (allowed.shortest != allowed.longest) newest_version_ = 0;
  history_.adopt(shown);
  history_.set_durability(options_.options.durability);
  after_power_loss_ = false;
  return {};
}

Status Runner::run() {
  if (engine_ == nullptr) {
    Status opened = open();
    if (!opened.ok()) return opened;
  }
  while (!finished()) {
    Status status = run_next();
    if (!status.ok()) return status;
  }
  return {};
}

Status Runner::run_next() { return run_step(steps_[position_++]); }

Status Runner::close() {
  Status closed = engine_->close();
  if (closed.ok()) history_.secure(history_.acknowledged());
  engine_.reset();
  return closed;
}

void Runner::replace_disk(std::unique_ptr<SimulatedFileSystem> disk, bool after_power_loss) {
  engine_.reset();
  disk_ = std::move(disk);
  after_power_loss_ = after_power_loss;
}

void Runner::write_during_snapshot(Operation operation, const std::string& path) {
  const bool dumping = operation == Operation::write && path.find("/part-") != std::string::npos;
  if (!in_snapshot_ || !mix_.writes_in_snapshots || !dumping) return;
  if (finished() || !is_write(steps_[position_])) return;
  // Its failure, when the disk fails on purpose, is in the history.
  [[maybe_unused]] const Status written = write(steps_[position_++]);
}

Status Runner::write(const Step& step) {
  history_.start(step, now_us());
  std::uint64_t version = 0;
  Status status = perform(*engine_, step, &version);
  if (status.ok()) {
    history_.acknowledge();
    EXPECT_TRUE(version == 0 || version > newest_version_) << to_string(step) << " got a version used before";
    newest_version_ = std::max(newest_version_, version);
  } else if (status.failure().outcome == Outcome::not_applied) {
    history_.withdraw();
  }
  return status;
}

Status Runner::run_step(const Step& step) {
  if (is_write(step)) return write(step);
  const std::size_t answered = history_.acknowledged();
  Status status;
  switch (step.kind) {
    case Step::Kind::sync:
      status = engine_->sync(kPatientMs);
      if (status.ok()) history_.secure(answered);
      return status;
    case Step::Kind::snapshot: {
      in_snapshot_ = true;
      Result<SnapshotInfo> taken = engine_->snapshot();
      in_snapshot_ = false;
      if (!taken.ok()) return std::move(taken).status();
      history_.secure(answered);
      return {};
    }
    case Step::Kind::prune: {
      Result<std::size_t> removed = engine_->prune_snapshots(static_cast<std::size_t>(step.number));
      return removed.ok() ? Status() : std::move(removed).status();
    }
    case Step::Kind::sweep: {
      Result<std::uint64_t> removed = engine_->remove_expired(0, 60'000);
      return removed.ok() ? Status() : std::move(removed).status();
    }
    case Step::Kind::reopen:
      status = close();
      if (!status.ok()) return status;
      options_.options.durability = static_cast<Durability>(step.number);
      return open();
    case Step::Kind::advance: clock_.advance_ms(step.number); return {};
    default: return {Code::Internal, to_string(step) + " cannot be run"};
  }
}

}  // namespace tuskv::test
