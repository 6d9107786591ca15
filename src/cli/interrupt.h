// SIGINT, SIGTERM and SIGHUP: long verbs look here between steps, end in order and close the store; then the program
// dies of the signal all the same.
#pragma once

namespace tuskv::cli {

/// Installs the handlers. A second SIGINT or SIGTERM while the first signal is not yet served ends the program at once.
/// SIGHUP, and it alone, stays ignored if it is, as below nohup.
void watch_interrupts();
/// Whether the program was started with the signal ignored, and nobody handles it.
bool is_ignored(int signal) noexcept;
/// As if a handler had taken the signal: for who takes signals otherwise.
void note_interrupt(int signal) noexcept;
bool interrupted() noexcept;
/// The signal that came, or 0.
int interrupt_signal() noexcept;
/// Forgets the signal: the shell goes on to its next line.
void forget_interrupt() noexcept;
/// Throws Interrupted when a signal has come.
void stop_when_interrupted();
/// The last thing that the program does. When the exit code says that the signal which came has ended it, it dies of
/// that signal: a shell makes the same number of it, and ends its script or loop, as it does not for who exits with
/// one.
void die_if_interrupted(int exit_code);

}  // namespace tuskv::cli
