#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "tuskv/async.h"
#include "tuskv/bytes.h"
#include "tuskv/coordination.h"
#include "tuskv/error.h"
#include "tuskv/export.h"
#include "tuskv/types.h"

namespace tuskv {

class View;  // Where the commands of a handle go, and under which namespace. Internal.

inline namespace v0 {

/// The mode in which a call returns its result. Value is how a value is handed over.
struct TUSKV_API Blocking {
  template <class T>
  using Reply = T;
  using Value = Bytes;
};

/// The mode in which a call returns a lazy Async<T> that owns its bytes.
struct TUSKV_API Asynchronous {
  template <class T>
  using Reply = Async<T>;
  using Value = OwnedBytes;
};

template <class T>
concept ReadableBytes = std::convertible_to<T, std::string_view> || std::same_as<std::remove_cvref_t<T>, Bytes>;

/// Bytes that stay while a list is gathered: an element of a container, or a view; not a string made for the moment.
template <class T>
concept LastingBytes = ReadableBytes<T> && (std::is_lvalue_reference_v<T> || std::is_trivially_destructible_v<T>);

/// A lent list of keys: from `{"a", "b"}`, a vector or span of strings or views, any container of them.
template <class R>
concept KeyRange = requires(R& range) {
  { *range.begin() } -> LastingBytes;
  range.end();
} && !BytesSource<R>;

/// A lent list of entries: from a map or a vector of pairs of strings or views.
template <class R>
concept PairRange = requires(R& range) {
  { range.begin()->first } -> ReadableBytes;
  { range.begin()->second } -> ReadableBytes;
  range.end();
};

/// What a counter is not moved by, though it would convert.
template <class N>
concept NoCounterStep = std::floating_point<N> || std::same_as<N, bool> || std::same_as<N, char>;

/// Integers that a signed step of 64 bits may not hold.
template <class N>
concept WideUnsigned = std::unsigned_integral<N> && sizeof(N) >= sizeof(std::int64_t);

namespace detail {
/// InvalidArgument for what a signed step cannot hold.
TUSKV_API std::int64_t counter_step(std::uint64_t by);
}  // namespace detail

/// Every operation on entries, written once for both modes. A store, a namespaced store and a transaction differ only
/// in where their commands go; use `KeyValue&` (store.h) for functions that accept any of them.
///
/// For every call: keys are 1 to max_key_bytes arbitrary bytes (InvalidKey otherwise), values 0 to max_value_bytes
/// (TooLarge). An expired entry is absent in every answer, count and condition. Wrong arguments throw at the call,
/// before any effect; a batch with one wrong item does nothing at all. Every call is atomic, batches included, and
/// thread-safe. But lists and counts of `memory:` and `file:` let writers in every 256 entries: of what is written
/// meanwhile, of a batch too, they may show a part, though no entry half. In a transaction they are of one moment.
/// Failures are thrown as Error; asynchronously, where the result is taken.
template <class Mode>
class TUSKV_API Operations {
 public:
  template <class T>
  using Reply = typename Mode::template Reply<T>;
  using Value = typename Mode::Value;

  // ---- read

  /// The value, or nothing when the key is absent.
  Reply<std::optional<std::string>> get(Bytes key) const;
  /// The value; throws NotFound when the key is absent.
  Reply<std::string> get_or_throw(Bytes key) const;
  /// The value with its version, expiry and stamps, or nothing.
  Reply<std::optional<Entry>> get_entry(Bytes key) const;
  /// The values at one instant, one answer for each position of `keys` (duplicates included).
  Reply<std::vector<std::optional<std::string>>> get_many(std::span<const Bytes> keys) const;
  Reply<std::vector<std::optional<std::string>>> get_many(std::initializer_list<Bytes> keys) const {
    return get_many(std::span<const Bytes>(keys.begin(), keys.size()));
  }
  Reply<std::vector<std::optional<std::string>>> get_many(KeyRange auto&& keys) const {
    return get_many(std::span<const Bytes>(lend_keys(keys)));
  }
  /// True when the key is there.
  Reply<bool> exists(Bytes key) const;
  /// How many of the keys exist; a key named twice counts twice, as in Redis.
  Reply<std::uint64_t> exists_many(std::span<const Bytes> keys) const;
  Reply<std::uint64_t> exists_many(std::initializer_list<Bytes> keys) const {
    return exists_many(std::span<const Bytes>(keys.begin(), keys.size()));
  }
  Reply<std::uint64_t> exists_many(KeyRange auto&& keys) const {
    return exists_many(std::span<const Bytes>(lend_keys(keys)));
  }
  /// How long the entry will live, or that the key is absent.
  Reply<Ttl> ttl(Bytes key) const;

  // ---- write

  /// Creates the entry or replaces it, its expiry too (see SetOptions).
  Reply<void> set(Bytes key, Value value, const SetOptions& options = {}) const;
  /// True when the key was absent and is now set.
  Reply<bool> set_if_absent(Bytes key, Value value, const SetOptions& options = {}) const;
  /// True when the key was present and is now replaced.
  Reply<bool> set_if_present(Bytes key, Value value, const SetOptions& options = {}) const;
  /// All entries or none; of a key given twice the last wins.
  Reply<void> set_many(std::span<const Item> items, const SetOptions& options = {}) const;
  Reply<void> set_many(std::initializer_list<Item> items, const SetOptions& options = {}) const {
    return set_many(std::span<const Item>(items.begin(), items.size()), options);
  }
  Reply<void> set_many(PairRange auto&& items, const SetOptions& options = {}) const {
    return set_many(std::span<const Item>(lend_items(items)), options);
  }
  /// Sets all entries when every key is absent and returns true; otherwise changes nothing.
  Reply<bool> set_many_if_absent(std::span<const Item> items, const SetOptions& options = {}) const;
  Reply<bool> set_many_if_absent(std::initializer_list<Item> items, const SetOptions& options = {}) const {
    return set_many_if_absent(std::span<const Item>(items.begin(), items.size()), options);
  }
  Reply<bool> set_many_if_absent(PairRange auto&& items, const SetOptions& options = {}) const {
    return set_many_if_absent(std::span<const Item>(lend_items(items)), options);
  }
  /// True when a live entry was removed.
  Reply<bool> erase(Bytes key) const;
  /// How many live entries were removed; a key named twice counts once.
  Reply<std::uint64_t> erase_many(std::span<const Bytes> keys) const;
  Reply<std::uint64_t> erase_many(std::initializer_list<Bytes> keys) const {
    return erase_many(std::span<const Bytes>(keys.begin(), keys.size()));
  }
  Reply<std::uint64_t> erase_many(KeyRange auto&& keys) const {
    return erase_many(std::span<const Bytes>(lend_keys(keys)));
  }
  /// Removes every key that starts with `prefix` and returns how many were live. An empty prefix is InvalidArgument
  /// unless confirmed.
  Reply<std::uint64_t> erase_prefix(Bytes prefix, const EraseOptions& options = {}) const;
  /// Removes `from` and the keys behind it up to `to`, which stays; without `to` all of them. Returns how many were
  /// live: none when `to` comes before `from`. With neither it is InvalidArgument: that is `clear`.
  Reply<std::uint64_t> erase_range(Bytes from, std::optional<Bytes> to) const;
  /// Removes every key of this namespace and of no other; returns how many were live. As erase_prefix and erase_range,
  /// it happens wholly or not at all, and at one moment for writers and transactions; a single read beside it may see
  /// it half done. On PostgreSQL all writers of the table wait meanwhile: where that is too long, list and erase_many.
  Reply<std::uint64_t> clear() const;

  // ---- atomic

  /// Adds `by` to a counter kept as decimal text (absent counts as 0) and returns the sum. Keeps the expiry.
  /// NotAnInteger when the value is anything but an optional minus and digits without leading zeros; Overflow when the
  /// sum leaves 64 bits or the given bounds.
  Reply<std::int64_t> increment(Bytes key, std::int64_t by = 1, const CounterOptions& options = {}) const;
  template <WideUnsigned N>
  Reply<std::int64_t> increment(Bytes key, N by, const CounterOptions& options = {}) const {
    return increment(key, detail::counter_step(by), options);
  }
  template <NoCounterStep N>
  Reply<std::int64_t> increment(Bytes key, N by, const CounterOptions& options = {}) const = delete;
  /// Subtracts `by`, exactly also for the smallest integer.
  Reply<std::int64_t> decrement(Bytes key, std::int64_t by = 1, const CounterOptions& options = {}) const;
  template <WideUnsigned N>
  Reply<std::int64_t> decrement(Bytes key, N by, const CounterOptions& options = {}) const {
    return decrement(key, detail::counter_step(by), options);
  }
  template <NoCounterStep N>
  Reply<std::int64_t> decrement(Bytes key, N by, const CounterOptions& options = {}) const = delete;
  /// Sets the value when the present one equals `expected` (nullopt: when the key is absent). Keeps the expiry unless
  /// told otherwise.
  Reply<CompareResult> compare_and_swap(Bytes key, std::optional<Bytes> expected, Value value,
                                        const SetOptions& options = {}) const;
  /// The same, when the entry is still the one with this version.
  Reply<CompareResult> compare_and_swap(Bytes key, Version expected, Value value, const SetOptions& options = {}) const;
  /// Removes the entry when its value equals `expected`.
  Reply<CompareResult> compare_and_erase(Bytes key, Bytes expected) const;
  /// The same, when the entry is still the one with this version.
  Reply<CompareResult> compare_and_erase(Bytes key, Version expected) const;
  /// Sets the value and returns the one it replaced; nothing when the key was absent.
  Reply<std::optional<std::string>> get_and_set(Bytes key, Value value, const SetOptions& options = {}) const;
  /// Removes the entry and returns its value; nothing when the key was absent.
  Reply<std::optional<std::string>> get_and_erase(Bytes key) const;
  /// Returns the value and lets it live for `ttl` from now (sliding expiry); nothing when the key is absent.
  Reply<std::optional<std::string>> get_and_touch(Bytes key, Duration ttl) const;

  // ---- expiry

  /// Lets a live entry live for `ttl` from now; false when absent. `ttl` must be positive.
  Reply<bool> expire(Bytes key, Duration ttl) const;
  /// The same with an instant; one that has passed erases the entry (and returns true).
  Reply<bool> expire_at(Bytes key, Instant instant) const;
  /// Takes the expiry off a live entry.
  Reply<PersistResult> persist(Bytes key) const;

  // ---- list (this namespace; bytewise order)

  /// One page of entries; for all of them follow `next`, or use `entries` of a blocking handle.
  Reply<Page> scan(const ScanOptions& options = {}) const;
  /// The same of keys alone.
  Reply<KeyPage> keys(const ScanOptions& options = {}) const;
  /// How many live entries match.
  Reply<std::uint64_t> count(const CountOptions& options = {}) const;

  // ---- search (this namespace; in key order)
  //
  // As pages of `scan`, pages of a search look at a bounded number of keys and bytes: one can be empty and have a
  // `next` all the same.

  /// Entries whose value holds `needle`, 1 to 4096 bytes. What is searched is the value as `get` returns it: in a
  /// PostgreSQL table of jsonb that is PostgreSQL's spelling of the document.
  Reply<Page> search_values(Bytes needle, const SearchOptions& options = {}) const;
  /// Entries whose key starts with `collection` and a colon and whose value is a JSON object with a top-level member
  /// `field` (not empty) that equals `value`, a JSON value: `true`, `null`, `1`, `"Paris"` with its quotes. Numbers are
  /// equal when they are the same number (1, 1.0 and 10e-1 are), whatever their size; an object or an array is
  /// InvalidArgument. Of members with the same name the last counts. A value that is no JSON object does not match. A
  /// PostgreSQL table of jsonb is searched by the server, with the index that Store::create_index has made.
  Reply<Page> find_by_field(Bytes collection, Bytes field, Bytes value, const FindOptions& options = {}) const;

  // ---- coordinate (see coordination.h, also for what a lock cannot promise; more in KeyValue and Store)

  /// Lets a lock that is still held under this lease live for `ttl` from now, and never ends it earlier than it would
  /// have; false when it is gone. In a transaction: when this returns true, what the transaction writes is written only
  /// if the lock is still held when it commits. When it returns false nothing keeps it from being written but you.
  [[nodiscard("false: the lock is gone, and nothing else says so")]] Reply<bool> renew(
      const Lease& lease, std::optional<Duration> ttl = {}) const;
  /// Ends a lock; true when it was still held under this lease.
  Reply<bool> unlock(const Lease& lease) const;
  /// Who holds the lock, or nothing.
  Reply<std::optional<LockHolder>> lock_holder(Bytes name) const;

  /// Gives a claim back; true when `owner` had it.
  Reply<bool> release_claim(Bytes name, Bytes owner) const;
  /// Who has claimed the name, or nothing.
  Reply<std::optional<std::string>> claim_owner(Bytes name) const;
  /// One page of the names that `owner` has claimed; for all of them follow `next`.
  Reply<KeyPage> claims_of(Bytes owner, const ClaimListOptions& options = {}) const;

  /// Counts a hit and grants it if the limit of the window allows: a fixed window, which starts with its first hit. A
  /// denied hit counts nothing. In a window at most `limit` is granted, whoever asks; two windows may touch.
  Reply<RateLimitResult> rate_limit(Bytes name, const RateLimitOptions& options) const;
  /// What the running window has granted, without counting a hit.
  Reply<RateLimitWindow> peek_rate_limit(Bytes name) const;
  /// Ends the window, so that the next hit starts one; true when one was running.
  Reply<bool> reset_rate_limit(Bytes name) const;

 protected:
  explicit Operations(std::shared_ptr<const View> view);
  Operations(const Operations&);
  Operations(Operations&&) noexcept;
  Operations& operator=(const Operations&);
  Operations& operator=(Operations&&) noexcept;
  ~Operations();

  const std::shared_ptr<const View>& view() const { return view_; }

 private:
  static std::vector<Bytes> lend_keys(KeyRange auto&& keys) {
    std::vector<Bytes> lent;
    if constexpr (requires { keys.size(); }) lent.reserve(keys.size());
    for (const auto& key : keys) lent.emplace_back(key);
    return lent;
  }
  static std::vector<Item> lend_items(PairRange auto&& items) {
    std::vector<Item> lent;
    if constexpr (requires { items.size(); }) lent.reserve(items.size());
    for (const auto& item : items) lent.push_back(Item{.key = item.first, .value = item.second});
    return lent;
  }

  std::shared_ptr<const View> view_;
};

extern template class Operations<Blocking>;
extern template class Operations<Asynchronous>;

}  // namespace v0
}  // namespace tuskv
