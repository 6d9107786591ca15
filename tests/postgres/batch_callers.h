// Callers of a Batcher, as threads and as submissions. Their units and bytes lie on the heap and are freed as soon as
// the contract allows, so that a sanitizer sees whoever touches them later.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "os/wait_word.h"
#include "postgres/batcher.h"

namespace tuskv::test {

inline constexpr std::int64_t kPatientMs = 60'000;
/// Only so long that a deadline passes: nothing waits for it that the test could make happen itself.
inline constexpr std::int64_t kShortMs = 30;

/// How a unit ended.
struct Ending {
  std::optional<Code> code = {};
  Outcome outcome = Outcome::applied;
  std::string value = {};  ///< of a Read

  bool ok() const { return !code.has_value(); }
};

/// One call: what it names.
struct Call {
  std::string key = {};
  bool write = false;
  postgres::Lane lane = postgres::Lane::read;
  std::int64_t timeout_ms = kPatientMs;
  std::optional<os::Deadline> held_since = {};
};

/// A unit of one command, and everything it names.
struct OwnedUnit {
  explicit OwnedUnit(const Call& call) : key(call.key), value(call.write ? "written" : "") {
    if (call.write) {
      command = Put{.key = key, .value = value};
    } else {
      command = Read{.key = key, .into = &value};
    }
  }
  OwnedUnit(const OwnedUnit&) = delete;
  OwnedUnit& operator=(const OwnedUnit&) = delete;

  Unit unit(const Call& call) { return {.commands = {&command, 1}, .timeout_ms = call.timeout_ms}; }
  Ending ending(const Unit& ended) const {
    if (ended.failure == nullptr) return {.value = value};
    return {.code = ended.failure->code, .outcome = ended.failure->outcome};
  }

  std::string key;
  std::string value;
  Command command;
};

inline Ending execute(postgres::Batcher& batcher, const Call& call) {
  const auto owned = std::make_unique<OwnedUnit>(call);
  const auto unit = std::make_unique<Unit>(owned->unit(call));
  batcher.execute(call.lane, {unit.get(), 1}, call.held_since);
  return owned->ending(*unit);
}

/// A blocking call on a thread of its own.
class Caller final {
 public:
  Caller(postgres::Batcher& batcher, Call call)
      : thread_([this, &batcher, call = std::move(call)] {
          ending_ = execute(batcher, call);
          returned_ = true;
        }) {}
  ~Caller() {
    if (thread_.joinable()) thread_.join();
  }
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  /// Before ending().
  std::thread::id thread() const { return thread_.get_id(); }
  bool returned() const { return returned_; }
  Ending ending() {
    if (thread_.joinable()) thread_.join();
    return ending_;
  }

 private:
  Ending ending_ = {};
  std::atomic<bool> returned_ = false;
  std::thread thread_;
};

/// A submission, and how it ended. The submission destroys itself when it is done; this outlives it.
class Submitter final {
 public:
  Submitter(postgres::Batcher& batcher, const Call& call) {
    batcher.submit(call.lane, *std::make_unique<Pending>(*this, call).release(), call.held_since);
  }
  /// Waits for the end.
  ~Submitter() { ending(); }
  Submitter(const Submitter&) = delete;
  Submitter& operator=(const Submitter&) = delete;

  Ending ending() const {
    while (ends_.value() == 0) ends_.wait(0);
    return ending_;
  }
  /// How often it has been told.
  std::uint32_t ends() const { return ends_.value(); }
  std::thread::id thread() const { return thread_; }

 private:
  struct Pending final : Submission {
    Pending(Submitter& by, const Call& call) : submitter(by), owned(call) {
      unit = owned.unit(call);
      done = &ended;
    }
    static void ended(Submission& submission) noexcept {
      const std::unique_ptr<Pending> self(static_cast<Pending*>(&submission));
      Submitter& submitter = self->submitter;
      submitter.ending_ = self->owned.ending(self->unit);
      submitter.thread_ = std::this_thread::get_id();
      submitter.ends_.advance();
    }

    Submitter& submitter;
    OwnedUnit owned;
  };

  Ending ending_ = {};
  std::thread::id thread_ = {};
  os::WaitWord ends_;
};

}  // namespace tuskv::test
