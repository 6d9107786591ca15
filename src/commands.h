// Commands are data. Everything a program can ask of a store is a unit of these eight commands, so that batching,
// transactions, asynchronous calls and, later, a protocol server all use one path. A command carries its arguments
// (lent bytes, valid until the unit has ended) and room for its reply.
//
// Keys are *stored keys*: namespace, NUL, key. A namespace holds no NUL, so no two namespaces can meet (the root
// namespace is the empty name).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "status.h"
#include "tuskv/types.h"

namespace tuskv {

/// Judged on the live entry, in the same atomic step as the command's effect.
struct Condition {
  enum class Kind : std::uint8_t { always, absent, present, equals, version };
  Kind kind = Kind::always;
  std::uint64_t version = 0;
  std::string_view bytes = {};
};

struct Expiry {
  enum class Kind : std::uint8_t {
    never,
    keep,      ///< that of the live entry
    after,     ///< `value` milliseconds from the store's now
    at_least,  ///< the same, or that of the live entry where that is later; for a Touch
    at,        ///< `value` microseconds since 1970; in the past = the entry is gone
  };
  Kind kind = Kind::never;
  std::int64_t value = 0;
};

enum class Want : std::uint8_t { nothing, meta, value };

/// The live entry a command was judged on, before its effect.
struct Seen {
  bool found = false;
  std::uint64_t version = 0;
  std::int64_t expires_us = 0;  ///< 0: does not expire
  std::int64_t created_us = 0;
  std::int64_t updated_us = 0;
  std::string value = {};  ///< when asked for, or when a condition `equals` or `version` did not hold
};

struct Read {
  std::string_view key = {};
  Want want = Want::value;
  std::string* into = nullptr;  ///< where the value goes; never null when want is `value`
  bool stamps = true;           ///< false: of `seen` only `found` is looked at, the rest may stay empty
  Seen seen = {};               ///< its `value` stays empty
};

/// A put under no condition that wants nothing back (plain) may be done without looking: its `seen` and `version` then
/// stay empty.
struct Put {
  std::string_view key = {};
  std::string_view value = {};
  Condition condition = {};
  Expiry expiry = {};
  bool want_previous = false;
  bool applied = false;
  bool erased = false;        ///< its instant had passed: what was there is gone, and nothing was written
  std::uint64_t version = 0;  ///< of the entry written
  Seen seen = {};
};

struct Erase {
  std::string_view key = {};
  Condition condition = {};
  bool want_previous = false;
  bool applied = false;  ///< the condition held; seen.found tells whether something was removed
  Seen seen = {};
};

struct Touch {
  std::string_view key = {};
  Condition condition = {};  ///< in addition, the entry must be live
  Expiry expiry = {};
  Want want = Want::meta;
  bool applied = false;
  Seen seen = {};
};

/// Adds to a counter kept as canonical decimal text. Fails the unit with NotAnInteger, or Overflow beyond 64 bits.
struct Add {
  std::string_view key = {};
  std::uint64_t magnitude = 0;
  bool negative = false;
  std::int64_t min = INT64_MIN;
  std::int64_t max = INT64_MAX;
  Expiry if_created = {};
  bool applied = false;    ///< false: the sum would leave [min, max]; nothing changed
  std::int64_t value = 0;  ///< after when applied, otherwise the present one
  std::uint64_t version = 0;
  std::int64_t expires_us = 0;
  char digits[20] = {};  ///< the new value's text
};

/// Stored keys in [from, to); an empty `to` means no end.
struct Range {
  std::string_view from = {};
  std::string_view to = {};
};

/// Which entries are wanted. A glob looks at the key behind `key_offset`, the other kinds at the value; filter.h
/// judges.
struct Filter {
  enum class Kind : std::uint8_t {
    none,
    glob,
    contains,  ///< the value holds the bytes of `pattern`
    field,     ///< the value is a JSON object whose top-level member `pattern` is `value`
  };
  /// What a member has to be.
  enum class Type : std::uint8_t {
    null,
    boolean_false,
    boolean_true,
    number,  ///< `value` is canonical (json_member.h)
    string,  ///< `value` is the string's bytes
    text,    ///< a string that is `value`, a number written so, "true" or "false"
  };
  Kind kind = Kind::none;
  Type type = Type::null;
  bool ignore_case = false;  ///< contains: letters of ASCII are alike; those of `pattern` are small
  std::string_view pattern = {};
  std::string_view value = {};
};

/// The live entries that were looked at, matching or not: the same number and sum again mean that nothing has changed.
struct Examined {
  std::uint64_t entries = 0;
  std::uint64_t fingerprint = 0;     ///< a sum over the entries
  std::int64_t ends_us = INT64_MAX;  ///< the earliest end of one of them
  std::uint64_t latest_version = 0;  ///< of one of them
  // Of those that had ended, the latest of each.
  std::uint64_t ended_version = 0;
  std::int64_t ended_us = INT64_MIN;
};

/// A page: of one entry at least, until the values that it gives, or looks at for its filter, come to kScanBytesMax.
struct Scan {
  Range range = {};
  std::string_view after = {};  ///< stored key; exclusive; empty = from the start
  Filter filter = {};
  std::size_t limit = 100;
  std::size_t max_examined = 0;  ///< 0: kScanExaminedMax
  std::size_t key_offset = 0;    ///< bytes of namespace cut off the keys of the reply
  bool reverse = false;
  bool include_expired = false;
  Want want = Want::value;

  std::vector<Entry> entries = {};
  std::string next = {};   ///< stored key of the last entry examined; empty: the range is exhausted
  Examined examined = {};  ///< an engine's own note, for transactions
};

struct Count {
  Range range = {};
  Filter filter = {};  ///< one of keys
  std::size_t key_offset = 0;
  std::uint64_t count = 0;
};

struct EraseRange {
  Range range = {};
  std::uint64_t erased = 0;  ///< live entries
};

using Command = std::variant<Read, Put, Erase, Touch, Add, Scan, Count, EraseRange>;

/// An atomic, ordered group of commands: later ones see the effects of earlier ones; all take effect or none. Scan,
/// Count and EraseRange stand alone in a unit. Pages and counts are not atomic against concurrent writes (transactions
/// validate them).
struct Unit {
  std::span<Command> commands = {};
  /// When one command's condition does not hold, none is applied.
  bool require_all = false;
  /// From the start of the call; the clock is read only before something blocks. An engine may take from it what it
  /// has used.
  std::int64_t timeout_ms = 5000;
  /// Null when the unit succeeded.
  std::unique_ptr<Failure> failure = {};
};

}  // namespace tuskv
