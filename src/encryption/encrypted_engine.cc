#include "encryption/encrypted_engine.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "encryption/marker.h"
#include "findings.h"
#include "named_limits.h"

namespace tuskv::encryption {
namespace {

void fail(Unit& unit, Status status) { unit.failure = std::move(status).take(); }

bool needs_plaintext(const Unit& unit) { return !passes_sealed(unit) || search_in(unit) != nullptr; }

/// As it is: what computes one is run on plaintext, and stores it with a transaction.
bool stores_value(const Unit& unit) {
  return std::any_of(unit.commands.begin(), unit.commands.end(),
                     [](const Command& command) { return std::holds_alternative<Put>(command); });
}

bool stores_value(const OptimisticTransaction& transaction) {
  using Kind = OptimisticTransaction::KeyWrite::Kind;
  return std::any_of(transaction.writes.begin(), transaction.writes.end(),
                     [](const auto& write) { return write.kind == Kind::put; });
}

}  // namespace

Result<std::unique_ptr<EncryptedEngine>> EncryptedEngine::open(EncryptedEngineSetup setup) {
  bool marked = false;
  bool noted = false;
  if (setup.is_kept) {
    const Sealer sealer(setup.encryptor);
    if (setup.marks_at_open) {
      TUSKV_RETURN_IF_ERROR(mark_encrypted(*setup.engine, sealer, setup.timeout_ms));
      marked = noted = true;
    } else {
      const Result<bool> checked = check_encrypted(*setup.engine, sealer, setup.timeout_ms);
      if (!checked.ok()) return checked.status();
      marked = checked.value();
      noted = setup.engine->was_noted_encrypted();
    }
  }
  const bool stays_marked = setup.is_alone && marked && noted;
  auto opened = std::make_unique<EncryptedEngine>(OnlyOpen(), std::move(setup));
  opened->was_marked_ = marked;
  if (stays_marked) opened->marked_for_ = opened->resets_.load();
  return opened;
}

EncryptedEngine::EncryptedEngine(OnlyOpen, EncryptedEngineSetup setup)
    : sealer_(std::move(setup.encryptor)),
      is_kept_(setup.is_kept),
      engine_(std::move(setup.engine)),
      plaintext_(*this, setup.expiry_disabled),
      thread_({.purpose = "runs asynchronous calls that need plaintext",
               .waiting_max = kPlaintextSubmissionsMax,
               .has_deadlines = true,
               .run = [this](Submission& submission) { run_on_thread(submission); }}) {}

// ---- units

void EncryptedEngine::execute(std::span<Unit> units) {
  const auto stores = [](const Unit& unit) { return stores_value(unit); };
  if (!needs_marker() || std::none_of(units.begin(), units.end(), stores)) return run(units);
  for (Unit& unit : units) {
    Status status = stores_value(unit) ? mark(unit.timeout_ms) : Status();
    if (status.ok()) {
      run(std::span(&unit, 1));
    } else {
      fail(unit, std::move(status));
    }
  }
}

void EncryptedEngine::run(std::span<Unit> units) {
  // Units of one call take effect in their order where they touch the same key.
  auto stop = std::find_if(units.begin(), units.end(), needs_plaintext);
  if (stop == units.end()) return pass(units);
  const os::Deadline start = os::deadline_in(0);
  while (stop != units.end()) {
    const auto passing = static_cast<std::size_t>(stop - units.begin());
    if (passing != 0) pass(units.first(passing));
    // Its time has run since the call began.
    stop->timeout_ms = os::time_left_ms(start + std::chrono::milliseconds(stop->timeout_ms));
    run_on_plaintext(*stop);
    units = units.subspan(passing + 1);
    stop = std::find_if(units.begin(), units.end(), needs_plaintext);
  }
  if (!units.empty()) pass(units);
}

void EncryptedEngine::run_on_plaintext(Unit& unit) {
  Scan* const scan = search_in(unit);
  if (scan == nullptr) return plaintext_.run(unit);
  Status status = search(*scan, unit.timeout_ms, [this](Unit& page) {
    engine_->execute(std::span(&page, 1));
    return Status(std::move(page.failure));
  });
  if (!status.ok()) {
    note_reset(&status.failure(), unit.timeout_ms);
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
    note_reset(unit.failure.get(), unit.timeout_ms);
    if (unit.failure != nullptr) {
      clear_values(unit.commands);
      continue;
    }
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
  passing->caller = &submission;
  // What comes behind a value that waits for the marker waits, too: a thread's calls are made in their order.
  if (waiting_for_marker_.load() != 0 || (needs_marker() && stores_value(submission.unit))) {
    return wait_for_marker(std::move(passing));
  }
  pass_on(std::move(passing));
}

void EncryptedEngine::wait_for_marker(std::unique_ptr<Passing> passing) {
  passing->done = end_waiting;
  ++waiting_for_marker_;
  try {
    thread_.post(*passing);
  } catch (...) {
    --waiting_for_marker_;
    throw;
  }
  static_cast<void>(passing.release());  // it may have ended already
}

void EncryptedEngine::end_waiting(Submission& submission) noexcept {
  std::unique_ptr<Passing> passing(&static_cast<Passing&>(submission));
  EncryptedEngine& engine = passing->engine;
  if (passing->unit.failure == nullptr) {
    // Handed over and not run: the next in the queue waits for no sync and no server, so the queue is empty soon.
    engine.pass_on(std::move(passing));
    --engine.waiting_for_marker_;  // only now, or the next call would overtake this; this thread keeps the engine
    return;
  }
  --engine.waiting_for_marker_;
  Submission& caller = *passing->caller;
  caller.unit.failure = std::move(passing->unit.failure);
  passing.reset();
  caller.done(caller);
}

void EncryptedEngine::pass_on(std::unique_ptr<Passing> passing) {
  Submission& caller = *passing->caller;
  passing->done = end_passing;
  Status status = passing->sealed.seal(sealer_, caller.unit.commands);
  if (!status.ok()) {
    fail(caller.unit, std::move(status));
    passing.reset();  // the commands may be gone with the call below
    return caller.done(caller);
  }
  passing->sealed.lend();
  engine_->submit(*passing);
  static_cast<void>(passing.release());  // it may have ended already
}

void EncryptedEngine::end_passing(Submission& submission) noexcept {
  std::unique_ptr<Passing> passing(&static_cast<Passing&>(submission));
  Submission& caller = *passing->caller;
  passing->sealed.give_back();
  caller.unit.failure = std::move(passing->unit.failure);
  EncryptedEngine& engine = passing->engine;
  if (caller.unit.failure != nullptr) {
    clear_values(caller.unit.commands);
    if (engine.count_reset(caller.unit.failure.get())) {
      passing->unit.commands = {};
      passing->done = end_marking;
      return engine.thread_.post(*passing.release());  // nobody may wait here
    }
  } else {
    if (Status status = engine.sealer_.open_replies(caller.unit.commands); !status.ok()) {
      fail(caller.unit, std::move(status));
    }
  }
  passing.reset();
  caller.done(caller);  // the last handle may die inside
}

/// Whether it has been marked or not: what the call was told is what it reports.
void EncryptedEngine::end_marking(Submission& submission) noexcept {
  std::unique_ptr<Passing> passing(&static_cast<Passing&>(submission));
  Submission& caller = *passing->caller;
  passing.reset();
  caller.done(caller);
}

void EncryptedEngine::run_on_thread(Submission& submission) {
  if (submission.done == end_marking) return static_cast<void>(mark(submission.unit.timeout_ms).ok());
  if (submission.done == end_waiting) {
    Status status = stores_value(submission.unit) ? mark(submission.unit.timeout_ms) : Status();
    return fail(submission.unit, std::move(status));
  }
  execute(std::span(&submission.unit, 1));
}

// ---- transactions

Status EncryptedEngine::read(OptimisticTransaction& transaction, Unit& unit) {
  Scan* const scan = search_in(unit);
  Status status = scan == nullptr
                      ? engine_->read(transaction, unit)
                      : search(*scan, unit.timeout_ms, [&](Unit& page) { return engine_->read(transaction, page); });
  if (!status.ok()) {
    note_reset(&status.failure(), unit.timeout_ms);
    clear_values(unit.commands);
    return status;
  }
  return scan == nullptr ? sealer_.open_replies(unit.commands) : Status();
}

Status EncryptedEngine::commit(OptimisticTransaction& transaction, std::int64_t timeout_ms) {
  if (needs_marker() && stores_value(transaction)) TUSKV_RETURN_IF_ERROR(mark(timeout_ms));
  for (auto& write : transaction.writes) {
    if (write.kind != OptimisticTransaction::KeyWrite::Kind::put) continue;
    std::string stored;
    TUSKV_RETURN_IF_ERROR(sealer_.seal(write.key, write.value, stored));
    write.value = std::move(stored);
  }
  return noted(engine_->commit(transaction, timeout_ms), timeout_ms);
}

// ---- the marker

bool EncryptedEngine::count_reset(const Failure* failure) {
  if (failure == nullptr || failure->code != Code::StoreReset) return false;
  ++resets_;
  return was_marked_.load();
}

void EncryptedEngine::note_reset(const Failure* failure, std::int64_t timeout_ms) {
  if (count_reset(failure)) static_cast<void>(mark(timeout_ms).ok());
}

Status EncryptedEngine::mark(std::int64_t& timeout_ms) {
  const std::uint64_t resets = resets_.load();
  if (marked_for_.load() == resets) return {};
  const os::Deadline deadline = os::deadline_in(timeout_ms);
  Status status = mark_encrypted(*engine_, sealer_, timeout_ms);
  if (!status.ok()) {
    count_reset(&status.failure());
    return status;
  }
  marked_for_ = resets;
  was_marked_ = true;
  timeout_ms = os::time_left_ms(deadline);
  return {};
}

// ---- the rest

Result<Stats> EncryptedEngine::stats(std::int64_t timeout_ms) {
  Result<Stats> stats = noted(engine_->stats(timeout_ms), timeout_ms);
  if (!stats.ok()) return stats;
  stats.value().conflicts += plaintext_.conflicts();
  return stats;
}

Result<std::vector<Finding>> EncryptedEngine::diagnose(std::int64_t timeout_ms) {
  Result<std::vector<Finding>> findings = noted(engine_->diagnose(timeout_ms), timeout_ms);
  if (!findings.ok()) return findings;
  Findings own;
  own.ok("encryption", sealer_.description());
  for (Finding& finding : own.take()) findings.value().push_back(std::move(finding));
  return findings;
}

Status EncryptedEngine::close() {
  thread_.close();
  return engine_->close();
}

}  // namespace tuskv::encryption
