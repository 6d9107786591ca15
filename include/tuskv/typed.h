#pragma once

#include <concepts>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "tuskv/codec.h"
#include "tuskv/store.h"
#include "tuskv/typed_types.h"

// Typed views: values of a type instead of bytes. `store.typed<User>("user:")` makes one; see TypedView.

namespace tuskv {
inline namespace v0 {
namespace detail {

/// The message of a codec's refusal; `verb` is "encoded" or "decoded".
TUSKV_API std::string not_codable(std::string_view verb, std::string_view prefix, std::string_view key,
                                  std::string_view why);
TUSKV_API std::string wrong_key(std::string_view prefix, std::string_view key, std::string_view why);
[[noreturn]] TUSKV_API void throw_absent(std::string_view prefix, std::string_view key);

/// What `function` returns; a refusal becomes the text `why` and no value.
template <class F>
auto attempt(F&& function, std::string& why) -> std::optional<std::invoke_result_t<F>> {
  try {
    return function();
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& refusal) {
    why = refusal.what();
    return std::nullopt;
  }
}

}  // namespace detail

template <class T, class Key, class C>
class TypedEntryRange;

/// Entries as values of T: those of a store, a namespace or a transaction whose keys start with the view's prefix.
/// Cheap to copy, thread-safe as the handle it was made of, which it keeps open. Calls mean what those of Operations
/// mean; keys are given and returned without the prefix, and the prefix counts towards max_key_bytes. No key of a view
/// is empty: the entry whose key is the prefix is not one of its.
///
/// A value that cannot be decoded is Error (Serialization), which names the key, and nothing has changed: also
/// get_and_set, get_and_erase and get_and_touch decode before they write, for which they read and then write on
/// condition of the version read (as `update` does), in one atomic step for others. Batches and listings report it at
/// its position (Decoded). A value that cannot be encoded is Serialization, too, before any effect.
///
/// Values are equal when operator== says so, or, for types without one and containers of such, when their encodings
/// are: never by the bytes that are stored, which an engine may spell in its own way.
template <class T, class Key, class C>
class TypedView final {
  static_assert(CodecFor<C, T>,
                "tuskv: no codec for this type. Include tuskv/json.h (types with to_json and from_json) or "
                "tuskv/protobuf.h (messages), name one (typed<T, Key, tuskv::RawCodec<T>>), or specialise "
                "tuskv::Codec<T>: encode(const T&) and decode(std::string_view)");
  static_assert(
      requires { typename KeyCodec<Key>::Parameter; },
      "tuskv: no codec for this type of key. Use text or an integer, or specialise tuskv::KeyCodec<Key>");

 public:
  using Keys = KeyCodec<Key>;
  using KeyParameter = typename Keys::Parameter;
  using ValueParameter = typename detail::ValueParameter<T>::Type;
  using OptionalParameter = typename detail::ValueParameter<T>::Optional;
  using Item = TypedItem<T, Key>;
  using Entry = TypedEntry<T, Key>;
  using Page = TypedPage<T, Key>;
  using Compared = TypedCompareResult<T>;

  // ---- read

  /// The value, or nothing when the key is absent. Slides the expiry when the view is `sliding`.
  std::optional<T> get(KeyParameter key) const {
    if (sliding_ttl_) return get_and_touch(key, *sliding_ttl_);
    const auto& stored = Keys::encode(key);
    std::string bytes;
    if (!below_.get_into(std::string_view(stored), bytes)) return std::nullopt;
    return decode(stored, bytes);
  }
  T get_or_throw(KeyParameter key) const {
    std::optional<T> value = get(key);
    if (!value) detail::throw_absent(prefix_, key_text(Keys::encode(key)));
    return *std::move(value);
  }
  /// The value with its version, expiry and stamps. Never throws for bytes that are no T: its version is what
  /// compare_and_swap and compare_and_erase take to mend them.
  std::optional<Entry> get_entry(KeyParameter key) const {
    std::optional<tuskv::Entry> entry = below_.get_entry(std::string_view(Keys::encode(key)));
    if (!entry) return std::nullopt;
    return typed_entry(std::move(*entry), true);
  }
  /// One answer for each position of `keys`.
  std::vector<Decoded<T>> get_many(std::initializer_list<KeyParameter> keys) const {
    const LentKeys lent(keys);
    return decode_many(lent, below_.get_many(lent.bytes()));
  }
  std::vector<Decoded<T>> get_many(TypedKeyRange<Key> auto&& keys) const {
    const LentKeys lent(keys);
    return decode_many(lent, below_.get_many(lent.bytes()));
  }
  bool exists(KeyParameter key) const { return below_.exists(std::string_view(Keys::encode(key))); }
  std::uint64_t exists_many(std::initializer_list<KeyParameter> keys) const {
    return below_.exists_many(LentKeys(keys).bytes());
  }
  std::uint64_t exists_many(TypedKeyRange<Key> auto&& keys) const { return below_.exists_many(LentKeys(keys).bytes()); }
  Ttl ttl(KeyParameter key) const { return below_.ttl(std::string_view(Keys::encode(key))); }

  // ---- write

  void set(KeyParameter key, ValueParameter value, const SetOptions& options = {}) const {
    const auto& stored = Keys::encode(key);
    below_.set(std::string_view(stored), std::string_view(encode(stored, value)), options);
  }
  bool set_if_absent(KeyParameter key, ValueParameter value, const SetOptions& options = {}) const {
    const auto& stored = Keys::encode(key);
    return below_.set_if_absent(std::string_view(stored), std::string_view(encode(stored, value)), options);
  }
  bool set_if_present(KeyParameter key, ValueParameter value, const SetOptions& options = {}) const {
    const auto& stored = Keys::encode(key);
    return below_.set_if_present(std::string_view(stored), std::string_view(encode(stored, value)), options);
  }
  void set_many(std::initializer_list<Item> items, const SetOptions& options = {}) const {
    below_.set_many(LentItems(*this, items).items(), options);
  }
  void set_many(std::span<const Item> items, const SetOptions& options = {}) const {
    below_.set_many(LentItems(*this, items).items(), options);
  }
  /// From a map or a vector of pairs, whose values are of type T already.
  void set_many(TypedPairRange<T, Key> auto&& items, const SetOptions& options = {}) const {
    below_.set_many(LentItems(*this, items).items(), options);
  }
  bool set_many_if_absent(std::initializer_list<Item> items, const SetOptions& options = {}) const {
    return below_.set_many_if_absent(LentItems(*this, items).items(), options);
  }
  bool set_many_if_absent(std::span<const Item> items, const SetOptions& options = {}) const {
    return below_.set_many_if_absent(LentItems(*this, items).items(), options);
  }
  bool set_many_if_absent(TypedPairRange<T, Key> auto&& items, const SetOptions& options = {}) const {
    return below_.set_many_if_absent(LentItems(*this, items).items(), options);
  }
  bool erase(KeyParameter key) const { return below_.erase(std::string_view(Keys::encode(key))); }
  std::uint64_t erase_many(std::initializer_list<KeyParameter> keys) const {
    return below_.erase_many(LentKeys(keys).bytes());
  }
  std::uint64_t erase_many(TypedKeyRange<Key> auto&& keys) const { return below_.erase_many(LentKeys(keys).bytes()); }
  /// Removes the entries of the view whose keys start with `prefix`.
  std::uint64_t erase_prefix(Bytes prefix, const EraseOptions& options = {}) const
    requires std::same_as<Key, std::string>
  {
    return below_.erase_prefix(prefix, options);
  }
  /// Removes `from` and the keys behind it, in their order, up to `to`, which stays; without `to` all of them.
  std::uint64_t erase_range(KeyParameter from, std::optional<KeyParameter> to) const {
    if (!to) return below_.erase_range(std::string_view(Keys::encode(from)), std::nullopt);
    return below_.erase_range(std::string_view(Keys::encode(from)), std::string_view(Keys::encode(*to)));
  }
  /// Removes every entry of the view, whatever its value; returns how many were live.
  std::uint64_t clear() const { return below_.clear(); }

  // ---- atomic

  /// Adds to a number kept as decimal text; Overflow when the sum leaves the range of T, or the given bounds. The step
  /// is a T: of unsigned ones, the way down is decrement.
  T increment(KeyParameter key, ValueParameter by = T{1}, const CounterOptions& options = {}) const
    requires(Integer<T> && std::same_as<C, Codec<T>> && (std::is_signed_v<T> || sizeof(T) < 8))
  {
    return static_cast<T>(below_.increment(std::string_view(Keys::encode(key)), std::int64_t{static_cast<const T&>(by)},
                                           bounds(options)));
  }
  T decrement(KeyParameter key, ValueParameter by = T{1}, const CounterOptions& options = {}) const
    requires(Integer<T> && std::same_as<C, Codec<T>> && (std::is_signed_v<T> || sizeof(T) < 8))
  {
    return static_cast<T>(below_.decrement(std::string_view(Keys::encode(key)), std::int64_t{static_cast<const T&>(by)},
                                           bounds(options)));
  }

  /// Sets the value when the present one equals `expected` (nullopt: when the key is absent).
  Compared compare_and_swap(KeyParameter key, OptionalParameter expected, ValueParameter value,
                            const SetOptions& options = {}) const {
    const auto& stored = Keys::encode(key);
    const std::string bytes(std::string_view(encode(stored, value)));
    return compare(stored, expected, Change(bytes, options));
  }
  Compared compare_and_swap(KeyParameter key, Version expected, ValueParameter value,
                            const SetOptions& options = {}) const {
    const auto& stored = Keys::encode(key);
    return typed_result(stored, below_.compare_and_swap(std::string_view(stored), expected,
                                                        std::string_view(encode(stored, value)), options));
  }
  Compared compare_and_erase(KeyParameter key, ValueParameter expected) const {
    return compare(Keys::encode(key), static_cast<const T&>(expected), Change(std::nullopt));
  }
  Compared compare_and_erase(KeyParameter key, Version expected) const {
    const auto& stored = Keys::encode(key);
    return typed_result(stored, below_.compare_and_erase(std::string_view(stored), expected));
  }
  std::optional<T> get_and_set(KeyParameter key, ValueParameter value, const SetOptions& options = {}) const {
    const auto& stored = Keys::encode(key);
    const std::string bytes(std::string_view(encode(stored, value)));
    return exchange(stored, Change::replace(bytes, options));
  }
  std::optional<T> get_and_erase(KeyParameter key) const { return exchange(Keys::encode(key), Change(std::nullopt)); }
  /// Returns the value and lets it live for `ttl` from now (sliding expiry).
  std::optional<T> get_and_touch(KeyParameter key, Duration ttl) const {
    return exchange(Keys::encode(key), Change::keep({.ttl = ttl}));
  }

  /// Replaces the value by what `change` makes of it, atomically; returns the final value. `change` gets the present
  /// value or nullopt and returns a TypedChange<T>; it may run again. See KeyValue::update.
  template <class F>
    requires std::is_invocable_r_v<TypedChange<T>, F&, std::optional<T>>
  std::optional<T> update(KeyParameter key, F&& change) const {
    const auto& stored = Keys::encode(key);
    std::optional<T> written;
    const auto change_bytes = [&](std::optional<std::string_view> present) {
      TypedChange<T> wanted = change(decode(stored, present));
      written = std::move(wanted.value());
      switch (wanted.kind()) {
        case Change::Kind::keep: return Change::keep();
        case Change::Kind::touch: return Change::keep(wanted.options());
        case Change::Kind::erase: return Change(std::nullopt);
        case Change::Kind::replace:
          return Change::replace(std::string(std::string_view(encode(stored, *written))), wanted.options());
        default: return Change(std::string_view(encode(stored, *written)), wanted.options());
      }
    };
    const std::optional<std::string> bytes = below_.update(std::string_view(stored), change_bytes);
    if (!bytes) return std::nullopt;
    return written ? std::move(written) : decode(stored, std::optional<std::string_view>(*bytes));
  }

  // ---- expiry

  bool expire(KeyParameter key, Duration ttl) const { return below_.expire(std::string_view(Keys::encode(key)), ttl); }
  bool expire_at(KeyParameter key, Instant instant) const {
    return below_.expire_at(std::string_view(Keys::encode(key)), instant);
  }
  PersistResult persist(KeyParameter key) const { return below_.persist(std::string_view(Keys::encode(key))); }

  // ---- list (in the order of the keys)

  /// `prefix`, `from`, `to`, `glob` and `after` are about the bytes of the keys behind the view's prefix; `cursor`
  /// makes a `from`, `to` or `after` of a key. With `keys_only` every `value` is empty.
  Page scan(const ScanOptions& options = {}) const {
    tuskv::Page found = below_.scan(options);
    Page page{.entries = {}, .next = std::move(found.next)};
    page.entries.reserve(found.entries.size());
    for (tuskv::Entry& entry : found.entries) {
      page.entries.push_back(typed_entry(std::move(entry), !options.keys_only));
    }
    return page;
  }
  static std::string cursor(KeyParameter key) { return std::string(std::string_view(Keys::encode(key))); }
  /// All entries that match, page by page, in bounded memory. See KeyValue::entries.
  TypedEntryRange<T, Key, C> entries(const ScanOptions& options = {}) const {
    return TypedEntryRange<T, Key, C>(*this, options);
  }
  std::uint64_t count(const CountOptions& options = {}) const { return below_.count(options); }

 private:
  friend class KeyValue;
  friend class TypedEntryRange<T, Key, C>;
  using EncodedKey = detail::EncodedKey<Key>;
  using EncodedValue = detail::KeptEncoding<decltype(std::declval<const C&>().encode(std::declval<const T&>()))>;

  TypedView(KeyValue below, Bytes prefix, const TypedOptions& options, C codec)
      : below_(std::move(below)), prefix_(prefix.view()), codec_(std::move(codec)) {
    if (options.sliding) sliding_ttl_ = options.ttl;
  }

  /// Encoded keys and views of them. Never moved: a view may point into its neighbour.
  class LentKeys {
   public:
    explicit LentKeys(auto& keys) {
      for (const auto& key : keys) encoded_.push_back(Keys::encode(key));
      for (const EncodedKey& key : encoded_) lent_.emplace_back(std::string_view(key));
    }
    LentKeys(const LentKeys&) = delete;
    LentKeys& operator=(const LentKeys&) = delete;
    std::span<const Bytes> bytes() const { return lent_; }

   private:
    std::vector<EncodedKey> encoded_;
    std::vector<Bytes> lent_;
  };

  /// Encoded items, all of them before any is written.
  class LentItems {
   public:
    LentItems(const TypedView& view, auto&& items) {
      for (const auto& item : items) {
        keys_.push_back(Keys::encode(key_of(item)));
        values_.push_back(view.encode(keys_.back(), value_of(item)));
        ttls_.push_back(ttl_of(item));
      }
      for (std::size_t i = 0; i < keys_.size(); ++i) {
        lent_.push_back({.key = std::string_view(keys_[i]), .value = std::string_view(values_[i]), .ttl = ttls_[i]});
      }
    }
    LentItems(const LentItems&) = delete;
    LentItems& operator=(const LentItems&) = delete;
    std::span<const tuskv::Item> items() const { return lent_; }

   private:
    static const auto& key_of(const Item& item) { return item.key; }
    static const auto& key_of(const auto& pair) { return pair.first; }
    static const T& value_of(const Item& item) { return item.value; }
    static const T& value_of(const auto& pair) { return pair.second; }
    static std::optional<Duration> ttl_of(const Item& item) { return item.ttl; }
    static std::optional<Duration> ttl_of(const auto&) { return std::nullopt; }

    std::vector<EncodedKey> keys_;
    std::vector<EncodedValue> values_;
    std::vector<std::optional<Duration>> ttls_;
    std::vector<tuskv::Item> lent_;
  };

  /// A key as people may read it.
  static std::string key_text(std::string_view key) {
    std::string why;
    if constexpr (requires(const Key& decoded) { Keys::text(decoded); }) {
      if (auto text = detail::attempt([&] { return Keys::text(Keys::decode(key)); }, why)) return *std::move(text);
    }
    return std::string(key);
  }

  EncodedValue encode(std::string_view key, const T& value) const {
    std::string why;
    std::optional<EncodedValue> bytes = detail::attempt([&]() -> EncodedValue { return codec_.encode(value); }, why);
    if (!bytes) detail::throw_serialization(detail::not_codable("encoded", prefix_, key_text(key), why));
    return *std::move(bytes);
  }
  /// By operator== where the type and its elements have one (a vector claims one whatever it holds), otherwise when
  /// their bytes are.
  bool are_equal(std::string_view key, const T& left, const T& right) const {
    if constexpr (detail::holds_throughout<detail::HasEquality, T>()) {
      return left == right;
    } else {
      static_assert(!detail::ComparedInMemory<C, T> || std::has_unique_object_representations_v<T>,
                    "tuskv: equal values of this type can differ in their bytes in memory: give it an operator==");
      return std::string_view(encode(key, left)) == std::string_view(encode(key, right));
    }
  }
  Decoded<T> try_decode(std::string_view key, std::string_view bytes) const {
    std::string why;
    std::optional<T> value = detail::attempt([&]() -> T { return codec_.decode(bytes); }, why);
    if (value) return Decoded<T>(*std::move(value));
    return Decoded<T>::failed(detail::not_codable("decoded", prefix_, key_text(key), why));
  }
  std::optional<T> decode(std::string_view key, std::optional<std::string_view> bytes) const {
    if (!bytes) return std::nullopt;
    return try_decode(key, *bytes).optional();
  }
  std::vector<Decoded<T>> decode_many(const LentKeys& keys,
                                      const std::vector<std::optional<std::string>>& found) const {
    std::vector<Decoded<T>> decoded(found.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      if (found[i]) decoded[i] = try_decode(keys.bytes()[i].view(), *found[i]);
    }
    return decoded;
  }
  Entry typed_entry(tuskv::Entry&& entry, bool with_value) const {
    Entry typed{.version = entry.version,
                .expires_at = entry.expires_at,
                .created_at = entry.created_at,
                .updated_at = entry.updated_at};
    std::string why;
    std::optional<Key> key = detail::attempt([&]() -> Key { return Keys::decode(entry.key); }, why);
    if (!key) {
      typed.value = Decoded<T>::failed(detail::wrong_key(prefix_, entry.key, why));
      return typed;
    }
    if (with_value) typed.value = try_decode(entry.key, entry.value);
    typed.key = *std::move(key);
    return typed;
  }
  Compared typed_result(std::string_view key, const CompareResult& result) const {
    return {.status = result.status, .current = decode(key, result.current), .version = result.version};
  }
  /// `change` when the present value equals `expected`.
  Compared compare(std::string_view key, const std::optional<T>& expected, const Change& change) const {
    Compared result;
    Version version;
    const auto swap = [&](std::optional<std::string_view> present) {
      std::optional<T> current = decode(key, present);
      const bool is_expected =
          current && expected ? are_equal(key, *current, *expected) : current.has_value() == expected.has_value();
      result = {.status = is_expected ? Compared::Status::success : Compared::Status::mismatch};
      if (is_expected) return change;
      if (!current) result.status = Compared::Status::not_found;
      result.current = std::move(current);
      return Change::keep();
    };
    below_.update_erased(key, swap, &version);
    result.version = version;
    return result;
  }
  /// The present value, decoded before `change` is made.
  std::optional<T> exchange(std::string_view key, const Change& change) const {
    std::optional<T> previous;
    below_.update(key, [&](std::optional<std::string_view> present) {
      previous = decode(key, present);
      return change;
    });
    return previous;
  }
  static CounterOptions bounds(const CounterOptions& options) {
    CounterOptions bounded = options;
    if (options.min < std::int64_t{std::numeric_limits<T>::min()}) bounded.min = std::numeric_limits<T>::min();
    if (options.max > std::int64_t{std::numeric_limits<T>::max()}) bounded.max = std::numeric_limits<T>::max();
    return bounded;
  }

  KeyValue below_;
  std::string prefix_;
  std::optional<Duration> sliding_ttl_ = {};
  [[no_unique_address]] C codec_;
};

/// A single-pass range over the entries of a view; see TypedView::entries.
template <class T, class Key, class C>
class TypedEntryRange {
 public:
  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using value_type = TypedEntry<T, Key>;
    using difference_type = std::ptrdiff_t;
    Iterator() = default;
    explicit Iterator(TypedEntryRange* range) : range_(range), position_(range->entries_.begin()) { read(); }
    const value_type& operator*() const { return range_->current_; }
    const value_type* operator->() const { return &range_->current_; }
    Iterator& operator++() {
      ++position_;
      read();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t end) const { return range_ == nullptr || position_ == end; }

   private:
    void read() {
      if (position_ == std::default_sentinel) return;
      range_->current_ = range_->view_.typed_entry(tuskv::Entry(*position_), range_->with_values_);
    }

    TypedEntryRange* range_ = nullptr;
    EntryRange::Iterator position_ = {};
  };

  /// Reads the first page.
  Iterator begin() { return Iterator(this); }
  std::default_sentinel_t end() const { return {}; }

 private:
  friend class TypedView<T, Key, C>;
  TypedEntryRange(const TypedView<T, Key, C>& view, const ScanOptions& options)
      : view_(view), entries_(view.below_.entries(options)), with_values_(!options.keys_only) {}

  TypedView<T, Key, C> view_;
  EntryRange entries_;
  bool with_values_;
  TypedEntry<T, Key> current_ = {};
};

template <class T, class Key, class C>
TypedView<T, Key, C> KeyValue::typed(Bytes prefix, const TypedOptions& options) const {
  return TypedView<T, Key, C>(with_prefix(prefix, options), prefix, options, C());
}
template <class T, class Key, class C>
TypedView<T, Key, C> KeyValue::typed(Bytes prefix, const TypedOptions& options, C codec) const {
  return TypedView<T, Key, C>(with_prefix(prefix, options), prefix, options, std::move(codec));
}

}  // namespace v0
}  // namespace tuskv
