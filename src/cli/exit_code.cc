#include "cli/exit_code.h"

namespace tuskv::cli {

namespace {

ExitCode class_of(Code code) noexcept {
  switch (code) {
    case Code::NotFound: return ExitCode::no;
    case Code::InvalidKey: return ExitCode::usage;
    case Code::InvalidValue: return ExitCode::usage;
    case Code::InvalidArgument: return ExitCode::usage;
    case Code::TooLarge: return ExitCode::usage;
    case Code::NotAnInteger: return ExitCode::refused;
    case Code::Overflow: return ExitCode::refused;
    case Code::Connection: return ExitCode::unavailable;
    case Code::Timeout: return ExitCode::timeout;
    case Code::Conflict: return ExitCode::conflict;
    case Code::Busy: return ExitCode::unavailable;
    case Code::Closed: return ExitCode::unavailable;
    case Code::StoreReset: return ExitCode::corruption;
    case Code::Corruption: return ExitCode::corruption;
    case Code::NoSpace: return ExitCode::storage;
    case Code::Io: return ExitCode::storage;
    case Code::Encryption: return ExitCode::refused;
    case Code::Serialization: return ExitCode::refused;
    case Code::Unsupported: return ExitCode::usage;
    case Code::Config: return ExitCode::usage;
    case Code::Internal: return ExitCode::internal;
  }
  return ExitCode::internal;
}

}  // namespace

ExitCode exit_code(const Error& error) noexcept {
  // Whatever went wrong, a caller must first know that the write may have happened.
  if (error.outcome() == Outcome::unknown) return ExitCode::outcome_unknown;
  return class_of(error.code());
}

std::string_view exit_code_help() noexcept {
  return "Exit codes:\n"
         "  0   done\n"
         "  1   no: the key is missing, the condition is false, or doctor warns\n"
         "  2   wrong usage, URL, option or input\n"
         "  3   unavailable: no connection, or another program has the store open\n"
         "  4   the deadline passed and nothing was done\n"
         "  5   the outcome of a write is unknown\n"
         "  6   stored data is damaged or lost\n"
         "  7   conflict: others kept changing what was read\n"
         "  8   refused by the stored value: not an integer, or overflow\n"
         "  9   disk full, input/output error, or the output could not be written\n"
         "  70  a bug of tuskv\n"
         "  128 and more: ended by a signal, its number added (as a shell shows it)\n";
}

}  // namespace tuskv::cli
