#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "tuskv/export.h"

namespace tuskv {
inline namespace v0 {

/// What went wrong. Each code says what a caller can do next.
enum class Code {
  NotFound,         ///< `get_or_throw` met an absent key, or `Decoded::value` a position without a value. No other call
                    ///< reports absence as an error.
  InvalidKey,       ///< The key or namespace breaks a limit. Fix the call.
  InvalidValue,     ///< The value breaks a rule other than size. Fix the call.
  InvalidArgument,  ///< Another argument breaks a rule. Fix the call.
  TooLarge,         ///< The value or the batch is over its limit. Fix the call.
  NotAnInteger,     ///< The stored value is not a decimal integer; it is unchanged.
  Overflow,         ///< The counter would leave 64 bits or the given bounds; it is unchanged.
  Connection,       ///< The server cannot be reached.
  Timeout,          ///< The deadline passed; `outcome()` says what is known of a write.
  Conflict,       ///< Others kept changing what a transaction, an update, a lock or a claim had read; retries are used
                  ///< up.
  Busy,           ///< Another process, or another Store of this one, has the directory open; or too many calls wait.
  Closed,         ///< The store is closed, or the transaction has ended.
  StoreReset,     ///< The server emptied an unlogged table: what was stored is gone.
  Corruption,     ///< Damaged bytes; the message names the file and the offset. Run `tuskv check`.
  NoSpace,        ///< The disk or the quota is full. Nothing was applied; erases may still work.
  Io,             ///< The system refused a file operation.
  Encryption,     ///< A value cannot be decrypted with the given keys.
  Serialization,  ///< A codec refused a value.
  Unsupported,    ///< This engine, or this build, does not offer it.
  Config,         ///< An option, a URL or an existing directory does not fit.
  Internal,       ///< A bug of tuskv. Please report it.
};

/// The name of a code as it is written above, for example "NotFound".
TUSKV_API std::string_view to_string(Code code) noexcept;

/// What is known of the effect of the failed call.
enum class Outcome {
  not_applied,  ///< It certainly had no effect, and never will.
  applied,      ///< It took effect although the call failed.
  unknown,      ///< It may or may not have taken effect: read before trying again.
};

TUSKV_API std::string_view to_string(Outcome outcome) noexcept;

/// The one exception type of tuskv, but for the std::bad_alloc of the standard library. Thread-safety: as any value.
class TUSKV_API Error : public std::runtime_error {
 public:
  Error(Code code, Outcome outcome, const std::string& message, std::string sqlstate = {});
  Error(const Error&);
  Error& operator=(const Error&);
  ~Error() override;

  Code code() const noexcept { return code_; }
  Outcome outcome() const noexcept { return outcome_; }
  /// True when the call certainly had no effect and the same call may succeed later. Not for StoreReset, of which both
  /// is true: the call would succeed, on a store that has lost what it was made for.
  bool retryable() const noexcept;
  /// The five-character SQLSTATE when PostgreSQL reported the error, otherwise empty. 42P01 (no such table) also when a
  /// store is opened with create=false before its table is there, and then of no other table.
  const std::string& sqlstate() const noexcept { return sqlstate_; }

 private:
  Code code_;
  Outcome outcome_;
  std::string sqlstate_;
};

}  // namespace v0
}  // namespace tuskv
