#include "tuskv/error.h"

#include <utility>

namespace tuskv {
inline namespace v0 {

std::string_view to_string(Code code) noexcept {
  switch (code) {
    case Code::NotFound: return "NotFound";
    case Code::InvalidKey: return "InvalidKey";
    case Code::InvalidValue: return "InvalidValue";
    case Code::InvalidArgument: return "InvalidArgument";
    case Code::TooLarge: return "TooLarge";
    case Code::NotAnInteger: return "NotAnInteger";
    case Code::Overflow: return "Overflow";
    case Code::Connection: return "Connection";
    case Code::Timeout: return "Timeout";
    case Code::Conflict: return "Conflict";
    case Code::Busy: return "Busy";
    case Code::Closed: return "Closed";
    case Code::StoreReset: return "StoreReset";
    case Code::Corruption: return "Corruption";
    case Code::NoSpace: return "NoSpace";
    case Code::Io: return "Io";
    case Code::Encryption: return "Encryption";
    case Code::Serialization: return "Serialization";
    case Code::Unsupported: return "Unsupported";
    case Code::Config: return "Config";
    case Code::Internal: return "Internal";
  }
  return "unknown code";
}

std::string_view to_string(Outcome outcome) noexcept {
  switch (outcome) {
    case Outcome::not_applied: return "not_applied";
    case Outcome::applied: return "applied";
    case Outcome::unknown: return "unknown";
  }
  return "unknown outcome";
}

Error::Error(Code code, Outcome outcome, const std::string& message, std::string sqlstate)
    : std::runtime_error(message), code_(code), outcome_(outcome), sqlstate_(std::move(sqlstate)) {}

// Defined here, not in the header, so that a shared library holds the one type_info and a catch in the program finds
// it.
Error::Error(const Error&) = default;
Error& Error::operator=(const Error&) = default;
Error::~Error() = default;

bool Error::retryable() const noexcept {
  if (outcome_ != Outcome::not_applied) return false;
  switch (code_) {
    case Code::Connection:
    case Code::Timeout:
    case Code::Conflict:
    case Code::Busy:
    case Code::NoSpace: return true;
    default: return false;
  }
}

}  // namespace v0
}  // namespace tuskv
