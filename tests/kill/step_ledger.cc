#include "kill/step_ledger.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>

namespace tuskv::test {
namespace {

constexpr std::size_t kStepsMax = 4000;

}  // namespace

/// Zeros are a ledger of which nothing has happened yet.
struct StepLedger::Layout {
  std::atomic<std::uint32_t> adopted;  ///< a store has been compared before this step: what was done is on the disk
  std::atomic<State> states[kStepsMax];
};

StepLedger::StepLedger(const std::string& path, std::vector<Step> steps)
    : steps_(std::move(steps)), pages_(path, sizeof(Layout)), layout_(*static_cast<Layout*>(pages_.data())) {
  steps_.resize(std::min(steps_.size(), kStepsMax));
}

StepLedger::State StepLedger::state(std::size_t step) const { return layout_.states[step].load(); }

void StepLedger::set(std::size_t step, State state) { layout_.states[step].store(state); }

std::size_t StepLedger::position() const {
  std::size_t next = 0;
  while (next < steps_.size() && state(next) != State::untouched) ++next;
  return next;
}

std::size_t StepLedger::count(State wanted) const {
  std::size_t found = 0;
  for (std::size_t step = 0; step < steps_.size(); ++step) found += state(step) == wanted ? 1 : 0;
  return found;
}

void StepLedger::replay_write(std::size_t step, Account& account) const {
  const State how = state(step);
  if (how == State::refused || how == State::lost) return;
  if (account.history.started() != account.history.acknowledged()) account.writes.pop_back();
  account.history.start(steps_[step], account.now_us);
  account.writes.push_back(step);
  if (how == State::done) account.history.acknowledge();
}

StepLedger::Account StepLedger::account(Durability durability) const {
  Account account{.history = History(durability), .durability = durability};
  const std::size_t end = position();
  for (std::size_t i = 0; i <= end; ++i) {
    if (i == layout_.adopted.load()) account.history.secure(account.history.acknowledged());
    if (i == end) break;
    const Step& step = steps_[i];
    if (is_write(step)) {
      replay_write(i, account);
    } else if (step.kind == Step::Kind::advance) {
      account.now_us += step.number * 1000;
    } else if (state(i) == State::done && step.kind == Step::Kind::reopen) {
      account.durability = static_cast<Durability>(step.number);
      account.history.set_durability(account.durability);
      account.history.secure(account.history.acknowledged());
    } else if (state(i) == State::done && (step.kind == Step::Kind::sync || step.kind == Step::Kind::snapshot)) {
      account.history.secure(account.history.acknowledged());
    }
  }
  return account;
}

void StepLedger::adopt(const Account& account, std::size_t count) {
  for (std::size_t i = 0; i < account.writes.size(); ++i) {
    set(account.writes[i], i < count ? State::done : State::lost);
  }
  layout_.adopted.store(static_cast<std::uint32_t>(position()));
}

}  // namespace tuskv::test
