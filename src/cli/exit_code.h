// What the program tells its caller besides its output: an exit code by class of failure, and one line on stderr.
#pragma once

#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>

#include "tuskv/error.h"

namespace tuskv::cli {

enum class ExitCode : int {
  done = 0,
  no = 1,               ///< a missing key, a condition that did not hold, a warning of doctor
  usage = 2,            ///< the call, the URL or the input is wrong
  unavailable = 3,      ///< the store cannot be reached, or another program has it open
  timeout = 4,          ///< the deadline passed, and nothing was done
  outcome_unknown = 5,  ///< a write may or may not have taken effect
  corruption = 6,       ///< stored bytes are damaged or gone
  conflict = 7,         ///< others kept changing what the call read
  refused = 8,          ///< the stored value does not allow it: not an integer, overflow
  storage = 9,          ///< the disk is full or refuses, or the input or output cannot be read or written
  internal = 70,
};

/// The class of a failure reported by the library.
ExitCode exit_code(const Error& error) noexcept;

/// The lines of --help that explain the exit codes.
std::string_view exit_code_help() noexcept;

/// A wrong call or wrong input, in the words the user will read.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The input was there and the system could not read it.
class InputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// SIGINT, SIGTERM or SIGHUP asked a long verb to end.
class Interrupted : public std::exception {
 public:
  const char* what() const noexcept override { return "interrupted"; }
};

/// Writes `tuskv: MESSAGE` to stderr, as one line without control characters and passwords.
void complain(std::string_view message);

/// Says on stderr what the exception being handled means, behind `place`, and returns the exit code for it. A reader of
/// stdout that has gone away is not worth a line.
int report_current_exception(std::string_view place = {});

}  // namespace tuskv::cli
