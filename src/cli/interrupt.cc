#include "cli/interrupt.h"

#include <atomic>
#include <csignal>

#include "cli/exit_code.h"

namespace tuskv::cli {

namespace {

// The one global of the program: a signal handler can reach nothing else.
std::atomic<int> received_signal{0};
static_assert(std::atomic<int>::is_always_lock_free);

/// SIGHUP never is the second: from a terminal that goes away it comes twice, from the shell and from the system.
void remember_signal(int signal) {
  int none = 0;
  if (received_signal.compare_exchange_strong(none, signal) || signal == SIGHUP) return;
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

}  // namespace

void watch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = remember_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = 0;  // no SA_RESTART: a read that waits for input must end
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  if (!is_ignored(SIGHUP)) ::sigaction(SIGHUP, &action, nullptr);
}

bool is_ignored(int signal) noexcept {
  struct sigaction action = {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

void note_interrupt(int signal) noexcept { received_signal.store(signal); }

bool interrupted() noexcept { return received_signal.load() != 0; }

int interrupt_signal() noexcept { return received_signal.load(); }

void forget_interrupt() noexcept { received_signal.store(0); }

void stop_when_interrupted() {
  if (interrupted()) throw Interrupted();
}

void die_if_interrupted(int exit_code) {
  const int signal = interrupt_signal();
  if (!interrupted() || exit_code != 128 + signal) return;
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

}  // namespace tuskv::cli
