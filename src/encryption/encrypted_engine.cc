#include "encryption/encrypted_engine.h"

#include <algorithm>
#include <utility>

#include "encryption/marker.h"
#include "findings.h"

namespace tuskv::encryption {
namespace {

void fail(Unit& unit, Status status) { unit.failure = std::move(status).take(); }

bool needs_plaintext(const Unit& unit) { return !passes_sealed(unit) || search_in(unit) != nullptr; }

}  // namespace

Result<std::unique_ptr<EncryptedEngine>> EncryptedEngine::open(EncryptedEngineSetup setup) {
  if (setup.is_kept) {
    TUSKV_RETURN_IF_ERROR(check_encrypted(*setup.engine, Sealer(setup.encryptor), setup.timeout_ms));
  }
  return std::make_unique<EncryptedEngine>(OnlyOpen(), std::move(setup));
}

EncryptedEngine::EncryptedEngine(OnlyOpen, EncryptedEngineSetup setup)
    : sealer_(std::move(setup.encryptor)),
      timeout_ms_(setup.timeout_ms),
      counts_marker_(setup.counts_marker),
      is_kept_(setup.is_kept),
      engine_(std::move(setup.engine)),
      plaintext_(*this, setup.expiry_disabled),
      thread_([this](Unit& unit) { run_on_plaintext(unit); }) {}

// ---- units

void EncryptedEngine::execute(std::span<Unit> units) {
  if (marker_lost_.load(std::memory_order_relaxed)) restore_marker();
  while (!units.empty()) {
    // Units of one call take effect in their order where they touch the same key.
    const auto stop = std::find_if(units.begin(), units.end(), needs_plaintext);
    const auto passing = static_cast<std::size_t>(stop - units.begin());
    if (passing != 0) pass(units.first(passing));
    if (stop == units.end()) return;
    run_on_plaintext(*stop);
    units = units.subspan(passing + 1);
  }
}

void EncryptedEngine::run_on_plaintext(Unit& unit) {
  Scan* const scan = search_in(unit);
  if (scan == nullptr) return plaintext_.run(unit);
  Status status = search(*scan, unit.timeout_ms, [this](Unit& page) {
    engine_->execute(std::span(&page, 1));
    return Status(std::move(page.failure));
  });
  if (!status.ok()) {
    note_reset(&status.failure());
    fail(unit, std::move(status));
  }
}

void EncryptedEngine::pass(std::span<Unit> units) {
  SealedPuts sealed;
  bool all = true;
  for (Unit& unit : units) {
    Status status = sealed.seal(sealer_, unit.commands);
    if (status.ok()) continue;
    fail(unit, std::move(status));
    all = false;
  }
  sealed.lend();
  if (all) {
    engine_->execute(units);
  } else {
    for (Unit& unit : units) {
      if (unit.failure == nullptr) engine_->execute(std::span(&unit, 1));
    }
  }
  sealed.give_back();
  for (Unit& unit : units) {
    note_reset(unit.failure.get());
    if (unit.failure != nullptr) continue;
    if (Status status = sealer_.open_replies(unit.commands); !status.ok()) fail(unit, std::move(status));
  }
}

/// A unit on its way through the engine, for a caller who does not wait.
struct EncryptedEngine::Passing final : Submission {
  explicit Passing(EncryptedEngine& owner) : engine(owner) {}

  EncryptedEngine& engine;
  SealedPuts sealed = {};
  Submission* caller = nullptr;
};

void EncryptedEngine::submit(Submission& submission) {
  if (needs_plaintext(submission.unit)) return thread_.post(submission);
  auto passing = std::make_unique<Passing>(*this);
  passing->unit.commands = submission.unit.commands;
  passing->unit.require_all = submission.unit.require_all;
  passing->unit.timeout_ms = submission.unit.timeout_ms;
  passing->done = end_passing;
  passing->caller = &submission;
  Status status = passing->sealed.seal(sealer_, submission.unit.commands);
  if (!status.ok()) {
    fail(submission.unit, std::move(status));
    passing.reset();  // the commands may be gone with the call below
    return submission.done(submission);
  }
  passing->sealed.lend();
  engine_->submit(*passing.release());
}

void EncryptedEngine::end_passing(Submission& submission) noexcept {
  std::unique_ptr<Passing> passing(&static_cast<Passing&>(submission));
  Submission& caller = *passing->caller;
  passing->sealed.give_back();
  caller.unit.failure = std::move(passing->unit.failure);
  EncryptedEngine& engine = passing->engine;
  engine.note_reset(caller.unit.failure.get());
  if (caller.unit.failure == nullptr) {
    if (Status status = engine.sealer_.open_replies(caller.unit.commands); !status.ok()) {
      fail(caller.unit, std::move(status));
    }
  }
  passing.reset();
  caller.done(caller);  // the last handle may die inside
}

// ---- transactions

Status EncryptedEngine::read(OptimisticTransaction& transaction, Unit& unit) {
  Scan* const scan = search_in(unit);
  Status status = scan == nullptr
                      ? engine_->read(transaction, unit)
                      : search(*scan, unit.timeout_ms, [&](Unit& page) { return engine_->read(transaction, page); });
  if (!status.ok()) {
    note_reset(&status.failure());
    return status;
  }
  return scan == nullptr ? sealer_.open_replies(unit.commands) : Status();
}

Status EncryptedEngine::commit(OptimisticTransaction& transaction, std::int64_t timeout_ms) {
  for (auto& write : transaction.writes) {
    if (write.kind != OptimisticTransaction::KeyWrite::Kind::put) continue;
    std::string stored;
    TUSKV_RETURN_IF_ERROR(sealer_.seal(write.key, write.value, stored));
    write.value = std::move(stored);
  }
  Status status = engine_->commit(transaction, timeout_ms);
  if (!status.ok()) note_reset(&status.failure());
  return status;
}

// ---- the marker

void EncryptedEngine::note_reset(const Failure* failure) {
  if (failure != nullptr && failure->code == Code::StoreReset) marker_lost_.store(true, std::memory_order_relaxed);
}

void EncryptedEngine::restore_marker() {
  if (!marker_lost_.exchange(false) || !is_kept_) return;
  if (!put_marker(*engine_, sealer_, timeout_ms_).ok()) marker_lost_.store(true);
}

// ---- the rest

Result<Stats> EncryptedEngine::stats() {
  Result<Stats> stats = engine_->stats();
  if (!stats.ok() || !counts_marker_) return stats;
  const Result<StoredValue> marker = read_stored(*engine_, kMarkerKey, timeout_ms_);
  if (!marker.ok() || !marker.value().seen.found) return stats;
  Stats& counted = stats.value();
  --counted.entries;
  counted.key_bytes -= kMarkerKey.size();
  counted.value_bytes -= marker.value().value.size();
  if (counted.newest_snapshot) leave_out_marker(*counted.newest_snapshot);
  return stats;
}

void EncryptedEngine::leave_out_marker(SnapshotInfo& info) const {
  if (counts_marker_ && info.entries > 0) --info.entries;
}

Result<std::vector<Finding>> EncryptedEngine::diagnose(std::int64_t timeout_ms) {
  Result<std::vector<Finding>> findings = engine_->diagnose(timeout_ms);
  if (!findings.ok()) return findings;
  Findings own;
  own.ok("encryption", sealer_.description());
  for (Finding& finding : own.take()) findings.value().push_back(std::move(finding));
  return findings;
}

Result<SnapshotInfo> EncryptedEngine::snapshot() {
  Result<SnapshotInfo> info = engine_->snapshot();
  if (info.ok()) leave_out_marker(info.value());
  return info;
}

Result<std::vector<SnapshotInfo>> EncryptedEngine::snapshots() {
  Result<std::vector<SnapshotInfo>> list = engine_->snapshots();
  if (!list.ok()) return list;
  for (SnapshotInfo& info : list.value()) leave_out_marker(info);
  return list;
}

Status EncryptedEngine::close() {
  thread_.close();
  return engine_->close();
}

}  // namespace tuskv::encryption
