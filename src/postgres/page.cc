#include "postgres/page.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "entry_stamps.h"
#include "filter.h"
#include "json_member.h"
#include "named_limits.h"
#include "postgres/field_index.h"
#include "postgres/listing.h"
#include "postgres/row_state.h"

namespace tuskv::postgres {
namespace {

bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

/// Whether jsonb can hold the number: its digits before and behind the point are limited.
bool is_jsonb_number(std::string_view canonical) {
  constexpr std::int64_t kDigitsBefore = 131'072;
  constexpr std::int64_t kDigitsBehind = 16'383;
  const std::size_t e = canonical.find('e');
  if (e == std::string_view::npos) return true;
  const std::int64_t exponent = std::stoll(std::string(canonical.substr(e + 1)));
  return exponent >= -kDigitsBehind && static_cast<std::int64_t>(e) + exponent <= kDigitsBefore;
}

/// Whether a jsonb document can match at all: what it cannot hold must not reach the server, where it is an error.
bool can_match_jsonb(const Filter& filter) {
  if (filter.kind != Filter::Kind::field) return true;
  if (has_nul(filter.pattern) || has_nul(filter.value)) return false;
  return filter.type != Filter::Type::number || is_jsonb_number(filter.value);
}

/// The JSON value that a member has to be; for a text, the string.
std::string json_value(const Filter& filter) {
  switch (filter.type) {
    case Filter::Type::null: return "null";
    case Filter::Type::boolean_false: return "false";
    case Filter::Type::boolean_true: return "true";
    case Filter::Type::number: return std::string(filter.value);
    case Filter::Type::string:
    case Filter::Type::text: break;
  }
  return quoted_string(filter.value);
}

/// The value other than a string that is written as this text.
std::optional<std::string> other_value_written_as(std::string_view text) {
  const std::optional<JsonValue> value = parse_value(text);
  if (!value || value->text != text) return std::nullopt;
  if (value->kind == JsonValue::Kind::boolean) return std::string(text);
  if (value->kind != JsonValue::Kind::number || !is_number_written_as(text, text)) return std::nullopt;
  const std::optional<std::string> canonical = canonical_number(text);
  if (!canonical || !is_jsonb_number(*canonical)) return std::nullopt;
  return canonical;
}

/// Bytes that every JSON document without a backslash has in it when this text stands in it; empty when it has to be
/// escaped.
std::string_view unescaped_bytes(std::string_view text) {
  const bool escaped = std::any_of(
      text.begin(), text.end(), [](char c) { return c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20; });
  return escaped ? std::string_view() : text;
}

/// Bytes that a document without a backslash has in it when a member is what the filter wants.
std::string_view value_bytes(const Filter& filter) {
  switch (filter.type) {
    case Filter::Type::null: return "null";
    case Filter::Type::boolean_false: return "false";
    case Filter::Type::boolean_true: return "true";
    case Filter::Type::string: return unescaped_bytes(filter.value);
    case Filter::Type::number:
    case Filter::Type::text: break;  // a number has many forms
  }
  return {};
}

Entry entry_of(const Scan& scan, const Rows& rows, int row, int state_column) {
  Entry entry;
  entry.key = rows.bytes(row, PageColumns::kKey).substr(scan.key_offset);
  if (scan.want == Want::value) entry.value = rows.bytes(row, state_column + StateColumns::kValue);
  if (scan.want == Want::nothing) return entry;
  set_stamps(entry, {.version = rows.version(row, state_column + StateColumns::kVersion),
                     .expires_us = rows.time(row, state_column + StateColumns::kExpires),
                     .created_us = rows.time(row, state_column + StateColumns::kCreated),
                     .updated_us = rows.time(row, state_column + StateColumns::kUpdated)});
  return entry;
}

/// One page in the making, a statement for each chunk of rows.
class PageWalk final {
 public:
  PageWalk(Database& database, Connection& connection, Scan& scan, os::Deadline deadline)
      : database_(database), connection_(connection), scan_(scan), deadline_(deadline), cursor_(scan.after) {
    rows_left_ = scan.max_examined != 0 ? scan.max_examined : kScanExaminedMax;
  }

  Status run() {
    const auto half_time = os::time_left(deadline_) / 2;
    std::size_t chunk = first_chunk();
    for (;;) {
      const auto before = os::time_left(deadline_);
      const Result<bool> more = read_chunk(chunk);
      if (!more.ok()) return Status(std::make_unique<Failure>(more.failure()));
      if (!more.value()) return {};
      const auto left = os::time_left(deadline_);
      if (scan_.entries.size() == scan_.limit || rows_left_ == 0 || bytes_ >= kScanBytesMax || left < half_time) {
        scan_.next = std::move(cursor_);
        return {};
      }
      chunk = next_chunk(chunk, before - left);
    }
  }

  std::int64_t live_until_us() const { return live_until_us_; }

 private:
  bool is_jsonb() const { return database_.options().value_type == ValueType::jsonb; }
  bool has_filter(Filter::Kind kind) const { return scan_.filter.kind == kind; }
  /// Whether the server's word is final.
  bool is_exact() const {
    return !looks_at_value(scan_.filter) || is_jsonb() ||
           (has_filter(Filter::Kind::contains) && !scan_.filter.ignore_case);
  }

  /// Without a filter nearly each row is an entry, but for those that have expired.
  std::size_t first_chunk() const {
    constexpr std::size_t kFiltered = 256;
    constexpr std::size_t kSearched = 64;
    if (looks_at_value(scan_.filter)) return kSearched;
    return std::max(scan_.limit + scan_.limit / 8 + 1, has_filter(Filter::Kind::none) ? 0 : kFiltered);
  }

  std::size_t next_chunk(std::size_t chunk, std::chrono::microseconds took) const {
    constexpr std::size_t kGrowth = 4;
    constexpr auto kQuick = std::chrono::milliseconds(20);
    if (took < kQuick) return std::min(chunk * kGrowth, kScanExaminedMax);
    return took < kGrowth * kQuick ? chunk : std::max<std::size_t>(chunk / kGrowth, 1);
  }

  const Statement& statement() const {
    const Filter& filter = scan_.filter;
    const auto& listing = scan_.reverse ? database_.statements().reverse : database_.statements().forward;
    switch (filter.kind) {
      case Filter::Kind::none: return listing.page;
      case Filter::Kind::glob: return listing.filtered_page;
      case Filter::Kind::contains: return filter.ignore_case ? listing.folded_page : listing.contains_page;
      case Filter::Kind::field: break;
    }
    return is_jsonb() && filter.type == Filter::Type::text ? listing.text_page : listing.member_page;
  }

  std::size_t add_statement(const Bounds& bounds, std::size_t rows) {
    // Of what only may match, all that may: each is judged here.
    const std::size_t wanted = is_exact() ? scan_.limit - scan_.entries.size() : rows;
    Parameters parameters;
    parameters.add_bytes(bounds.from);
    parameters.add_bytes(bounds.to);
    parameters.add_int8(static_cast<std::int64_t>(rows) + 1);  // one more tells whether this is the end
    parameters.add_bool(scan_.include_expired);
    parameters.add_bool(scan_.want == Want::value || !is_exact());
    parameters.add_int8(static_cast<std::int64_t>(kScanBytesMax - bytes_));
    parameters.add_int8(static_cast<std::int64_t>(wanted));
    std::string text;
    add_filter(parameters, text);
    return connection_.add(statement(), parameters);
  }

  /// `text` has to live as long as the parameters.
  void add_filter(Parameters& parameters, std::string& text) const {
    // Enough to leave out what cannot match; a longer one would be compared with every place of the value.
    constexpr std::size_t kPrefix = 256;
    const Filter& filter = scan_.filter;
    if (filter.kind == Filter::Kind::glob) {
      text = pattern_of(scan_.range, filter, scan_.key_offset);
      parameters.add_bytes(text);
    } else if (filter.kind == Filter::Kind::contains) {
      parameters.add_bytes(filter.pattern);
    } else if (filter.kind == Filter::Kind::field && !is_jsonb()) {
      parameters.add_bytes(unescaped_bytes(filter.pattern).substr(0, kPrefix));
      parameters.add_bytes(value_bytes(filter).substr(0, kPrefix));
    } else if (filter.kind == Filter::Kind::field) {
      text = filter.type == Filter::Type::text ? std::string(filter.value) : json_value(filter);
      parameters.add_bytes(filter.pattern);
      parameters.add_bytes(text);
    }
  }

  /// One statement's worth; false when this was the end of the range.
  Result<bool> read_chunk(std::size_t chunk) {
    const Bounds bounds = bounds_behind(scan_, cursor_);
    database_.add_settings(connection_, {.deadline = deadline_});
    const std::optional<std::size_t> canary = database_.add_canary(connection_);
    const std::size_t place = add_statement(bounds, std::min(chunk, rows_left_));
    connection_.end_transaction();
    TUSKV_RETURN_IF_ERROR(connection_.exchange(deadline_));
    TUSKV_RETURN_IF_ERROR(database_.check_canary_at(connection_, canary, deadline_));
    return take_rows(connection_.rows(place));
  }

  bool take_rows(const Rows& rows) {
    std::size_t looked_at = 0;
    std::size_t bytes = 0;
    bool more = false;
    for (int row = 0; row < rows.count() && scan_.entries.size() < scan_.limit; ++row) {
      cursor_ = rows.bytes(row, PageColumns::kKey);
      looked_at = static_cast<std::size_t>(rows.int8(row, PageColumns::kLookedAt));
      bytes = static_cast<std::size_t>(rows.int8(row, PageColumns::kBytes));
      more = rows.boolean(row, PageColumns::kMore);
      if (rows.boolean(row, PageColumns::kMatches) && is_match(rows, row)) {
        scan_.entries.push_back(entry_of(scan_, rows, row, PageColumns::kState));
        const std::int64_t expires_us = rows.time(row, PageColumns::kState + StateColumns::kExpires);
        if (expires_us != 0 && !scan_.include_expired) live_until_us_ = std::min(live_until_us_, expires_us);
      }
    }
    rows_left_ -= looked_at;
    bytes_ += bytes;
    return more;
  }

  bool is_match(const Rows& rows, int row) const {
    return is_exact() || matches_value(scan_.filter, rows.bytes(row, PageColumns::kState + StateColumns::kValue));
  }

  Database& database_;
  Connection& connection_;
  Scan& scan_;
  const os::Deadline deadline_;
  std::string cursor_;
  std::size_t rows_left_ = 0;
  std::size_t bytes_ = 0;
  std::int64_t live_until_us_ = INT64_MAX;
};

}  // namespace

Status scan_page(Database& database, Connection& connection, Scan& scan, os::Deadline deadline,
                 std::int64_t& live_until_us) {
  scan.entries.clear();
  scan.next.clear();
  live_until_us = INT64_MAX;
  if (database.options().value_type == ValueType::jsonb && !can_match_jsonb(scan.filter)) return {};
  PageWalk walk(database, connection, scan, deadline);
  Status status = walk.run();
  live_until_us = walk.live_until_us();
  return status;
}

bool may_have_index(const Database& database, const Scan& scan) {
  return scan.filter.kind == Filter::Kind::field && database.options().value_type == ValueType::jsonb &&
         !scan.reverse && can_match_jsonb(scan.filter);
}

Result<bool> indexed_page(Database& database, Connection& connection, Scan& scan, os::Deadline deadline) {
  const Filter& filter = scan.filter;
  const Bounds bounds = bounds_behind(scan, scan.after);
  const std::string json = json_value(filter);
  const std::optional<std::string> other =
      filter.type == Filter::Type::text ? other_value_written_as(filter.value) : std::nullopt;
  const std::string index = index_name(database.table(), filter.pattern);
  const Statement statement = database.statements().indexed_page(
      {.field = escaped_literal(filter.pattern), .name = quoted_literal(index), .or_written_as = other.has_value()});
  Parameters parameters;
  parameters.add_bytes(bounds.from);
  parameters.add_bytes(bounds.to);
  parameters.add_int8(static_cast<std::int64_t>(scan.limit) + 1);
  parameters.add_bool(scan.include_expired);
  parameters.add_bool(scan.want == Want::value);
  parameters.add_bytes(json);
  if (other) {
    parameters.add_bytes(filter.value);
    parameters.add_bytes(*other);
  }
  database.add_settings(connection, {.deadline = deadline});
  const std::optional<std::size_t> canary = database.add_canary(connection);
  const std::size_t exists = connection.add_text(is_valid_index_text(index));
  const std::size_t place = connection.add(statement, parameters);
  connection.end_transaction();
  TUSKV_RETURN_IF_ERROR(connection.exchange(deadline));
  TUSKV_RETURN_IF_ERROR(database.check_canary_at(connection, canary, deadline));
  if (!connection.rows(exists).boolean(0, 0)) return false;
  const Rows& rows = connection.rows(place);
  scan.entries.clear();
  scan.next.clear();
  const int count = std::min(rows.count(), static_cast<int>(scan.limit));
  for (int row = 0; row < count; ++row) scan.entries.push_back(entry_of(scan, rows, row, 1));
  if (rows.count() > count) scan.next = rows.bytes(count - 1, 0);
  return true;
}

}  // namespace tuskv::postgres
