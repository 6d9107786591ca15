// tuskv, the command line. It uses the public headers alone.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include "cli/arguments.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/secrets.h"

namespace tuskv::cli {

namespace {

/// Descriptors 0 to 2 must be taken, or the first file of the store gets one and our output lands in it. What was
/// closed stays unusable: reading gives nothing, writing fails.
void hold_standard_descriptors() {
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) >= 0 || errno != EBADF) continue;
    if (::open("/dev/null", O_RDONLY) != descriptor) ::_exit(static_cast<int>(ExitCode::storage));
  }
}

void set_up_signals() {
  ::signal(SIGPIPE, SIG_IGN);  // a reader that went away is an EPIPE, after which the store is closed in order
  ::signal(SIGXFSZ, SIG_IGN);  // a file size limit is an error of the write that met it
  watch_interrupts();
}

/// 0, or what the failure to close means: the verb may have seen its write accepted, but it is not kept.
int close(Session& session) {
  try {
    session.close();
    return 0;
  } catch (...) {
    return report_current_exception();
  }
}

int run_program(const std::vector<std::string>& words) {
  Settings defaults;
  // One that is there and empty was meant to name a store, and is refused as any URL that is empty.
  if (const char* const store = ::getenv("TUSKV_STORE"); store != nullptr) defaults.store = store;
  try {
    const Invocation invocation = parse(words, defaults, Place::command_line);
    Session session(invocation.settings->store, invocation.settings->timeout);
    Output output(STDOUT_FILENO, "standard output");
    const int code = run(invocation, session, output, Caller::program);
    const int close_code = close(session);
    return code > static_cast<int>(ExitCode::no) ? code : std::max(code, close_code);
  } catch (...) {
    return report_current_exception();
  }
}

}  // namespace
}  // namespace tuskv::cli

int main(int argc, char** argv) {
  tuskv::cli::hold_standard_descriptors();
  tuskv::cli::set_up_signals();
  const std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
  std::for_each(argv, argv + argc, tuskv::cli::hide_passwords);
  const int exit_code = tuskv::cli::run_program(words);
  tuskv::cli::die_if_interrupted(exit_code);
  return exit_code;
}
