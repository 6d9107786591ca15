// The one table of open options. URL parsing, range checks, error texts, `--help` and the documentation come from it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "status.h"
#include "tuskv/options.h"

namespace tuskv {

enum class OptionKind : std::uint8_t { duration, bytes, count, boolean, durability, ttl_mode };

struct OptionRow {
  using Field = std::variant<Duration Options::*, std::size_t Options::*, bool Options::*, Durability Options::*,
                             TtlMode Options::*>;
  std::string_view name;
  OptionKind kind;
  Field field;
  bool file_only = false;
  /// Milliseconds, bytes or a count; both inclusive.
  std::int64_t min = 0;
  std::int64_t max = 0;
  std::string_view help;
};

std::span<const OptionRow> option_table();
/// Null when there is no option of this name.
const OptionRow* find_option(std::string_view name);
/// The known name that takes the fewest edits.
std::string_view nearest_option(std::string_view name);

/// Sets a field from its text: durations `5s` (ms, s, m, h, d), sizes `64MiB` (B, KiB, MiB, GiB, TiB), digits, `true`
/// or `false`, or a name. Units are required. Config errors name the option and the form, never the text given.
Status set_option(const OptionRow& row, std::string_view text, Options& options);
/// Checks every field.
Status check_options(const Options& options);

/// What a value of the option looks like, and its value in `options`, as `--help` shows them.
std::string option_form(const OptionRow& row);
std::string option_text(const OptionRow& row, const Options& options);

}  // namespace tuskv
