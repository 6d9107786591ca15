#include "throw.h"

#include "tuskv/bytes.h"

namespace tuskv {

void throw_failure(const Failure& failure) {
  throw Error(failure.code, failure.outcome, failure.message, failure.sqlstate);
}

void throw_refused(Code code, const std::string& message) { throw Error(code, Outcome::not_applied, message); }

inline namespace v0 {
namespace detail {

void throw_null_bytes() {
  throw_refused(Code::InvalidArgument, "a null pointer was given where a key, a value or other bytes are expected");
}

}  // namespace detail
}  // namespace v0
}  // namespace tuskv
