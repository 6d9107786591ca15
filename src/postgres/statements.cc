#include "postgres/statements.h"

#include <initializer_list>
#include <string_view>
#include <utility>

#include "postgres/limits.h"
#include "postgres/schema.h"

namespace tuskv::postgres {
namespace {

/// Where expiry is not acted on, every row is live but the guard rows of our own transaction.
constexpr const char* kNoGuard = "(t.expires_at is distinct from '-infinity')";

/// Makes statements: numbers them, names them, and fills in what stands between braces.
class Writer final {
 public:
  explicit Writer(const StatementOptions& options) {
    const bool json = options.value_type == ValueType::jsonb;
    const std::string& clock = options.clock;
    replacements_ = {
        {"{T}", options.table},
        {"{CLOCK}", clock},
        // Once in a statement, whatever it reads.
        {"{ONE_CLOCK}", "(select " + clock + ")"},
        {"{VERSION_CLOCK}",
         "(((pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) * 1000000::float8)::int8 << 10) "
         "| (pg_catalog.pg_backend_pid() & 1023)::int8)"},
        {"{NEXT_VERSION}",
         "greatest(excluded.version, ((t.version >> 10) + 1) << 10 | (pg_catalog.pg_backend_pid() & 1023)::int8)"},
        {"{LIVE}",
         options.expiry_disabled ? std::string(kNoGuard) : "(t.expires_at is null or t.expires_at > " + clock + ")"},
        {"{LIVE_ONCE}", options.expiry_disabled ? std::string(kNoGuard)
                                                : "(t.expires_at is null or t.expires_at > (select " + clock + "))"},
        {"{DEAD}", options.expiry_disabled ? "false" : "t.expires_at <= " + clock},
        {"{VALUE}", json ? "t.value::text" : "t.value"},
        {"{TO_VALUE}", json ? "::jsonb" : ""},
        // What a value weighs in a page, without reading it. How large a compressed document is cannot be known so.
        {"{BYTES}",
         json ? "least(pg_catalog.pg_column_size(t.value)::int8 * "
                "case when pg_catalog.pg_column_compression(t.value) is null then 1 else 8 end, 2000000000)::int4"
              : "pg_catalog.octet_length(t.value)"},
        {"{VALUES}", json ? "text[]" : "bytea[]"},
        {"{EMPTY}", json ? "'null'::jsonb" : "''::bytea"},
        {"{VALUE_TEXT}", json ? "t.value::text" : "pg_catalog.encode(t.value, 'escape')"},
        {"{NUMBER_OPEN}", json ? "pg_catalog.to_jsonb((" : "pg_catalog.convert_to((("},
        {"{NUMBER_CLOSE}", json ? ")::int8)" : ")::int8)::text, 'UTF8')"},
    };
    value_ = json ? kText : kBytea;
    values_ = json ? kTextArray : kByteaArray;
  }

  unsigned value() const { return value_; }
  unsigned values() const { return values_; }

  Statement make(std::string text, std::initializer_list<unsigned> types = {}) {
    for (const auto& [name, replacement] : replacements_) {
      for (std::size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + replacement.size())) {
        text.replace(at, name.size(), replacement);
      }
    }
    const std::size_t index = next_++;
    return {.index = index, .name = "tuskv_" + std::to_string(index), .text = std::move(text), .types = types};
  }

 private:
  std::vector<std::pair<std::string, std::string>> replacements_;
  unsigned value_ = kBytea;
  unsigned values_ = kByteaArray;
  std::size_t next_ = 0;
};

// Rows of given keys are only ever looked up: in a subquery that depends on the key, or by `= any(array)`. In a join
// with the keys the planner may begin with the table while it has few rows, and the plan stays when it has many.

constexpr const char* kColumns = "t.key, t.value, t.expires_at, t.created_at, t.updated_at, t.version";

/// The row of each `u.k`.
std::string rows_of_each() {
  return "lateral (select " + std::string(kColumns) + " from {T} t where t.key = u.k offset 0) t";
}

/// The rows of `u`, of a key k and more columns, locked in the order of keys.
std::string locked_rows_of(const std::string& u) {
  return "(select * from " + u + " order by u.k) u, lateral (select " + kColumns +
         " from {T} t where t.key = u.k for update) t";
}

/// Of the rows that `l` has locked.
std::string is_locked() { return "t.key = any(array(select l.key from l))"; }

constexpr const char* kStateOf = "{VALUE}, t.expires_at, t.created_at, t.updated_at, t.version";
constexpr const char* kStateWithoutValue = "null::bytea, t.expires_at, t.created_at, t.updated_at, t.version";

std::string state_if(const char* condition) {
  return "case when " + std::string(condition) +
         " then {VALUE} end, t.expires_at, t.created_at, t.updated_at, t.version";
}

std::string bucket_of(const std::string& instant) {
  return "((pg_catalog.date_part('epoch', " + instant + ")::int8 >> 8)::int4 + 1)";
}

void make_reading(Writer& make, Statements& out) {
  const std::string one = " , {CLOCK} from {T} t where t.key = $1 and {LIVE}";
  out.read_value = make.make("select {VALUE} from {T} t where t.key = $1 and {LIVE}", {kBytea});
  out.read_one = make.make("select " + std::string(kStateOf) + one, {kBytea});
  out.read_meta = make.make("select " + std::string(kStateWithoutValue) + one, {kBytea});
  out.read_many = make.make("select u.i::int4, " + state_if("u.w and pg_catalog.octet_length({VALUE}) <= $3") +
                                ", {ONE_CLOCK} "
                                "from unnest($1::bytea[], $2::bool[]) with ordinality u(k, w, i) "
                                "cross join " +
                                rows_of_each() + " where $4 or {LIVE_ONCE}",
                            {kByteaArray, kBoolArray, kInt4, kBool});
  out.read_values = make.make(
      "select t.key, case when pg_catalog.octet_length({VALUE}) <= $2 then {VALUE} end, t.expires_at from {T} t "
      "where t.key = any($1) and ($3 or {LIVE_ONCE}) order by t.key",
      {kByteaArray, kInt4, kBool});
}

/// The time is taken before rows are locked; `offset 0` keeps the planner from taking it twice.
std::string upsert(const std::string& rows, const std::string& value, const std::string& now) {
  return "insert into {T} as t(key, value, expires_at, expires_bucket, created_at, updated_at, version) "
         "select r.k, " +
         value + ", e.at, " + bucket_of("e.at") + ", e.now, e.now, e.version from " + rows +
         ", lateral (select n.now, n.now + r.ttl::float8 * interval '1 ms' as at, {VERSION_CLOCK} as version "
         "from (select " +
         now + " as now) n offset 0) e ";
}

void make_writing(Writer& make, Statements& out) {
  const std::string on_conflict =
      "on conflict (key) do update set value = excluded.value, expires_at = excluded.expires_at, "
      "expires_bucket = excluded.expires_bucket, updated_at = greatest(excluded.updated_at, t.created_at), "
      "version = {NEXT_VERSION}, "
      "created_at = case when {DEAD} then excluded.created_at else t.created_at end";
  out.set_one = make.make(
      upsert("(select $1::bytea as k, $2 as v, $3::int8 as ttl offset 0) r", "r.v{TO_VALUE}", "{CLOCK}") + on_conflict,
      {kBytea, make.value(), kInt8});
  out.set_many = make.make(upsert("unnest($1::bytea[], $2::{VALUES}, $3::int8[]) r(k, v, ttl)", "r.v{TO_VALUE}",
                                  "(select coalesce($4::timestamptz, {CLOCK}))") +
                               on_conflict,
                           {kByteaArray, make.values(), kInt8Array, kTimestamptz});
  out.erase_one = make.make("delete from {T} t where t.key = $1 returning {LIVE}, " + state_if("$2"), {kBytea, kBool});
  out.erase_many = make.make(
      "with l as materialized (select u.i, t.key, case when $2 then t.value end as value, t.expires_at, t.created_at, "
      "t.updated_at, t.version from " +
          locked_rows_of("pg_catalog.unnest($1::bytea[]) with ordinality u(k, i)") +
          "), d as (delete from {T} t where " + is_locked() + ") select t.i::int4, {LIVE}, " + kStateOf + " from l t",
      {kByteaArray, kBool});
  out.increment =
      make.make(upsert("(select $1::bytea as k, $2::int8 as v, $3::int8 as ttl offset 0) r",
                       "{NUMBER_OPEN}r.v{NUMBER_CLOSE}", "{CLOCK}") +
                    "on conflict (key) do update set value = {NUMBER_OPEN}{VALUE_TEXT}::int8 + $2{NUMBER_CLOSE}, "
                    "updated_at = greatest(excluded.updated_at, t.created_at), "
                    "version = {NEXT_VERSION} "
                    "where {LIVE} and case when pg_catalog.octet_length({VALUE}) <= 18 "
                    "then {VALUE_TEXT} ~ '^(0|-?[1-9][0-9]{0,16})$' else false end "
                    "returning {VALUE_TEXT}::int8, t.version, t.expires_at",
                {kBytea, kInt8, kInt8});
  out.respell = make.make(
      "select r.v::jsonb::text from pg_catalog.unnest($1::text[]) with ordinality r(v, i) order by r.i", {kTextArray});
  out.erase_dead = make.make(
      "with l as materialized (select t.key from {T} t where t.key = any($1) and {DEAD} order by t.key "
      "for update skip locked), d as (delete from {T} t where " +
          is_locked() + " and {DEAD} returning 1) select pg_catalog.count(*)::int8 from d",
      {kByteaArray});
}

void make_planned(Writer& make, Statements& out) {
  out.lock = make.make(
      "insert into {T} as t(key, value, expires_at, created_at, updated_at, version) "
      "select k, {EMPTY}, '-infinity', '-infinity', '-infinity', 0 from pg_catalog.unnest($1::bytea[]) k "
      "on conflict (key) do update set value = t.value where false",
      {kByteaArray});
  out.state = make.make("select u.i::int4, t.key is not null, " + state_if("u.w") +
                            " from unnest($1::bytea[], $2::bool[]) with ordinality u(k, w, i) left join " +
                            rows_of_each() + " on true",
                        {kByteaArray, kBoolArray});
  // Rows that come into being behind its back are absent for this batch: it judges what it has locked.
  out.lock_state = make.make("select u.i::int4, true, " + state_if("u.w") + " from " +
                                 locked_rows_of("unnest($1::bytea[], $2::bool[]) with ordinality u(k, w, i)"),
                             {kByteaArray, kBoolArray});
  out.clocks = make.make("select {CLOCK}, {VERSION_CLOCK}");
  // The only error that plain SQL can be made to raise, and that nothing else raises: a negative limit.
  out.still_before = make.make("select limit case when {CLOCK} < $1 then 0 else -1 end", {kTimestamptz});
  out.put = make.make(
      "insert into {T} as t(key, value, expires_at, expires_bucket, created_at, updated_at, version) "
      "select r.k, r.v{TO_VALUE}, r.at, r.b, r.c, r.u, r.n from unnest($1::bytea[], $2::{VALUES}, $3::timestamptz[], "
      "$4::int4[], $5::timestamptz[], $6::timestamptz[], $7::int8[]) r(k, v, at, b, c, u, n) "
      "on conflict (key) do update set value = excluded.value, expires_at = excluded.expires_at, "
      "expires_bucket = excluded.expires_bucket, created_at = excluded.created_at, "
      "updated_at = excluded.updated_at, version = excluded.version",
      {kByteaArray, make.values(), kTimestamptzArray, kInt4Array, kTimestamptzArray, kTimestamptzArray, kInt8Array});
  // Keys come in their order, so that a row finds its place among them.
  const std::string place = "[pg_catalog.width_bucket(t.key, $1)]";
  out.touch = make.make("update {T} t set expires_at = ($2::timestamptz[])" + place +
                            ", expires_bucket = ($3::int4[])" + place + ", updated_at = ($4::timestamptz[])" + place +
                            ", version = ($5::int8[])" + place + " where t.key = any($1)",
                        {kByteaArray, kTimestamptzArray, kInt4Array, kTimestamptzArray, kInt8Array});
  out.erase = make.make("delete from {T} t where t.key = any($1)", {kByteaArray});
  out.lock_table = make.make("lock table {T} in share row exclusive mode");
  out.lock_table_alone = make.make("lock table {T} in access exclusive mode");
  out.announce_writes = make.make("lock table {T} in row exclusive mode");
}

// A page looks at so many rows in key order, dead ones too. It ends early behind the row whose value makes its bytes
// too many, and with the last entry wanted. What a value weighs is known without reading it, so those behind the end
// are not read. Of the rows looked at those come back that are entries of the page, and the last.

/// A level of such a statement; `m`: this is an entry of the page, as far as is known.
std::string page_level(const std::string& columns, const std::string& rows) {
  return "(select " + std::string(kColumns) + ", " + columns + " from " + rows + ")";
}

std::string looked_at(const std::string& matches, const std::string& order) {
  return page_level(matches + " as m", "{T} t where t.key >= $1 and t.key < $2 order by t.key " + order + " limit $3");
}

std::string window_of(const std::string& order) {
  return " window o as (order by t.key " + order + " rows unbounded preceding)";
}

/// `weighs`: whether the row's value does.
std::string place_and_sum(const std::string& weighs) {
  const std::string bytes = "(case when " + weighs + " then {BYTES} else 0 end)";
  return "t.m, pg_catalog.row_number() over o as at, " + bytes + " as bytes, pg_catalog.sum(" + bytes +
         ") over o as total, pg_catalog.lead(true, 1, false) over o as more";
}

constexpr const char* kInPage = "t.at < $3 and t.total - t.bytes < $6";
constexpr const char* kNth = "pg_catalog.count(*) filter (where t.m) over ";

/// The rows of a page out of all that have a place, their sums and `nth`.
std::string page_of(const std::string& rows, const std::string& order) {
  return "select t.key, t.m, t.more, t.at, t.total, " + state_if("$5 and t.m") + " from " + rows + " t where " +
         kInPage +
         " and t.nth - t.m::int4 < $7 and (t.m or not t.more or t.at = $3 - 1 or t.total >= $6) order by t.key " +
         order;
}

/// A filter of keys, or none: what a page gives weighs.
std::string key_page(const std::string& rows, const std::string& order) {
  return page_of(page_level(place_and_sum("$5 and t.m") + ", " + kNth + "o as nth", rows + " t" + window_of(order)),
                 order);
}

/// A filter of values, which is judged once for each row: what a page looks at weighs.
std::string value_page(const std::string& condition, const std::string& order) {
  const std::string live = looked_at("($4 or {LIVE_ONCE})", order);
  const std::string weighed = page_level(place_and_sum("t.m"), live + " t" + window_of(order));
  const std::string judged = page_level(
      "case when t.m then coalesce(" + condition + ", false) else false end as m, t.at, t.bytes, t.total, t.more",
      weighed + " t where " + kInPage + " offset 0");
  const std::string numbered =
      page_level("t.m, t.at, t.bytes, t.total, t.more, " + (kNth + ("(order by t.key " + order)) +
                     " rows unbounded preceding) as nth",
                 judged + " t");
  return page_of(numbered, order);
}

Statement make_value_page(Writer& make, const std::string& order, const std::string& condition, unsigned type,
                          bool takes_two) {
  std::string text = value_page(condition, order);
  if (takes_two) return make.make(text, {kBytea, kBytea, kInt8, kBool, kBool, kInt8, kInt8, type, type});
  return make.make(text, {kBytea, kBytea, kInt8, kBool, kBool, kInt8, kInt8, type});
}

// Of bytea, the server says for sure whether a value holds bytes, but neither ignoring case nor in JSON: there it says
// what may match. Large values it leaves alone.
void make_bytea_pages(Writer& make, const std::string& order, Statements::Listing& out) {
  out.contains_page = make_value_page(make, order, "pg_catalog.position(t.value, $8) > 0", kBytea, false);
  // The text form of bytes is one of each byte after the other, so what holds the needle holds the needle's. Both are
  // compared as bytes: a search in texts takes the product of their lengths for some.
  out.folded_page = make_value_page(
      make, order,
      "case when pg_catalog.octet_length(t.value) > 1048576 then true else pg_catalog.position("
      "pg_catalog.convert_to(pg_catalog.lower(pg_catalog.encode(t.value, 'escape') collate \"C\"), 'UTF8'), "
      "(select pg_catalog.convert_to(pg_catalog.encode($8, 'escape'), 'UTF8'))) > 0 end",
      kBytea, false);
  // What is not escaped stands there as it is.
  out.member_page = make_value_page(make, order,
                                    "(pg_catalog.position(t.value, $8) > 0 and pg_catalog.position(t.value, $9) > 0) "
                                    "or pg_catalog.position(t.value, pg_catalog.decode('5c', 'hex')) > 0",
                                    kBytea, true);
}

void make_jsonb_pages(Writer& make, const std::string& order, Statements::Listing& out) {
  out.contains_page = make_value_page(
      make, order, "pg_catalog.position(pg_catalog.convert_to({VALUE}, 'UTF8'), $8) > 0", kBytea, false);
  out.folded_page = make_value_page(
      make, order,
      "pg_catalog.position(pg_catalog.convert_to(pg_catalog.lower({VALUE} collate \"C\"), 'UTF8'), $8) > 0", kBytea,
      false);
  out.member_page = make_value_page(make, order, "(t.value -> $8) = (select $9::jsonb)", kText, true);
  out.text_page = make_value_page(
      make, order,
      "pg_catalog.jsonb_typeof(t.value -> $8) in ('string', 'number', 'boolean') and (t.value ->> $8) = $9 collate "
      "\"C\"",
      kText, true);
}

Statements::Listing make_listing(Writer& make, const std::string& order) {
  Statements::Listing listing;
  listing.page = make.make(key_page(looked_at("($4 or {LIVE_ONCE})", order), order),
                           {kBytea, kBytea, kInt8, kBool, kBool, kInt8, kInt8});
  listing.filtered_page = make.make(key_page(looked_at("(($4 or {LIVE_ONCE}) and t.key like $8)", order), order),
                                    {kBytea, kBytea, kInt8, kBool, kBool, kInt8, kInt8, kBytea});
  if (make.value() == kText) {
    make_jsonb_pages(make, order, listing);
  } else {
    make_bytea_pages(make, order, listing);
  }
  return listing;
}

std::string field_hash(const std::string& json) { return "pg_catalog.jsonb_hash_extended(" + json + ", 0::int8)"; }

/// The rows of an index with this JSON value, in key order, as `looked_at`.
std::string indexed_rows_with(const std::string& field, const std::string& json, const std::string& more = "") {
  const std::string member = "(t.value -> " + field + "::text)";
  const std::string value = "(select " + json + "::jsonb)";
  return "(select pg_catalog.substr(t.key, 1) as key, t.value, t.expires_at, t.created_at, t.updated_at, t.version, "
         "($4 or {LIVE_ONCE}) as m from {T} t where (select i.ok from i) and " +
         field_hash(member) + " = " + field_hash(value) + " and " + member + " is not null and " + member + " = " +
         value + more +
         " and pg_catalog.substr(t.key, 1) >= $1 and pg_catalog.substr(t.key, 1) < $2 "
         "order by pg_catalog.substr(t.key, 1) limit $3)";
}

void make_ranges(Writer& make, Statements& out) {
  out.forward = make_listing(make, "");
  out.reverse = make_listing(make, "desc");
  const std::string live_in_range = " from {T} t where t.key >= $1 and t.key < $2 and {LIVE_ONCE}";
  out.count = make.make("select pg_catalog.count(*)::int8" + live_in_range, {kBytea, kBytea});
  out.count_like =
      make.make("select pg_catalog.count(*)::int8" + live_in_range + " and t.key like $3", {kBytea, kBytea, kBytea});
  out.erase_range = make.make(
      "with d as (delete from {T} t where t.key >= $1 and t.key < $2 returning {LIVE_ONCE} as live) "
      "select pg_catalog.count(*) filter (where d.live)::int8 from d",
      {kBytea, kBytea});
  // What is there is what was, while no transaction has ended on this server; 0 says nothing, as on a standby, whose
  // snapshots do not list what is under way.
  const std::string mark =
      "case when pg_catalog.pg_is_in_recovery() then 0::int8 else "
      "pg_catalog.hashtextextended(pg_catalog.pg_current_snapshot()::text, 0::int8) end";
  out.snapshot_mark = make.make("select " + mark);
  // Equal count and equal sum: nothing changed in between. Modulo a power of two, so that those of pages add up.
  out.fingerprint = make.make(
      "with m as materialized (select s.mark = 0::int8 or s.mark is distinct from $3 as moved from (select " + mark +
          " as mark) s) "
          "select (select m.moved from m), pg_catalog.count(*)::int8, "
          "coalesce(pg_catalog.sum(pg_catalog.hashtextextended(pg_catalog.encode(t.key, 'hex'), t.version)) "
          "% 9223372036854775808::numeric, 0)::int8, pg_catalog.min(t.expires_at)" +
          live_in_range + " and (select m.moved from m)",
      {kBytea, kBytea, kInt8});
}

void make_expiry(Writer& make, Statements& out) {
  // Rows are locked before they count for the batch, so that those of others, which are skipped, do not make it short.
  const std::string lock = " for update of t skip locked";
  const std::string removed = "d as (delete from {T} t where " + is_locked() +
                              " and t.expires_at <= {CLOCK} returning 1) select pg_catalog.count(*)::int8 from d";
  // In the present bucket a round looks at a bounded number: what has not expired yet must not be read each time.
  out.sweep =
      make.make("with n as materialized (select " + bucket_of("{CLOCK}") +
                    " as present), "
                    "p as materialized (select t.key from {T} t where t.expires_bucket < (select n.present from n) "
                    "and t.expires_at <= {ONE_CLOCK} order by t.expires_bucket limit $1" +
                    lock +
                    "), "
                    "c as materialized (select t.key from (select b.key from {T} b "
                    "where b.expires_bucket = (select n.present from n) limit $2) x, lateral (select t.key from {T} t "
                    "where t.key = x.key and t.expires_at <= {ONE_CLOCK}" +
                    lock +
                    ") t limit $1 - (select pg_catalog.count(*) from p)), l as (select p.key from p union all select "
                    "c.key from c), " +
                    removed,
                {kInt8, kInt8});
  const std::string due = "t.expires_bucket <= (select " + bucket_of("{CLOCK}") + ")";
  out.cleanup = make.make("with l as materialized (select t.key from {T} t where " + due +
                              " and t.expires_at <= {ONE_CLOCK} order by t.expires_bucket, t.expires_at limit $1" +
                              lock + "), " + removed,
                          {kInt8});
  out.count_expired = make.make("select pg_catalog.count(*)::int8 from (select from {T} t where " + due +
                                    " and t.expires_at <= {CLOCK} limit $1) x",
                                {kInt8});
}

void make_sessions(Writer& make, Statements& out) {
  // The settings of a pooled transaction are a statement: any other level would see what was there before its locks.
  out.begin = make.make("begin isolation level read committed");
  // For this transaction alone, though it does not say so: `set transaction` warns where none was begun.
  out.read_committed = make.make("set transaction_isolation = 'read committed'");
  out.begin_snapshot = make.make("begin isolation level repeatable read read only");
  out.commit = make.make("commit");
  out.rollback = make.make("rollback");
  const std::string settings =
      "select pg_catalog.set_config('synchronous_commit', $1, true), "
      "pg_catalog.set_config('client_min_messages', 'warning', true), "
      "pg_catalog.set_config('statement_timeout', $2, true), pg_catalog.set_config('lock_timeout', $3, true), "
      "pg_catalog.set_config('idle_in_transaction_session_timeout', greatest($2::int8, " +
      std::to_string(kIdleInTransactionMsMin) + "::int8)::text, true)";
  out.settings = make.make(settings, {kText, kText, kText});
  out.pooled_settings =
      make.make(settings +
                    ", pg_catalog.set_config('enable_seqscan', 'off', true), "
                    "pg_catalog.set_config('enable_bitmapscan', 'off', true), "
                    "pg_catalog.set_config('enable_hashjoin', 'off', true), "
                    "pg_catalog.set_config('enable_mergejoin', 'off', true), pg_catalog.set_config('jit', 'off', true)",
                {kText, kText, kText});
  out.canary_read = make.make("select {VALUE} from {T} t where t.key = $1", {kBytea});
  out.canary_insert = make.make(
      "insert into {T}(key, value, created_at, updated_at, version) "
      "values ($1, $2{TO_VALUE}, {CLOCK}, {CLOCK}, 1) on conflict (key) do nothing",
      {kBytea, make.value()});
  out.stats = make.make(
      "select pg_catalog.count(*)::int8, pg_catalog.count(*) filter (where {DEAD})::int8, "
      "coalesce(pg_catalog.sum(pg_catalog.octet_length(t.key)), 0)::int8, "
      "coalesce(pg_catalog.sum(pg_catalog.octet_length({VALUE})), 0)::int8, "
      "coalesce(pg_catalog.max(pg_catalog.octet_length({VALUE})), 0)::int8, coalesce(pg_catalog.max(t.version), "
      "0)::int8 "
      "from {T} t where t.key < $1 or t.key >= $2",
      {kBytea, kBytea});
}

}  // namespace

// What is indexed is a hash of the member, for a member can be longer than an index takes, and behind it the key in a
// disguise. The plan must not depend on what the server believes of the data: the key's own index, the only other that
// gives rows in order, would be read to its end for a value that is rare. In this disguise it does not offer itself.
std::string Statements::indexed_columns(const std::string& field) {
  return field_hash("(value -> " + field + "::text)") + ", pg_catalog.substr(key, 1)";
}

std::string Statements::indexed_rows(const std::string& field) { return "(value -> " + field + "::text) is not null"; }

std::string Statements::marked_indexes() const {
  return "pg_catalog.pg_index i join pg_catalog.pg_description d on d.objoid = i.indexrelid and d.objsubid = 0 "
         "and d.classoid = 'pg_catalog.pg_class'::regclass::oid and i.indrelid = pg_catalog.to_regclass(" +
         quoted_literal(options.table) + ")::oid and pg_catalog.starts_with(d.description, " +
         quoted_literal(kIndexMark) + ")";
}

Statement Statements::indexed_page(const std::string& field, const std::string& comment, bool or_written_as) const {
  Writer make(options);
  // What the planner may use. An index that was made while documents changed is not for transactions older than it.
  // A statement that sets something gets no workers: without an index they would be started for nothing.
  const std::string usable =
      "select pg_catalog.set_config('max_parallel_workers_per_gather', '0', true) = '0' and exists (select from " +
      marked_indexes() + " where d.description = " + comment +
      " and i.indisvalid and not exists (select from pg_catalog.pg_index c where c.indexrelid = any(array(select "
      "i.indexrelid union all select h.inhrelid from pg_catalog.pg_inherits h where h.inhparent = i.indexrelid)) and "
      "c.indcheckxmin and pg_catalog.age(c.xmin) <= "
      "pg_catalog.age(pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::xid))) as ok";
  std::string rows = indexed_rows_with(field, "$8");
  if (or_written_as) {
    rows = "(select * from (" + rows + " union all " +
           indexed_rows_with(field, "$10", " and (t.value ->> " + field + "::text) = $9 collate \"C\"") +
           ") u order by u.key limit $3)";
  }
  // One statement, for one that asks for the index beforehand may find it gone.
  const std::string text = "with i as materialized (" + usable + ") select i.ok, p.* from i left join (" +
                           key_page(rows, "") + ") p on true";
  Statement statement = or_written_as
                            ? make.make(text, {kBytea, kBytea, kInt8, kBool, kBool, kInt8, kInt8, kText, kText, kText})
                            : make.make(text, {kBytea, kBytea, kInt8, kBool, kBool, kInt8, kInt8, kText});
  statement.name.clear();
  return statement;
}

Statements::Statements(const StatementOptions& given) : options(given) {
  Writer make(options);
  make_reading(make, *this);
  make_writing(make, *this);
  make_planned(make, *this);
  make_ranges(make, *this);
  make_expiry(make, *this);
  make_sessions(make, *this);
}

}  // namespace tuskv::postgres
