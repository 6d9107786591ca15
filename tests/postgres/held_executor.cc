#include "postgres/held_executor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <new>
#include <utility>
#include <variant>

namespace tuskv::test {
namespace {

/// Long enough for any machine; reached only when something is broken.
constexpr std::chrono::seconds kPatience(20);

std::string_view key_of(const Command& command) {
  return std::visit(
      []<class C>(const C& c) -> std::string_view {
        if constexpr (requires { c.key; }) return c.key;
        return {};
      },
      command);
}

}  // namespace

void HeldExecutor::answer(Unit& unit) {
  for (Command& command : unit.commands) {
    if (key_of(command).starts_with("bad")) {
      unit.failure = std::make_unique<Failure>(Failure{.code = Code::NotAnInteger, .message = "bad key"});
      return;
    }
    if (Read* const read = std::get_if<Read>(&command)) {
      read->seen.found = true;
      if (read->into != nullptr) *read->into = value_of(read->key);
    } else if (Put* const put = std::get_if<Put>(&command)) {
      put->applied = true;
    }
  }
}

void HeldExecutor::run(postgres::Lane lane, std::span<postgres::BatchMember* const> members, os::Deadline deadline) {
  Run run{.lane = lane, .members = members.size(), .deadline = deadline, .thread = std::this_thread::get_id()};
  for (postgres::BatchMember* const member : members) {
    if (!member->pin()) continue;
    for (const Unit& unit : member->units()) {
      for (const Command& command : unit.commands) run.keys.emplace_back(key_of(command));
    }
    if (!holds_unsent()) member->note_sent();
    member->unpin();
  }
  const bool is_huge =
      std::any_of(run.keys.begin(), run.keys.end(), [](const auto& key) { return key.starts_with("huge"); });
  std::size_t number = 0;
  {
    os::MutexLock lock(mutex_);
    number = runs_.size();
    runs_.push_back(std::move(run));
    changed_.notify_all();
  }
  wait_for_release(number);
  if (is_huge) throw std::bad_alloc();
  for (postgres::BatchMember* const member : members) {
    if (!member->pin()) continue;
    for (Unit& unit : member->units()) answer(unit);
    member->unpin();
  }
}

void HeldExecutor::wait_for_release(std::size_t run) {
  os::MutexLock lock(mutex_);
  while (run >= released_) changed_.wait(mutex_);
}

void HeldExecutor::hold() {
  os::MutexLock lock(mutex_);
  released_ = runs_.size();
}

void HeldExecutor::hold_unsent() {
  hold();
  os::MutexLock lock(mutex_);
  holds_unsent_ = true;
}

bool HeldExecutor::holds_unsent() {
  os::MutexLock lock(mutex_);
  return holds_unsent_;
}

void HeldExecutor::release(std::size_t run) {
  os::MutexLock lock(mutex_);
  released_ = std::max(released_, run + 1);
  changed_.notify_all();
}

void HeldExecutor::release_all() { release(SIZE_MAX - 1); }

std::vector<HeldExecutor::Run> HeldExecutor::wait_for_runs(std::size_t count) {
  const os::Deadline deadline = std::chrono::steady_clock::now() + kPatience;
  os::MutexLock lock(mutex_);
  while (runs_.size() < count) {
    if (changed_.wait_until(mutex_, deadline)) continue;
    ADD_FAILURE() << "only " << runs_.size() << " of " << count << " batches were sent";
    break;
  }
  return runs_;
}

std::vector<HeldExecutor::Run> HeldExecutor::runs() {
  os::MutexLock lock(mutex_);
  return runs_;
}

}  // namespace tuskv::test
