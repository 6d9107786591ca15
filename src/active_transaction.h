// Which stores this thread runs a transaction function of. A call on such a store itself, instead of the Transaction,
// is a mistake that would not see the transaction's writes and could wait for itself, so it is refused.
#pragma once

#include "engine.h"

namespace tuskv {

/// Alive while the function runs, on its thread. Transactions of several stores nest.
class ActiveTransaction final {
 public:
  explicit ActiveTransaction(const Engine& engine) : engine_(engine), outer_(innermost_) { innermost_ = this; }
  ~ActiveTransaction() { innermost_ = outer_; }
  ActiveTransaction(const ActiveTransaction&) = delete;
  ActiveTransaction& operator=(const ActiveTransaction&) = delete;

  static bool runs_on(const Engine& engine) {
    const ActiveTransaction* active = innermost_;
    while (active != nullptr && &active->engine_ != &engine) active = active->outer_;
    return active != nullptr;
  }

 private:
  inline static constinit thread_local ActiveTransaction* innermost_ = nullptr;

  const Engine& engine_;
  ActiveTransaction* const outer_;
};

}  // namespace tuskv
