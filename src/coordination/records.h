// What the spaces of coordination keep (reserved.h), as values. Persistent formats: programs of several versions may
// share a store, so what is not understood is refused and never taken for free.
//
//   lock    = DQUOTE "1 " token SP owner DQUOTE    ; under the name of the lock, expires with it
//   token   = number                               ; the last token given, one counter for many locks, never expires
//   claim   = DQUOTE "1 " owner DQUOTE             ; under the claimed name
//   owned   = "1"                                  ; under owner and claimed name; expires with the claim
//   rate    = number                               ; what the running window has granted; expires with it
//   number  = "0" / %x31-39 *DIGIT                 ; what the command Add keeps
//   owner   = 1*(plain / "%" 2HEX)                 ; plain: letters, digits and - . _ ~ : / @ + ; HEX in upper case
//
// The digit behind the quote is the version of the format. Each is a JSON document that PostgreSQL writes as it was
// given, so that they live in a table of jsonb as in any other, and equal bytes are equal records.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tuskv::coordination {

struct LockRecord {
  std::uint64_t token = 0;
  std::string owner = {};
};

std::string encode_lock(std::uint64_t token, std::string_view owner);
/// Nothing when these are not bytes that encode_lock makes.
std::optional<LockRecord> decode_lock(std::string_view record);

std::string encode_claim(std::string_view owner);
/// The owner; nothing when these are not bytes that encode_claim makes.
std::optional<std::string> decode_claim(std::string_view record);

inline constexpr std::string_view kOwnedRecord = "1";

/// Nothing when these are not the bytes of a `number`.
std::optional<std::int64_t> decode_number(std::string_view record);

/// Serialization, naming the key: what is stored there is no record of ours.
[[noreturn]] void throw_unknown_record(std::string_view what, std::string_view stored_key);

}  // namespace tuskv::coordination
