// The oracle of a program that is killed: how each step of its workload went, kept outside of the store where no kill
// can take it back. The steps follow from mix, level and seed, so a byte for each is enough. The idea is RocksDB's
// expected-state file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "crash/history.h"
#include "crash/step.h"
#include "kill/shared_pages.h"
#include "support/manual_clock.h"

namespace tuskv::test {

class StepLedger final {
 public:
  enum class State : std::uint8_t {
    untouched,
    started,  ///< intent: it may be there or not
    done,     ///< acknowledged
    refused,  ///< failed without effect
    unknown,  ///< failed, and nobody could say whether it took effect
    lost,     ///< a reopened store has shown that it is not there
  };

  StepLedger(const std::string& path, std::vector<Step> steps);

  const std::vector<Step>& steps() const { return steps_; }
  /// Of the next step to perform.
  std::size_t position() const;
  void set(std::size_t step, State state);
  std::size_t count(State state) const;

  /// What a reopened store is compared with.
  struct Account {
    History history;
    std::int64_t now_us = ManualClock().now_us();
    Durability durability = Durability::durable;  ///< of the last opening that is known to have succeeded
    std::vector<std::size_t> writes = {};         ///< the step of each write in the history
  };
  Account account(Durability durability) const;
  /// A reopened store has shown the first `count` writes of the account and no others.
  void adopt(const Account& account, std::size_t count);

 private:
  struct Layout;
  State state(std::size_t step) const;
  void replay_write(std::size_t step, Account& account) const;

  std::vector<Step> steps_;
  SharedPages pages_;
  Layout& layout_;
};

}  // namespace tuskv::test
