// The one table of open options. URL parsing, range checks, error texts and `--help` come from it; a test compares the
// comments of options.h with it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "status.h"
#include "tuskv/options.h"

namespace tuskv {

/// No file, where a path is written down: an empty one would be a variable that was not set.
inline constexpr std::string_view kNoPath = "none";

enum class OptionKind : std::uint8_t {
  duration,
  bytes,
  count,
  boolean,
  durability,
  ttl_mode,
  prepare,
  value_type,
  identifier,
  path,
};

/// The engines that take an option; the others refuse it in their URLs.
struct OptionEngines {
  bool memory = true;
  bool file = true;
  bool postgres = true;
};
inline constexpr OptionEngines kFileOnly = {.memory = false, .postgres = false};
inline constexpr OptionEngines kPostgresOnly = {.memory = false, .file = false};
inline constexpr OptionEngines kKeepingEngines = {.memory = false};

struct OptionRow {
  using Field = std::variant<Duration Options::*, std::size_t Options::*, bool Options::*, Durability Options::*,
                             TtlMode Options::*, PrepareMode Options::*, ValueType Options::*, std::string Options::*>;
  std::string_view name;
  OptionKind kind;
  Field field;
  OptionEngines engines = {};
  /// Milliseconds, bytes, a count, or the length of a name; both inclusive.
  std::int64_t min = 0;
  std::int64_t max = 0;
  std::string_view help;
};

std::span<const OptionRow> option_table();
/// "file:", "postgresql:" or both, as a text; empty when every engine takes the option.
std::string engines_text(const OptionRow& row);
/// Null when there is no option of this name.
const OptionRow* find_option(std::string_view name);
/// The known name that takes the fewest edits.
std::string_view nearest_option(std::string_view name);
/// The same when it takes two at most; empty when no name is that near.
std::string_view near_option(std::string_view name);

/// Sets a field from its text: durations `5s` (ms, s, m, h, d), sizes `64MiB` (B, KiB, MiB, GiB, TiB), digits, `true`
/// or `false`, or a name. Units are required. Config errors name the option, the form and the start of the
/// text given.
Status set_option(const OptionRow& row, std::string_view text, Options& options);
/// Checks every field of the table.
Status check_options(const Options& options);

/// What a value of the option looks like, and its value in `options`, as `--help` shows them.
std::string option_form(const OptionRow& row);
std::string option_text(const OptionRow& row, const Options& options);

}  // namespace tuskv
