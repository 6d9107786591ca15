// What a command does to an entry, as a pure function: state, command and time give a change and a reply. Both engines
// use it, so every condition, expiry and counter means the same on each. Nothing here reads a clock, locks, or touches
// a disk.
#pragma once

#include <cstdint>
#include <string_view>

#include "commands.h"
#include "status.h"

namespace tuskv {

/// The entry as the command finds it. A dead entry is given as absent: `found` false.
struct EntryState {
  bool found = false;
  std::uint64_t version = 0;
  std::int64_t expires_us = 0;
  std::int64_t created_us = 0;
  std::int64_t updated_us = 0;
  std::string_view value = {};
};

/// What becomes of the entry. Views point into the command or the state.
struct PlannedChange {
  enum class Kind : std::uint8_t { none, put, erase, touch };
  Kind kind = Kind::none;
  std::string_view value = {};  ///< put
  std::int64_t expires_us = 0;  ///< put, touch; 0: never
  std::int64_t created_us = 0;  ///< put, touch
  std::int64_t updated_us = 0;  ///< put, touch
};

/// The one liveness rule.
constexpr bool is_live(std::int64_t expires_us, std::int64_t now_us) { return expires_us == 0 || now_us < expires_us; }

/// Plans one keyed command (Read, Put, Erase, Touch, Add): fills its reply, except `version`, and says what changes.
/// Fails with NotAnInteger or Overflow, then nothing changes. `version` is known only when the change is committed: see
/// set_version.
Status plan(const EntryState& state, Command& command, std::int64_t now_us, PlannedChange& change);

/// The stored key of a keyed command.
std::string_view command_key(const Command& command);
/// True for Put, Erase, Touch and Add.
bool is_keyed_write(const Command& command);
/// False when a condition or a bound kept the command from taking effect.
bool is_applied(const Command& command);
/// Takes back the reply `applied` of a command whose unit was not applied.
void clear_applied(Command& command);
/// Fills the `version` of the reply once the change has been given one.
void set_version(Command& command, std::uint64_t version);

/// Canonical decimal text (optional minus, no leading zeros, no "-0", fits 64 bits); false otherwise.
bool parse_counter(std::string_view text, std::int64_t& value);

}  // namespace tuskv
