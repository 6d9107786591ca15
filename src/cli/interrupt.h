// SIGINT and SIGTERM: long verbs look here between steps, end in order and close the store.
#pragma once

namespace tuskv::cli {

/// Installs the handlers. A second signal while the first is not yet served ends the program at once.
void watch_interrupts();
bool interrupted() noexcept;
/// The signal that came, or 0.
int interrupt_signal() noexcept;
/// Forgets the signal: the shell goes on to its next line.
void forget_interrupt() noexcept;
/// Throws Interrupted when a signal has come.
void stop_when_interrupted();

}  // namespace tuskv::cli
