// What an operation says of keys as one range of stored keys. A range never leaves its namespace: behind the last key
// of namespace N, which starts with N and NUL, comes N and byte 0x01.
#pragma once

#include <string>
#include <string_view>

#include "commands.h"
#include "tuskv/types.h"
#include "view.h"

namespace tuskv {

/// The bytes behind the Range of a command.
struct StoredRange {
  std::string from;
  std::string to;
  Range range() const { return {.from = from, .to = to}; }
};

/// The stored keys of the view that `which` is about; those that its glob cannot match may be left out.
StoredRange stored_range(const View& view, const CountOptions& which);
Filter checked_filter(Bytes glob);
/// The cursor `after` as a stored key; empty when there is none.
std::string stored_cursor(const View& view, Bytes after);
/// The first bytes behind everything that starts with `prefix`; empty when nothing comes behind it.
std::string behind_prefix(std::string_view prefix);

}  // namespace tuskv
