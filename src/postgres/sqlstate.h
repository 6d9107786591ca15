// The one table that says what an error of the server means for a caller.
#pragma once

#include <cstdint>
#include <string_view>

#include "status.h"
#include "tuskv/error.h"

namespace tuskv::postgres {

struct ErrorClass {
  /// What can be done about it, by the engine itself.
  enum class Remedy : std::uint8_t {
    none,       ///< tell the caller
    retry,      ///< nothing was applied, and the same again may work at once
    alone,      ///< nothing was applied; in a batch, its units may work one by one
    reconnect,  ///< nothing was applied; another connection may work
  };
  Code code = Code::Internal;
  Outcome outcome = Outcome::not_applied;
  Remedy remedy = Remedy::none;
};

/// An error response always means that the transaction was rolled back, except where the table says otherwise.
ErrorClass classify(std::string_view sqlstate);
/// The same for one that has ended the session, after something had been sent: a pooler that has lost its server says
/// so, too, and does not know what that had done.
ErrorClass classify_fatal(std::string_view sqlstate);

/// Somebody else held a row, or the table, for longer than the statement may wait, and that is all that has happened:
/// with the connection lost behind it, what was sent in the same breath is unknown.
inline bool is_lock_timeout(const Failure& failure) {
  return failure.outcome == Outcome::not_applied && failure.sqlstate == "55P03";
}
inline bool is_lock_timeout(const Status& status) { return !status.ok() && is_lock_timeout(status.failure()); }

}  // namespace tuskv::postgres
