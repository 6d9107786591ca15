#include "postgres/search.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "filter.h"
#include "json_member.h"
#include "named_limits.h"
#include "postgres/field_index.h"
#include "postgres/listing.h"

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

/// One page in the making.
class Search final {
 public:
  Search(Database& database, Connection& connection, Scan& scan, os::Deadline deadline)
      : database_(database), connection_(connection), scan_(scan), deadline_(deadline), cursor_(scan.after) {
    examined_left_ = scan.max_examined != 0 ? scan.max_examined : kScanExaminedMax;
  }

  Status run() {
    constexpr std::size_t kFirstChunk = 64;
    constexpr std::size_t kChunkGrowth = 4;
    constexpr auto kQuick = std::chrono::milliseconds(20);
    const auto half_time = os::time_left(deadline_) / 2;
    std::size_t chunk = kFirstChunk;
    for (;;) {
      const auto before = os::time_left(deadline_);
      const Result<bool> more = read_chunk(chunk);
      if (!more.ok()) return Status(std::make_unique<Failure>(more.failure()));
      if (!more.value()) return {};
      const auto left = os::time_left(deadline_);
      if (examined_left_ == 0 || left < half_time) {
        scan_.next = std::move(cursor_);
        return {};
      }
      if (before - left < kQuick) chunk = std::min(chunk * kChunkGrowth, kScanExaminedMax);
    }
  }

 private:
  bool is_jsonb() const { return database_.options().value_type == ValueType::jsonb; }
  /// Whether the server's word is final.
  bool is_exact() const {
    return is_jsonb() || (scan_.filter.kind == Filter::Kind::contains && !scan_.filter.ignore_case);
  }

  const Statement& statement() const {
    const Filter& filter = scan_.filter;
    const auto& listing = scan_.reverse ? database_.statements().reverse : database_.statements().forward;
    if (filter.kind == Filter::Kind::contains) return filter.ignore_case ? listing.folded_page : listing.contains_page;
    return is_jsonb() && filter.type == Filter::Type::text ? listing.text_page : listing.member_page;
  }

  std::size_t add_statement(const Bounds& bounds, std::size_t rows, std::size_t values) {
    const Filter& filter = scan_.filter;
    std::string json;
    Parameters parameters;
    parameters.add_bytes(bounds.from);
    parameters.add_bytes(bounds.to);
    parameters.add_int8(static_cast<std::int64_t>(rows) + 1);  // one more tells whether this is the end
    parameters.add_bool(scan_.include_expired);
    parameters.add_bool(scan_.want == Want::value || !is_exact());
    if (filter.kind == Filter::Kind::contains) {
      parameters.add_bytes(filter.pattern);
    } else if (!is_jsonb()) {
      parameters.add_bytes(unescaped_bytes(filter.pattern));
      parameters.add_bytes(value_bytes(filter));
    } else {
      json = filter.type == Filter::Type::text ? std::string(filter.value) : json_value(filter);
      parameters.add_bytes(filter.pattern);
      parameters.add_bytes(json);
    }
    parameters.add_int8(static_cast<std::int64_t>(values));
    return connection_.add(statement(), parameters);
  }

  /// One statement's worth; false when the page is complete.
  Result<bool> read_chunk(std::size_t chunk) {
    const std::size_t wanted = std::min(chunk, examined_left_);
    // Of what only may match some more, so that not each one that does not costs a round trip.
    constexpr std::size_t kCandidates = 16;
    const std::size_t values = std::max(scan_.limit - scan_.entries.size(), is_exact() ? 1 : kCandidates);
    const Bounds bounds = bounds_behind(scan_, cursor_);
    database_.add_settings(connection_, {.deadline = deadline_});
    const std::optional<std::size_t> canary = database_.add_canary(connection_);
    const std::size_t place = add_statement(bounds, wanted, values);
    connection_.end_transaction();
    TUSKV_RETURN_IF_ERROR(connection_.exchange(deadline_));
    TUSKV_RETURN_IF_ERROR(database_.check_canary_at(connection_, canary, deadline_));
    return take_rows(connection_.rows(place), wanted, values);
  }

  bool take_rows(const Rows& rows, std::size_t wanted, std::size_t values) {
    constexpr int kStateColumn = 2;
    const int count = std::min(rows.count(), static_cast<int>(wanted));
    std::size_t candidates = 0;
    for (int row = 0; row < count; ++row) {
      const bool candidate = rows.boolean(row, 1);
      // Only so many values have come along.
      if (candidate && ++candidates > values) return true;
      cursor_ = rows.bytes(row, 0);
      --examined_left_;
      if (candidate && (is_exact() || matches_value(scan_.filter, rows.bytes(row, kStateColumn)))) {
        scan_.entries.push_back(entry_of(scan_, rows, row, kStateColumn));
      }
      if (scan_.entries.size() < scan_.limit) continue;
      if (row + 1 < rows.count()) scan_.next = cursor_;
      return false;
    }
    return rows.count() > count;
  }

  Database& database_;
  Connection& connection_;
  Scan& scan_;
  const os::Deadline deadline_;
  std::string cursor_;
  std::size_t examined_left_ = 0;
};

}  // namespace

Status search_page(Database& database, Connection& connection, Scan& scan, os::Deadline deadline) {
  scan.entries.clear();
  scan.next.clear();
  if (database.options().value_type == ValueType::jsonb && !can_match_jsonb(scan.filter)) return {};
  return Search(database, connection, scan, deadline).run();
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
