// What is said on stderr, and the exit code that goes with it.
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <new>
#include <string>

#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/secrets.h"

namespace tuskv::cli {

void complain(std::string_view message) {
  std::string line = "tuskv: " + escaped_line(without_passwords(message)) + "\n";
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // nowhere left to say it
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

namespace {

/// What to do about damage is said once, here, and not in each of the texts that name it.
std::string advised(const Error& error) {
  std::string message = error.what();
  if (error.code() != Code::Corruption || !error.sqlstate().empty()) return message;
  return message.find("tuskv ") == std::string::npos ? message + ": run tuskv check" : message;
}

}  // namespace

int report_current_exception(std::string_view place) {
  const auto fail = [place](std::string_view message, ExitCode code) {
    complain(std::string(place) + std::string(message));
    return static_cast<int>(code);
  };
  try {
    throw;
  } catch (const Error& error) {
    return fail(advised(error), exit_code(error));
  } catch (const UsageError& error) {
    return fail(error.what(), ExitCode::usage);
  } catch (const InputError& error) {
    return fail(error.what(), ExitCode::storage);
  } catch (const OutputError& error) {
    if (error.error() == EPIPE) return 128 + SIGPIPE;
    return fail(error.what(), ExitCode::storage);
  } catch (const Interrupted&) {
    return 128 + interrupt_signal();
  } catch (const std::bad_alloc&) {
    return fail("out of memory", ExitCode::storage);
  } catch (const std::exception& error) {
    return fail(std::string("internal error: ") + error.what(), ExitCode::internal);
  } catch (...) {
    return fail("internal error", ExitCode::internal);
  }
}

}  // namespace tuskv::cli
