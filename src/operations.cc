// Every operation: check the arguments, build commands, run them in the mode, make the answer of the replies. Decoders
// are lambdas without captures: an asynchronous call keeps nothing of them but their type.
#include "tuskv/operations.h"

#include <algorithm>

#include "checks.h"
#include "entry_stamps.h"
#include "key_text.h"
#include "keyed_batch.h"
#include "run.h"
#include "search_filter.h"
#include "stored_range.h"
#include "throw.h"
#include "time_left.h"

namespace tuskv {
namespace {

using OptionalValue = std::optional<std::string>;

Condition equals(Bytes expected) { return {.kind = Condition::Kind::equals, .bytes = expected.view()}; }
Condition version_is(Version expected) { return {.kind = Condition::Kind::version, .version = expected.number}; }
constexpr Condition kAbsent = {.kind = Condition::Kind::absent};
constexpr Condition kPresent = {.kind = Condition::Kind::present};

Add addition(const View& view, std::string_view key, std::int64_t by, const CounterOptions& options) {
  if (options.min > options.max) throw_refused(Code::InvalidArgument, "min is greater than max");
  // Sign and magnitude: the smallest integer has no negative.
  const auto magnitude = by < 0 ? std::uint64_t{0} - static_cast<std::uint64_t>(by) : static_cast<std::uint64_t>(by);
  Add add{.key = key, .magnitude = magnitude, .negative = by < 0, .min = options.min, .max = options.max};
  if (options.persistent && options.ttl_if_created) {
    throw_refused(Code::InvalidArgument, "ttl_if_created and persistent exclude each other");
  }
  if (!options.persistent) add.if_created = default_expiry(view);
  if (options.ttl_if_created) {
    add.if_created = {.kind = Expiry::Kind::after, .value = checked_ttl_ms(*options.ttl_if_created, "ttl_if_created")};
  }
  return add;
}

std::int64_t sum_of(const Add& add) {
  if (!add.applied) {
    throw_refused(Code::Overflow, "the counter of key " + quoted_key(add.key) + " is " + std::to_string(add.value) +
                                      " and would leave its bounds " + std::to_string(add.min) + " to " +
                                      std::to_string(add.max));
  }
  return add.value;
}

template <class C>
CompareResult compare_result(C& command) {
  if (command.applied) {
    CompareResult result{.status = CompareResult::Status::success};
    if constexpr (std::is_same_v<C, Put>) result.version = Version{command.version};
    return result;
  }
  if (!command.seen.found) return {.status = CompareResult::Status::not_found};
  return {.status = CompareResult::Status::mismatch,
          .current = std::move(command.seen.value),
          .version = Version{command.seen.version}};
}

OptionalValue previous_value(Seen& seen) { return seen.found ? OptionalValue(std::move(seen.value)) : std::nullopt; }

Entry entry_of(const Read& read, std::string value, const View& view) {
  Entry entry;
  entry.key = read.key.substr(view.prefix.size());
  entry.value = std::move(value);
  const Seen& seen = read.seen;
  set_stamps(entry, {.version = seen.version,
                     .expires_us = seen.expires_us,
                     .created_us = seen.created_us,
                     .updated_us = seen.updated_us});
  return entry;
}

Ttl ttl_of(const Seen& seen, const View& view) {
  if (!seen.found) return {};
  if (seen.expires_us == 0) return {.state = Ttl::State::persistent};
  return {.state = Ttl::State::remaining, .left = time_left(seen.expires_us, view)};
}

std::size_t checked_scan_limit(std::size_t limit) {
  if (limit >= 1 && limit <= kScanLimitMax) return limit;
  throw_refused(Code::InvalidArgument,
                "a limit of " + std::to_string(limit) + " is not 1 to " + std::to_string(kScanLimitMax));
}

/// The bytes a Scan points to, beside the caller's own.
struct ScanBytes {
  ScanBytes(const View& view, const ScanOptions& options) : filter(checked_filter(options.glob)) {
    checked_scan_limit(options.limit);
    range =
        stored_range(view, {.prefix = options.prefix, .from = options.from, .to = options.to, .glob = options.glob});
    after = stored_cursor(view, options.after);
  }
  Scan command(const View& view, const ScanOptions& options, Want want) const {
    return {.range = range.range(),
            .after = after,
            .filter = filter,
            .limit = options.limit,
            .key_offset = view.prefix.size(),
            .reverse = options.reverse,
            .include_expired = options.include_expired,
            .want = want};
  }

  Filter filter;
  StoredRange range;
  std::string after;
};

/// The same for a search: a part of the keys, in order.
struct SearchBytes {
  SearchBytes(const View& view, SearchFilter wanted, const CountOptions& which, Bytes cursor)
      : filter(std::move(wanted)), range(stored_range(view, which)), after(stored_cursor(view, cursor)) {}
  Scan command(const View& view, std::size_t limit) const {
    return {.range = range.range(),
            .after = after,
            .filter = filter.filter(),
            .limit = checked_scan_limit(limit),
            .key_offset = view.prefix.size()};
  }

  SearchFilter filter;
  StoredRange range;
  std::string after;
};

std::string next_cursor(const Scan& scan) {
  return scan.next.empty() ? std::string() : scan.next.substr(scan.key_offset);
}

Page page_of(Scan& scan) { return {.entries = std::move(scan.entries), .next = next_cursor(scan)}; }

}  // namespace

inline namespace v0 {
namespace detail {

std::int64_t counter_step(std::uint64_t by) {
  if (by <= static_cast<std::uint64_t>(INT64_MAX)) return static_cast<std::int64_t>(by);
  throw_refused(Code::InvalidArgument,
                "a counter cannot move by " + std::to_string(by) + ": a step has 64 bits with its sign");
}

}  // namespace detail

template <class Mode>
Operations<Mode>::Operations(std::shared_ptr<const View> view) : view_(std::move(view)) {}
template <class Mode>
Operations<Mode>::Operations(const Operations&) = default;
template <class Mode>
Operations<Mode>::Operations(Operations&&) noexcept = default;
template <class Mode>
Operations<Mode>& Operations<Mode>::operator=(const Operations&) = default;
template <class Mode>
Operations<Mode>& Operations<Mode>::operator=(Operations&&) noexcept = default;
template <class Mode>
Operations<Mode>::~Operations() = default;

// ---- read

template <class Mode>
auto Operations<Mode>::get(Bytes key) const -> Reply<OptionalValue> {
  const StoredKey stored(*view_, key);
  return run(Mode(), view_, Read{.key = stored.view(), .stamps = false}, [](auto reply) {
    return reply.command.seen.found ? OptionalValue(std::move(reply.value)) : std::nullopt;
  });
}

template <class Mode>
auto Operations<Mode>::get_or_throw(Bytes key) const -> Reply<std::string> {
  const StoredKey stored(*view_, key);
  return run(Mode(), view_, Read{.key = stored.view(), .stamps = false}, [](auto reply) {
    if (!reply.command.seen.found) {
      throw_refused(Code::NotFound, "there is no key " + quoted_key(reply.command.key));
    }
    return std::move(reply.value);
  });
}

template <class Mode>
auto Operations<Mode>::get_entry(Bytes key) const -> Reply<std::optional<Entry>> {
  const StoredKey stored(*view_, key);
  return run(Mode(), view_, Read{.key = stored.view()}, [](auto reply) -> std::optional<Entry> {
    if (!reply.command.seen.found) return std::nullopt;
    return entry_of(reply.command, std::move(reply.value), reply.view);
  });
}

template <class Mode>
auto Operations<Mode>::get_many(std::span<const Bytes> keys) const -> Reply<std::vector<OptionalValue>> {
  KeyedBatch<Read> batch(*view_, keys.size());
  add_keys(batch, *view_, keys);
  std::vector<Command> commands = batch.take_commands();
  for (Command& command : commands) std::get<Read>(command).stamps = false;
  return run_batch(Mode(), view_, std::move(commands), [](BatchReply reply) {
    std::vector<OptionalValue> values(reply.commands.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (std::get<Read>(reply.commands[i]).seen.found) values[i] = std::move(reply.values[i]);
    }
    return values;
  });
}

template <class Mode>
auto Operations<Mode>::exists(Bytes key) const -> Reply<bool> {
  const StoredKey stored(*view_, key);
  return run(Mode(), view_, Read{.key = stored.view(), .want = Want::nothing},
             [](auto reply) { return reply.command.seen.found; });
}

template <class Mode>
auto Operations<Mode>::exists_many(std::span<const Bytes> keys) const -> Reply<std::uint64_t> {
  KeyedBatch<Read> batch(*view_, keys.size());
  add_keys(batch, *view_, keys);
  std::vector<Command> commands = batch.take_commands();
  for (Command& command : commands) std::get<Read>(command).want = Want::nothing;
  return run_batch(Mode(), view_, std::move(commands), [](BatchReply reply) {
    std::uint64_t found = 0;
    for (const Command& command : reply.commands) found += std::get<Read>(command).seen.found ? 1 : 0;
    return found;
  });
}

template <class Mode>
auto Operations<Mode>::ttl(Bytes key) const -> Reply<Ttl> {
  const StoredKey stored(*view_, key);
  return run(Mode(), view_, Read{.key = stored.view(), .want = Want::meta},
             [](auto reply) { return ttl_of(reply.command.seen, reply.view); });
}

// ---- write

template <class Mode>
auto Operations<Mode>::set(Bytes key, Value value, const SetOptions& options) const -> Reply<void> {
  const StoredKey stored(*view_, key);
  check_value(*view_, value.view());
  Put put{.key = stored.view(), .value = value.view(), .expiry = checked_expiry(options, default_expiry(*view_))};
  return run(
      Mode(), view_, std::move(put), [](auto) {}, std::move(value));
}

template <class Mode>
auto Operations<Mode>::set_if_absent(Bytes key, Value value, const SetOptions& options) const -> Reply<bool> {
  const StoredKey stored(*view_, key);
  check_value(*view_, value.view());
  Put put{.key = stored.view(),
          .value = value.view(),
          .condition = kAbsent,
          .expiry = checked_expiry(options, default_expiry(*view_))};
  return run(
      Mode(), view_, std::move(put), [](auto reply) { return reply.command.applied; }, std::move(value));
}

template <class Mode>
auto Operations<Mode>::set_if_present(Bytes key, Value value, const SetOptions& options) const -> Reply<bool> {
  const StoredKey stored(*view_, key);
  check_value(*view_, value.view());
  Put put{.key = stored.view(),
          .value = value.view(),
          .condition = kPresent,
          .expiry = checked_expiry(options, default_expiry(*view_))};
  return run(
      Mode(), view_, std::move(put), [](auto reply) { return reply.command.applied; }, std::move(value));
}

template <class Mode>
auto Operations<Mode>::set_many(std::span<const Item> items, const SetOptions& options) const -> Reply<void> {
  KeyedBatch<Put> batch(*view_, items.size());
  add_items(batch, *view_, items, options, {});
  return run_batch(Mode(), view_, batch.take_commands(), [](BatchReply) {});
}

template <class Mode>
auto Operations<Mode>::set_many_if_absent(std::span<const Item> items, const SetOptions& options) const -> Reply<bool> {
  KeyedBatch<Put> batch(*view_, items.size());
  add_items(batch, *view_, items, options, kAbsent);
  return run_batch(Mode(), view_, batch.take_commands(),
                   [](BatchReply reply) {
                     return std::all_of(reply.commands.begin(), reply.commands.end(),
                                        [](const Command& command) { return std::get<Put>(command).applied; });
                   },
                   {.require_all = true});
}

template <class Mode>
auto Operations<Mode>::erase(Bytes key) const -> Reply<bool> {
  const StoredKey stored(*view_, key);
  return run(Mode(), view_, Erase{.key = stored.view()}, [](auto reply) { return reply.command.seen.found; });
}

template <class Mode>
auto Operations<Mode>::erase_many(std::span<const Bytes> keys) const -> Reply<std::uint64_t> {
  KeyedBatch<Erase> batch(*view_, keys.size());
  add_keys(batch, *view_, keys);
  return run_batch(Mode(), view_, batch.take_commands(), [](BatchReply reply) {
    std::uint64_t erased = 0;
    for (const Command& command : reply.commands) erased += std::get<Erase>(command).seen.found ? 1 : 0;
    return erased;
  });
}

template <class Mode>
auto Operations<Mode>::erase_prefix(Bytes prefix, const EraseOptions& options) const -> Reply<std::uint64_t> {
  if (prefix.empty() && !options.allow_empty_prefix) {
    throw_refused(Code::InvalidArgument,
                  "an empty prefix means every key: use clear, or confirm with allow_empty_prefix");
  }
  const StoredRange range = stored_range(*view_, {.prefix = prefix});
  return run(Mode(), view_, EraseRange{.range = range.range()}, [](auto reply) { return reply.command.erased; });
}

template <class Mode>
auto Operations<Mode>::erase_range(Bytes from, std::optional<Bytes> to) const -> Reply<std::uint64_t> {
  if (from.empty() && !to) {
    throw_refused(Code::InvalidArgument, "a range without start and end means every key: use clear");
  }
  const StoredRange range = stored_range(*view_, {.from = from, .to = to});
  return run(Mode(), view_, EraseRange{.range = range.range()}, [](auto reply) { return reply.command.erased; });
}

template <class Mode>
auto Operations<Mode>::clear() const -> Reply<std::uint64_t> {
  return erase_prefix({}, {.allow_empty_prefix = true});
}

// ---- atomic

template <class Mode>
auto Operations<Mode>::increment(Bytes key, std::int64_t by, const CounterOptions& options) const
    -> Reply<std::int64_t> {
  const StoredKey stored(*view_, key);
  return run(Mode(), view_, addition(*view_, stored.view(), by, options),
             [](auto reply) { return sum_of(reply.command); });
}

template <class Mode>
auto Operations<Mode>::decrement(Bytes key, std::int64_t by, const CounterOptions& options) const
    -> Reply<std::int64_t> {
  const StoredKey stored(*view_, key);
  Add add = addition(*view_, stored.view(), by, options);
  add.negative = !add.negative;
  return run(Mode(), view_, Add(add), [](auto reply) { return sum_of(reply.command); });
}

template <class Mode>
auto Operations<Mode>::compare_and_swap(Bytes key, std::optional<Bytes> expected, Value value,
                                        const SetOptions& options) const -> Reply<CompareResult> {
  const StoredKey stored(*view_, key);
  check_value(*view_, value.view());
  Put put{.key = stored.view(), .value = value.view(), .condition = expected ? equals(*expected) : kAbsent};
  put.expiry = checked_expiry(options, expected ? Expiry{.kind = Expiry::Kind::keep} : default_expiry(*view_));
  put.want_previous = !expected;  // what was there instead
  return run(
      Mode(), view_, std::move(put), [](auto reply) { return compare_result(reply.command); }, std::move(value));
}

template <class Mode>
auto Operations<Mode>::compare_and_swap(Bytes key, Version expected, Value value, const SetOptions& options) const
    -> Reply<CompareResult> {
  const StoredKey stored(*view_, key);
  check_value(*view_, value.view());
  Put put{.key = stored.view(),
          .value = value.view(),
          .condition = version_is(expected),
          .expiry = checked_expiry(options, {.kind = Expiry::Kind::keep})};
  return run(
      Mode(), view_, std::move(put), [](auto reply) { return compare_result(reply.command); }, std::move(value));
}

template <class Mode>
auto Operations<Mode>::compare_and_erase(Bytes key, Bytes expected) const -> Reply<CompareResult> {
  const StoredKey stored(*view_, key);
  return run(Mode(), view_, Erase{.key = stored.view(), .condition = equals(expected)},
             [](auto reply) { return compare_result(reply.command); });
}

template <class Mode>
auto Operations<Mode>::compare_and_erase(Bytes key, Version expected) const -> Reply<CompareResult> {
  const StoredKey stored(*view_, key);
  return run(Mode(), view_, Erase{.key = stored.view(), .condition = version_is(expected)},
             [](auto reply) { return compare_result(reply.command); });
}

template <class Mode>
auto Operations<Mode>::get_and_set(Bytes key, Value value, const SetOptions& options) const -> Reply<OptionalValue> {
  const StoredKey stored(*view_, key);
  check_value(*view_, value.view());
  Put put{.key = stored.view(),
          .value = value.view(),
          .expiry = checked_expiry(options, default_expiry(*view_)),
          .want_previous = true};
  return run(
      Mode(), view_, std::move(put), [](auto reply) { return previous_value(reply.command.seen); }, std::move(value));
}

template <class Mode>
auto Operations<Mode>::get_and_erase(Bytes key) const -> Reply<OptionalValue> {
  const StoredKey stored(*view_, key);
  return run(Mode(), view_, Erase{.key = stored.view(), .want_previous = true},
             [](auto reply) { return previous_value(reply.command.seen); });
}

template <class Mode>
auto Operations<Mode>::get_and_touch(Bytes key, Duration ttl) const -> Reply<OptionalValue> {
  const StoredKey stored(*view_, key);
  const Expiry expiry{.kind = Expiry::Kind::after, .value = checked_ttl_ms(ttl, "ttl")};
  return run(Mode(), view_, Touch{.key = stored.view(), .expiry = expiry, .want = Want::value},
             [](auto reply) { return previous_value(reply.command.seen); });
}

// ---- expiry

template <class Mode>
auto Operations<Mode>::expire(Bytes key, Duration ttl) const -> Reply<bool> {
  const StoredKey stored(*view_, key);
  const Expiry expiry{.kind = Expiry::Kind::after, .value = checked_ttl_ms(ttl, "ttl")};
  return run(Mode(), view_, Touch{.key = stored.view(), .expiry = expiry},
             [](auto reply) { return reply.command.applied; });
}

template <class Mode>
auto Operations<Mode>::expire_at(Bytes key, Instant instant) const -> Reply<bool> {
  const StoredKey stored(*view_, key);
  const Expiry expiry{.kind = Expiry::Kind::at, .value = checked_instant_us(instant)};
  return run(Mode(), view_, Touch{.key = stored.view(), .expiry = expiry},
             [](auto reply) { return reply.command.applied; });
}

template <class Mode>
auto Operations<Mode>::persist(Bytes key) const -> Reply<PersistResult> {
  const StoredKey stored(*view_, key);
  return run(Mode(), view_, Touch{.key = stored.view()}, [](auto reply) -> PersistResult {
    using Status = PersistResult::Status;
    if (!reply.command.applied) return {.status = Status::missing};
    return {.status = reply.command.seen.expires_us == 0 ? Status::had_none : Status::removed};
  });
}

// ---- list

template <class Mode>
auto Operations<Mode>::scan(const ScanOptions& options) const -> Reply<Page> {
  const ScanBytes bytes(*view_, options);
  return run(Mode(), view_, bytes.command(*view_, options, options.keys_only ? Want::meta : Want::value),
             [](auto reply) { return page_of(reply.command); });
}

template <class Mode>
auto Operations<Mode>::keys(const ScanOptions& options) const -> Reply<KeyPage> {
  const ScanBytes bytes(*view_, options);
  return run(Mode(), view_, bytes.command(*view_, options, Want::nothing), [](auto reply) {
    KeyPage page{.next = next_cursor(reply.command)};
    page.keys.reserve(reply.command.entries.size());
    for (Entry& entry : reply.command.entries) page.keys.push_back(std::move(entry.key));
    return page;
  });
}

template <class Mode>
auto Operations<Mode>::count(const CountOptions& options) const -> Reply<std::uint64_t> {
  const Filter filter = checked_filter(options.glob);
  const StoredRange range = stored_range(*view_, options);
  return run(Mode(), view_, Count{.range = range.range(), .filter = filter, .key_offset = view_->prefix.size()},
             [](auto reply) { return reply.command.count; });
}

// ---- search

template <class Mode>
auto Operations<Mode>::search_values(Bytes needle, const SearchOptions& options) const -> Reply<Page> {
  const SearchBytes bytes(*view_, checked_needle(needle, options),
                          {.prefix = options.prefix, .from = options.from, .to = options.to}, options.after);
  return run(Mode(), view_, bytes.command(*view_, options.limit), [](auto reply) { return page_of(reply.command); });
}

template <class Mode>
auto Operations<Mode>::find_by_field(Bytes collection, Bytes field, Bytes value, const FindOptions& options) const
    -> Reply<Page> {
  const std::string prefix = collection_prefix(collection);
  const SearchBytes bytes(*view_, checked_field(field, value, options), {.prefix = prefix}, options.after);
  return run(Mode(), view_, bytes.command(*view_, options.limit), [](auto reply) { return page_of(reply.command); });
}

template class Operations<Blocking>;
template class Operations<Asynchronous>;

}  // namespace v0
}  // namespace tuskv
