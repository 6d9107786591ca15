// Whether this process is a fork of the one that made the guard. Threads and locks do not survive a fork, so a store
// must not be used in a child. Asking must cost next to nothing: every call asks.
#pragma once

#include <sys/types.h>

namespace tuskv::os {

/// Thread-safe.
class ForkGuard final {
 public:
  ForkGuard();
  ~ForkGuard();
  ForkGuard(const ForkGuard&) = delete;
  ForkGuard& operator=(const ForkGuard&) = delete;

  bool in_child() const { return page_ != nullptr ? *page_ == 0 : is_other_process(); }

 private:
  bool is_other_process() const;

  /// A page the kernel hands to a child zeroed; null where it cannot do so (then the process id is compared).
  volatile char* page_ = nullptr;
  pid_t pid_;
};

}  // namespace tuskv::os
