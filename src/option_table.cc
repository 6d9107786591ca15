#include "option_table.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <vector>

#include "named_limits.h"
#include "tuskv/maintenance.h"

namespace tuskv {
namespace {

constexpr std::int64_t kMinute = 60'000;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;
constexpr std::int64_t kKiB = 1024;
constexpr std::int64_t kTiB = kKiB * kKiB * kKiB * kKiB;

constexpr std::array<OptionRow, 28> kRows = {{
    {.name = "timeout",
     .kind = OptionKind::duration,
     .field = &Options::timeout,
     .min = 1,
     .max = kTimeoutMsMax,
     .help = "Every call ends by then."},
    {.name = "durability",
     .kind = OptionKind::durability,
     .field = &Options::durability,
     .engines = kKeepingEngines,
     .help = "When a write is answered: once synced (durable), once written (relaxed), at once (unlogged)."},
    {.name = "ttl_mode",
     .kind = OptionKind::ttl_mode,
     .field = &Options::ttl_mode,
     .help = "Who removes expired entries: a sweeper, the reads that meet them, cleanup_expired only, or nobody."},
    {.name = "sweep_interval",
     .kind = OptionKind::duration,
     .field = &Options::sweep_interval,
     .min = 1,
     .max = kTimeoutMsMax,
     .help = "Pause between rounds of the sweeper."},
    {.name = "sweep_batch",
     .kind = OptionKind::count,
     .field = &Options::sweep_batch,
     .min = 1,
     .max = kSweepBatchMax,
     .help = "Entries removed at most under one lock."},
    {.name = "max_key_bytes",
     .kind = OptionKind::bytes,
     .field = &Options::max_key_bytes,
     .min = 1,
     .max = kKeyBytesCeiling,
     .help = "Longest key."},
    {.name = "max_value_bytes",
     .kind = OptionKind::bytes,
     .field = &Options::max_value_bytes,
     .min = 1,
     .max = kValueBytesCeiling,
     .help = "Largest value."},
    {.name = "create",
     .kind = OptionKind::boolean,
     .field = &Options::create,
     .engines = kKeepingEngines,
     .help = "Whether a store is made where there is none."},
    {.name = "encryption_key_file",
     .kind = OptionKind::path,
     .field = &Options::encryption_key_file,
     .min = 0,
     .max = kPathBytesMax,
     .help = "Values are encrypted with the keys of this file, a line ID:KEY each, the first one for new values; "
             "none: not encrypted (a file of this name is ./none)."},
    {.name = "read_only",
     .kind = OptionKind::boolean,
     .field = &Options::read_only,
     .engines = kFileOnly,
     .help = "Whether nothing in the directory is changed; then several programs can have it open."},
    {.name = "sync_interval",
     .kind = OptionKind::duration,
     .field = &Options::sync_interval,
     .engines = kFileOnly,
     .min = 1,
     .max = kHour,
     .help = "relaxed: longest time written bytes stay unsynced."},
    {.name = "snapshot_interval",
     .kind = OptionKind::duration,
     .field = &Options::snapshot_interval,
     .engines = kFileOnly,
     .min = 100,
     .max = 7 * kDay,
     .help = "unlogged: pause between snapshots while something changes."},
    {.name = "snapshot_log_percent",
     .kind = OptionKind::count,
     .field = &Options::snapshot_log_percent,
     .engines = kFileOnly,
     .min = 10,
     .max = 10'000,
     .help = "A snapshot is written when the log reaches this percentage of the live data."},
    {.name = "snapshot_log_bytes_min",
     .kind = OptionKind::bytes,
     .field = &Options::snapshot_log_bytes_min,
     .engines = kFileOnly,
     .min = 64 * kKiB,
     .max = kTiB,
     .help = "No snapshot because of the log before it has this size."},
    {.name = "keep_snapshots",
     .kind = OptionKind::count,
     .field = &Options::keep_snapshots,
     .engines = kFileOnly,
     .min = 0,
     .max = 1000,
     .help = "Older snapshots kept beside the newest one."},
    {.name = "snapshot_threads",
     .kind = OptionKind::count,
     .field = &Options::snapshot_threads,
     .engines = kFileOnly,
     .min = 1,
     .max = 64,
     .help = "Threads that write and read snapshots."},
    {.name = "schema",
     .kind = OptionKind::identifier,
     .field = &Options::schema,
     .engines = kPostgresOnly,
     .min = 0,
     .max = 63,
     .help = "The schema of the table; empty: the first of the search path."},
    {.name = "table",
     .kind = OptionKind::identifier,
     .field = &Options::table,
     .engines = kPostgresOnly,
     .min = 1,
     .max = 48,
     .help = "The table that keeps the entries."},
    {.name = "value_type",
     .kind = OptionKind::value_type,
     .field = &Options::value_type,
     .engines = kPostgresOnly,
     .help = "What values are: any bytes, or JSON documents."},
    {.name = "partitions",
     .kind = OptionKind::count,
     .field = &Options::partitions,
     .engines = kPostgresOnly,
     .min = 0,
     .max = 256,
     .help = "Hash partitions of the table; 0: none when it is made, and any when it is there."},
    {.name = "fill_factor",
     .kind = OptionKind::count,
     .field = &Options::fill_factor,
     .engines = kPostgresOnly,
     .min = 10,
     .max = 100,
     .help = "Percent of a page that new rows fill, when the table is created."},
    {.name = "pool_size",
     .kind = OptionKind::count,
     .field = &Options::pool_size,
     .engines = kPostgresOnly,
     .min = 1,
     .max = 1000,
     .help = "Connections at most."},
    {.name = "prepare",
     .kind = OptionKind::prepare,
     .field = &Options::prepare,
     .engines = kPostgresOnly,
     .help = "Whether statements are prepared: auto does so on direct connections, not through a pooler."},
    {.name = "direct_callers",
     .kind = OptionKind::count,
     .field = &Options::direct_callers,
     .engines = kPostgresOnly,
     .min = 1,
     .max = 500,
     .help = "Callers of one kind that have a statement each; more of them share batches."},
    {.name = "batches",
     .kind = OptionKind::count,
     .field = &Options::batches,
     .engines = kPostgresOnly,
     .min = 1,
     .max = 100,
     .help = "Batches under way at once, of reading and of setting each."},
    {.name = "batch_keys",
     .kind = OptionKind::count,
     .field = &Options::batch_keys,
     .engines = kPostgresOnly,
     .min = 1,
     .max = 4096,
     .help = "Keys in one batch."},
    {.name = "batch_bytes",
     .kind = OptionKind::bytes,
     .field = &Options::batch_bytes,
     .engines = kPostgresOnly,
     .min = 4 * kKiB,
     .max = 64 * kKiB * kKiB,
     .help = "Bytes of values in one batch."},
    {.name = "retries",
     .kind = OptionKind::count,
     .field = &Options::retries,
     .engines = kPostgresOnly,
     .min = 0,
     .max = 1000,
     .help = "Times that what certainly had no effect is tried again."},
}};

struct UnitName {
  std::string_view name;
  std::int64_t factor;
};

// Largest first: texts are written with the largest that divides.
constexpr std::array<UnitName, 5> kDurationUnits = {
    {{"d", kDay}, {"h", kHour}, {"m", kMinute}, {"s", 1000}, {"ms", 1}}};
constexpr std::array<UnitName, 5> kByteUnits = {
    {{"TiB", kTiB}, {"GiB", kKiB* kKiB* kKiB}, {"MiB", kKiB* kKiB}, {"KiB", kKiB}, {"B", 1}}};
constexpr std::array<UnitName, 1> kNoUnits = {{{"", 1}}};

std::span<const UnitName> units_of(OptionKind kind) {
  if (kind == OptionKind::duration) return kDurationUnits;
  if (kind == OptionKind::bytes) return kByteUnits;
  return kNoUnits;
}

constexpr std::array<std::string_view, 3> kDurabilityNames = {"durable", "relaxed", "unlogged"};
constexpr std::array<std::string_view, 4> kTtlModeNames = {"background", "on_read", "manual", "disabled"};
constexpr std::array<std::string_view, 3> kPrepareNames = {"auto", "always", "never"};
constexpr std::array<std::string_view, 2> kValueTypeNames = {"bytea", "jsonb"};

std::span<const std::string_view> names_of(OptionKind kind) {
  static constexpr std::array<std::string_view, 2> kBooleanNames = {"false", "true"};
  switch (kind) {
    case OptionKind::boolean: return kBooleanNames;
    case OptionKind::durability: return kDurabilityNames;
    case OptionKind::ttl_mode: return kTtlModeNames;
    case OptionKind::prepare: return kPrepareNames;
    case OptionKind::value_type: return kValueTypeNames;
    default: return {};
  }
}

std::string quantity_text(OptionKind kind, std::int64_t value) {
  const std::span<const UnitName> units = units_of(kind);
  const auto fits = [value](const UnitName& unit) { return value != 0 && value % unit.factor == 0; };
  const auto unit = std::find_if(units.begin(), units.end(), fits);
  const UnitName& used = unit == units.end() ? units.back() : *unit;
  return std::to_string(value / used.factor) + std::string(used.name);
}

/// The field as a number: a quantity, or the position of its name.
std::int64_t get_number(const OptionRow& row, const Options& options) {
  return std::visit(
      [&](auto field) -> std::int64_t {
        const auto& value = options.*field;
        if constexpr (requires { value.milliseconds(); }) {
          return value.milliseconds();
        } else if constexpr (requires { value.size(); }) {
          return static_cast<std::int64_t>(value.size());
        } else {
          constexpr auto kLargest = static_cast<std::uint64_t>(INT64_MAX);
          return static_cast<std::int64_t>(std::min(static_cast<std::uint64_t>(value), kLargest));
        }
      },
      row.field);
}

void set_number(const OptionRow& row, std::int64_t number, Options& options) {
  std::visit(
      [&](auto field) {
        auto& value = options.*field;
        if constexpr (requires { value.milliseconds(); }) {
          value = std::chrono::milliseconds(number);
        } else if constexpr (!requires { value.size(); }) {
          value = static_cast<std::remove_reference_t<decltype(value)>>(number);
        }
      },
      row.field);
}

const std::string& text_of(const OptionRow& row, const Options& options) {
  return options.**std::get_if<std::string Options::*>(&row.field);
}

/// A name that PostgreSQL takes as it is, quoted or not.
bool is_identifier(const OptionRow& row, std::string_view text) {
  const auto size = static_cast<std::int64_t>(text.size());
  if (size < row.min || size > row.max) return false;
  if (!text.empty() && text.front() >= '0' && text.front() <= '9') return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

bool is_path(const OptionRow& row, std::string_view text) {
  return static_cast<std::int64_t>(text.size()) <= row.max && text.find('\0') == std::string_view::npos;
}

bool is_text(const OptionRow& row) { return row.kind == OptionKind::identifier || row.kind == OptionKind::path; }

bool is_right_text(const OptionRow& row, std::string_view text) {
  return row.kind == OptionKind::identifier ? is_identifier(row, text) : is_path(row, text);
}

Status wrong(const OptionRow& row, std::string_view given) {
  constexpr std::size_t kShownBytesMax = 64;
  // What was given for a file of secrets may be a secret.
  if (row.kind == OptionKind::path) {
    return Status(Code::Config, "option \"" + std::string(row.name) + "\" must be " + option_form(row));
  }
  return Status(Code::Config, "option \"" + std::string(row.name) + "\" must be " + option_form(row) + ", not \"" +
                                  std::string(given.substr(0, kShownBytesMax)) + "\"");
}

/// Of a field, which a program has set: it has no text.
Status wrong_number(const OptionRow& row, std::int64_t number) {
  if (row.kind != OptionKind::bytes) return wrong(row, quantity_text(row.kind, number));
  return Status(Code::Config, "option \"" + std::string(row.name) + "\" must be " + std::to_string(row.min) + " to " +
                                  std::to_string(row.max) + " bytes, not " + std::to_string(number));
}

bool parse_quantity(OptionKind kind, std::string_view text, std::int64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || text.front() == '-') return false;
  const std::string_view suffix = text.substr(static_cast<std::size_t>(end - text.data()));
  for (const UnitName& unit : units_of(kind)) {
    if (unit.name == suffix) return !__builtin_mul_overflow(value, unit.factor, &value);
  }
  return false;
}

/// Insertions, deletions and replacements that turn one word into the other.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

std::span<const OptionRow> option_table() { return kRows; }

std::string engines_text(const OptionRow& row) {
  if (row.engines.memory) return {};
  if (!row.engines.file) return "postgresql:";
  return row.engines.postgres ? "file: and postgresql:" : "file:";
}

const OptionRow* find_option(std::string_view name) {
  const auto found = std::find_if(kRows.begin(), kRows.end(), [&](const OptionRow& row) { return row.name == name; });
  return found == kRows.end() ? nullptr : &*found;
}

std::string_view nearest_option(std::string_view name) {
  constexpr std::size_t kComparedBytesMax = 64;
  const std::string_view compared = name.substr(0, kComparedBytesMax);
  const auto nearest = std::min_element(kRows.begin(), kRows.end(), [&](const OptionRow& a, const OptionRow& b) {
    return edit_distance(a.name, compared) < edit_distance(b.name, compared);
  });
  return nearest->name;
}

std::string_view near_option(std::string_view name) {
  constexpr std::size_t kEditsMax = 2;
  const std::string_view nearest = nearest_option(name);
  const bool is_near = name.size() <= nearest.size() + kEditsMax && edit_distance(nearest, name) <= kEditsMax;
  return is_near ? nearest : std::string_view();
}

Status set_option(const OptionRow& row, std::string_view text, Options& options) {
  if (is_text(row)) {
    const bool is_missing = row.kind == OptionKind::path && text.empty();
    if (is_missing || !is_right_text(row, text)) return wrong(row, text);
    options.**std::get_if<std::string Options::*>(&row.field) = text;
    return {};
  }
  std::int64_t number = 0;
  const std::span<const std::string_view> names = names_of(row.kind);
  if (names.empty()) {
    if (text.empty() || !parse_quantity(row.kind, text, number) || number < row.min || number > row.max) {
      return wrong(row, text);
    }
  } else {
    const auto found = std::find(names.begin(), names.end(), text);
    if (found == names.end()) return wrong(row, text);
    number = found - names.begin();
  }
  set_number(row, number, options);
  return {};
}

Status check_options(const Options& options) {
  for (const OptionRow& row : kRows) {
    if (is_text(row) && !is_right_text(row, text_of(row, options))) return wrong(row, text_of(row, options));
    const std::int64_t number = get_number(row, options);
    const auto names = static_cast<std::int64_t>(names_of(row.kind).size());
    const bool fits = names != 0 ? number >= 0 && number < names : number >= row.min && number <= row.max;
    if (!fits) return wrong_number(row, number);
  }
  return {};
}

std::string option_form(const OptionRow& row) {
  if (row.kind == OptionKind::identifier) {
    return "a lower-case name (a-z, 0-9, _) of " + std::to_string(row.min) + " to " + std::to_string(row.max) +
           " bytes";
  }
  if (row.kind == OptionKind::path) return "the path of a file, at most " + std::to_string(row.max) + " bytes, or none";
  const std::span<const std::string_view> names = names_of(row.kind);
  if (names.empty()) {
    const char* what = row.kind == OptionKind::count ? "" : " (with its unit)";
    return quantity_text(row.kind, row.min) + " to " + quantity_text(row.kind, row.max) + what;
  }
  std::string form(names.front());
  for (std::size_t i = 1; i < names.size(); ++i) {
    form += i + 1 == names.size() ? " or " : ", ";
    form += names[i];
  }
  return form;
}

std::string option_text(const OptionRow& row, const Options& options) {
  if (row.kind == OptionKind::path && text_of(row, options).empty()) return std::string(kNoPath);
  if (is_text(row)) return text_of(row, options);
  const std::span<const std::string_view> names = names_of(row.kind);
  const std::int64_t number = get_number(row, options);
  return names.empty() ? quantity_text(row.kind, number) : std::string(names[static_cast<std::size_t>(number)]);
}

inline namespace v0 {

std::vector<OptionHelp> option_help() {
  std::vector<OptionHelp> rows;
  for (const OptionRow& row : kRows) {
    std::string help(row.help);
    if (const std::string engines = engines_text(row); !engines.empty()) help += " For " + engines + " only.";
    rows.push_back({.name = std::string(row.name),
                    .form = option_form(row),
                    .default_value = option_text(row, {}),
                    .help = std::move(help)});
  }
  return rows;
}

}  // namespace v0
}  // namespace tuskv
