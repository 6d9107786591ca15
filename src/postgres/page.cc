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
#include "postgres/limits.h"
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
  const std::int64_t digits = static_cast<std::int64_t>(e) - (canonical.front() == '-' ? 1 : 0);
  return exponent >= -kDigitsBehind && digits + exponent <= kDigitsBefore;
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
  std::optional<std::string> canonical = canonical_number(text);
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

Entry entry_of(const Scan& scan, const Rows& rows, int row, int first_column) {
  const int state = first_column + PageColumns::kState;
  Entry entry;
  entry.key = rows.bytes(row, first_column + PageColumns::kKey).substr(scan.key_offset);
  if (scan.want == Want::value) entry.value = rows.bytes(row, state + StateColumns::kValue);
  if (scan.want == Want::nothing) return entry;
  set_stamps(entry, {.version = rows.version(row, state + StateColumns::kVersion),
                     .expires_us = rows.time(row, state + StateColumns::kExpires),
                     .created_us = rows.time(row, state + StateColumns::kCreated),
                     .updated_us = rows.time(row, state + StateColumns::kUpdated)});
  return entry;
}

/// One page in the making, a statement for each chunk of rows.
class PageWalk final {
 public:
  PageWalk(Database& database, Connection& connection, Scan& scan, os::Deadline deadline)
      : database_(database),
        connection_(connection),
        scan_(scan),
        deadline_(deadline),
        cursor_(scan.after),
        can_end_early_(looks_at_value(scan.filter) && !connection.in_transaction()) {
    rows_left_ = scan.max_examined != 0 ? scan.max_examined : kScanExaminedMax;
  }

  /// False when there is no index, or not any more: what has been found stays.
  Result<bool> run_indexed() {
    const Filter& filter = scan_.filter;
    const std::optional<std::string> other =
        filter.type == Filter::Type::text ? other_value_written_as(filter.value) : std::nullopt;
    const std::string json = json_value(filter);
    const Statement statement = database_.statements().indexed_page(escaped_literal(filter.pattern),
                                                                    index_comment(filter.pattern), other.has_value());
    for (;;) {
      const Bounds bounds = bounds_behind(scan_, cursor_);
      Parameters parameters;
      const std::size_t wanted = scan_.limit - scan_.entries.size();
      add_limits(parameters, bounds, std::min(values_at_once(first_chunk_of(wanted)), rows_left_), wanted);
      parameters.add_bytes(json);
      if (other) {
        parameters.add_bytes(filter.value);
        parameters.add_bytes(*other);
      }
      const Result<Rows> found = ask(statement, parameters, deadline_);
      if (!found.ok()) return found.status();
      constexpr int kFirstColumn = 1;
      if (!found.value().boolean(0, 0)) return false;
      if (found.value().is_null(0, kFirstColumn) || !take_rows(found.value(), kFirstColumn)) return true;
      if (is_full()) break;
    }
    scan_.next = std::move(cursor_);
    return true;
  }

  Status run() {
    const std::chrono::microseconds time = os::time_left(deadline_);
    std::size_t chunk = first_chunk();
    for (;;) {
      const std::chrono::microseconds before = os::time_left(deadline_);
      const Result<bool> more = read_chunk(chunk, before);
      if (!more.ok() && !goes_on_after(more.failure(), chunk)) return more.status();
      if (more.ok() && !more.value()) return {};
      const std::chrono::microseconds left = os::time_left(deadline_);
      if (has_moved() && (is_full() || !more.ok() || left < time / 2)) {
        scan_.next = std::move(cursor_);
        return {};
      }
      chunk = more.ok() ? next_chunk(chunk, before - left) : kLastChunk;
    }
  }

  /// When the first of the entries found expires; INT64_MAX: none does.
  std::int64_t live_until_us() const { return live_until_us_; }

 private:
  static constexpr std::size_t kLastChunk = 1;
  /// Enough of a needle to leave out what cannot match: the server compares it with every place of the value.
  static constexpr std::size_t kServerNeedleBytesMax = 64;
  static constexpr std::string_view kStatementTimeout = "57014";

  bool is_jsonb() const { return database_.options().value_type == ValueType::jsonb; }
  bool has_filter(Filter::Kind kind) const { return scan_.filter.kind == kind; }
  /// Whether the server's word is final.
  bool is_exact() const {
    if (has_filter(Filter::Kind::contains)) {
      return scan_.filter.pattern.size() <= kServerNeedleBytesMax && (is_jsonb() || !scan_.filter.ignore_case);
    }
    return !looks_at_value(scan_.filter) || is_jsonb();
  }

  /// Nearly each row is an entry, but for those that have expired.
  static std::size_t first_chunk_of(std::size_t entries) { return entries + entries / 8 + 1; }
  std::size_t first_chunk() const {
    constexpr std::size_t kFiltered = 256;
    constexpr std::size_t kSearched = 64;
    if (looks_at_value(scan_.filter)) return kSearched;
    return std::max(first_chunk_of(scan_.limit), has_filter(Filter::Kind::none) ? 0 : kFiltered);
  }
  /// Of so many values, those that are read at once.
  std::size_t values_at_once(std::size_t values) const {
    return is_jsonb() && scan_.want == Want::value ? std::min(values, kJsonRowsAtOnce) : values;
  }

  bool is_full() const { return scan_.entries.size() == scan_.limit || rows_left_ == 0 || bytes_ >= kScanBytesMax; }
  /// Whether something is known that a chunk which takes too long must not cost.
  bool has_moved() const { return cursor_ != scan_.after; }

  // Values can take the server long, and nothing tells beforehand. So that each page comes further than the last, a
  // chunk has to end while there is time left for what has been found, or for a last try with few rows. (A transaction
  // is over when a statement of it fails.)
  os::Deadline deadline_of(std::size_t chunk, std::chrono::microseconds time) const {
    if (!can_end_early_ || (!has_moved() && chunk <= kLastChunk)) return deadline_;
    return deadline_ - (has_moved() ? time / 4 : time / 2);
  }
  bool goes_on_after(const Failure& failure, std::size_t chunk) const {
    if (failure.code != Code::Timeout || !can_end_early_) return false;
    return has_moved() || (chunk > kLastChunk && failure.sqlstate == kStatementTimeout);
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

  /// What every page takes; `bounds` has to live as long as the parameters.
  void add_limits(Parameters& parameters, const Bounds& bounds, std::size_t rows, std::size_t wanted) const {
    parameters.add_bytes(bounds.from);
    parameters.add_bytes(bounds.to);
    parameters.add_int8(static_cast<std::int64_t>(rows) + 1);  // one more tells whether this is the end
    parameters.add_bool(scan_.include_expired);
    parameters.add_bool(scan_.want == Want::value || !is_exact());
    parameters.add_int8(static_cast<std::int64_t>(kScanBytesMax - bytes_));
    parameters.add_int8(static_cast<std::int64_t>(values_at_once(wanted)));
  }

  /// `text` has to live as long as the parameters.
  void add_filter(Parameters& parameters, std::string& text) const {
    const Filter& filter = scan_.filter;
    if (filter.kind == Filter::Kind::glob) {
      text = pattern_of(scan_.range, filter, scan_.key_offset);
      parameters.add_bytes(text);
    } else if (filter.kind == Filter::Kind::contains) {
      parameters.add_bytes(filter.pattern.substr(0, kServerNeedleBytesMax));
    } else if (filter.kind == Filter::Kind::field && !is_jsonb()) {
      parameters.add_bytes(unescaped_bytes(filter.pattern).substr(0, kServerNeedleBytesMax));
      parameters.add_bytes(value_bytes(filter).substr(0, kServerNeedleBytesMax));
    } else if (filter.kind == Filter::Kind::field) {
      text = filter.type == Filter::Type::text ? std::string(filter.value) : json_value(filter);
      parameters.add_bytes(filter.pattern);
      parameters.add_bytes(text);
    }
  }

  Result<Rows> ask(const Statement& statement, const Parameters& parameters, os::Deadline deadline) {
    database_.add_settings(connection_, {.deadline = deadline, .ends_early = deadline < deadline_});
    const std::optional<std::size_t> canary = database_.add_canary(connection_);
    const std::size_t place = connection_.add(statement, parameters);
    connection_.end_transaction();
    // The server ends it, at once or behind the row it is at.
    TUSKV_RETURN_IF_ERROR(connection_.exchange(deadline_));
    TUSKV_RETURN_IF_ERROR(database_.check_canary_at(connection_, canary, deadline_));
    return connection_.take_rows(place);
  }

  /// One statement's worth; false when this was the end of the range.
  Result<bool> read_chunk(std::size_t chunk, std::chrono::microseconds time) {
    const std::size_t rows_max = has_filter(Filter::Kind::none) ? values_at_once(chunk) : chunk;
    const std::size_t rows = std::min(rows_max, rows_left_);
    const Bounds bounds = bounds_behind(scan_, cursor_);
    Parameters parameters;
    // Of what only may match, all that may: each is judged here.
    add_limits(parameters, bounds, rows, is_exact() ? scan_.limit - scan_.entries.size() : rows);
    std::string text;
    add_filter(parameters, text);
    Result<Rows> found = ask(statement(), parameters, deadline_of(chunk, time));
    if (!found.ok()) return std::move(found).status();
    return take_rows(found.value(), 0);
  }

  bool take_rows(const Rows& rows, int first_column) {
    const int state = first_column + PageColumns::kState;
    std::size_t looked_at = 0;
    std::size_t bytes = 0;
    std::size_t value_bytes = 0;  // which are more when numbers are written out
    bool more = false;
    for (int row = 0; row < rows.count() && scan_.entries.size() < scan_.limit; ++row) {
      cursor_ = rows.bytes(row, first_column + PageColumns::kKey);
      looked_at = static_cast<std::size_t>(rows.int8(row, first_column + PageColumns::kLookedAt));
      bytes = static_cast<std::size_t>(rows.int8(row, first_column + PageColumns::kBytes));
      more = rows.boolean(row, first_column + PageColumns::kMore);
      value_bytes += rows.bytes(row, state + StateColumns::kValue).size();
      if (!rows.boolean(row, first_column + PageColumns::kMatches)) continue;
      if (!is_exact() && !matches_value(scan_.filter, rows.bytes(row, state + StateColumns::kValue))) continue;
      scan_.entries.push_back(entry_of(scan_, rows, row, first_column));
      const std::int64_t expires_us = rows.time(row, state + StateColumns::kExpires);
      if (expires_us != 0 && !scan_.include_expired) live_until_us_ = std::min(live_until_us_, expires_us);
    }
    rows_left_ -= looked_at;
    bytes_ += std::max(bytes, value_bytes);
    return more;
  }

  Database& database_;
  Connection& connection_;
  Scan& scan_;
  const os::Deadline deadline_;
  std::string cursor_;
  const bool can_end_early_;
  std::size_t rows_left_ = 0;
  std::size_t bytes_ = 0;
  std::int64_t live_until_us_ = INT64_MAX;
};

}  // namespace

bool can_match(const Database& database, const Scan& scan) {
  return database.options().value_type != ValueType::jsonb || can_match_jsonb(scan.filter);
}

Status scan_page(Database& database, Connection& connection, Scan& scan, os::Deadline deadline,
                 std::int64_t& live_until_us) {
  scan.entries.clear();
  scan.next.clear();
  live_until_us = INT64_MAX;
  if (!can_match(database, scan)) return {};
  PageWalk walk(database, connection, scan, deadline);
  Status status = walk.run();
  live_until_us = walk.live_until_us();
  return status;
}

Status find_page(Database& database, Connection& connection, Scan& scan, os::Deadline deadline) {
  scan.entries.clear();
  scan.next.clear();
  if (!can_match(database, scan)) return {};
  PageWalk walk(database, connection, scan, deadline);
  const bool may_have_index =
      scan.filter.kind == Filter::Kind::field && database.options().value_type == ValueType::jsonb && !scan.reverse;
  if (may_have_index) {
    const Result<bool> found = walk.run_indexed();
    if (!found.ok()) return found.status();
    if (found.value()) return {};
  }
  return walk.run();
}

}  // namespace tuskv::postgres
