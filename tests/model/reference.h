// What a store answers, as its contract says it (the comments of include/tuskv): a map of entries with deadlines.
// Written from the contract and with nothing of the store's own, as plainly as it goes; it is the measure of the model
// test. A Reference is used like a Store, a Transaction or any namespaced view of one; failures are thrown as Error.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/reference_state.h"
#include "tuskv/tuskv.h"

namespace tuskv::test {

class Reference final {
 public:
  using OptionalValue = std::optional<std::string>;

  explicit Reference(ReferenceState& state) : state_(&state) {}
  Reference with_namespace(Bytes name, const NamespaceOptions& options = {}) const;

  OptionalValue get(Bytes key) const;
  bool get_into(Bytes key, std::string& value) const;
  std::string get_or_throw(Bytes key) const;
  std::optional<Entry> get_entry(Bytes key) const;
  std::vector<OptionalValue> get_many(std::span<const Bytes> keys) const;
  bool exists(Bytes key) const;
  std::uint64_t exists_many(std::span<const Bytes> keys) const;
  Ttl ttl(Bytes key) const;

  void set(Bytes key, Bytes value, const SetOptions& options = {}) const;
  bool set_if_absent(Bytes key, Bytes value, const SetOptions& options = {}) const;
  bool set_if_present(Bytes key, Bytes value, const SetOptions& options = {}) const;
  void set_many(std::span<const Item> items, const SetOptions& options = {}) const;
  bool set_many_if_absent(std::span<const Item> items, const SetOptions& options = {}) const;
  bool erase(Bytes key) const;
  std::uint64_t erase_many(std::span<const Bytes> keys) const;
  std::uint64_t erase_prefix(Bytes prefix, const EraseOptions& options = {}) const;
  std::uint64_t erase_range(Bytes from, std::optional<Bytes> to) const;
  std::uint64_t clear() const;

  std::int64_t increment(Bytes key, std::int64_t by = 1, const CounterOptions& options = {}) const;
  std::int64_t decrement(Bytes key, std::int64_t by = 1, const CounterOptions& options = {}) const;
  CompareResult compare_and_swap(Bytes key, std::optional<Bytes> expected, Bytes value,
                                 const SetOptions& options = {}) const;
  CompareResult compare_and_swap(Bytes key, Version expected, Bytes value, const SetOptions& options = {}) const;
  CompareResult compare_and_erase(Bytes key, Bytes expected) const;
  CompareResult compare_and_erase(Bytes key, Version expected) const;
  OptionalValue get_and_set(Bytes key, Bytes value, const SetOptions& options = {}) const;
  OptionalValue get_and_erase(Bytes key) const;
  OptionalValue get_and_touch(Bytes key, Duration ttl) const;
  OptionalValue update(Bytes key, const std::function<Change(std::optional<std::string_view>)>& change) const;

  bool expire(Bytes key, Duration ttl) const;
  bool expire_at(Bytes key, Instant instant) const;
  PersistResult persist(Bytes key) const;

  Page scan(const ScanOptions& options = {}) const;
  KeyPage keys(const ScanOptions& options = {}) const;
  std::uint64_t count(const CountOptions& options = {}) const;
  Page search_values(Bytes needle, const SearchOptions& options = {}) const;
  /// Of documents {"a": …, "b": []} alone, spelled so, whose "a" is `value`.
  Page find_by_field(Bytes collection, Bytes field, Bytes value, const FindOptions& options = {}) const;
  std::vector<Entry> entries(const ScanOptions& options = {}) const;

  /// Whole when the function returns, nothing when it throws; nested as a savepoint.
  template <class F>
  void transaction(F&& function) const {
    Reference inside = *this;
    state_->begin_savepoint();
    try {
      function(inside);
    } catch (...) {
      state_->roll_back_savepoint();
      throw;
    }
    state_->keep_savepoint();
  }

 private:
  /// What becomes of the expiry when the options say nothing.
  enum class Unsaid { replace, keep };

  Place place(Bytes key) const { return {namespace_, std::string(key.view())}; }
  const ReferenceEntry* find(Bytes key) const { return state_->find(place(key)); }
  void check_key(Bytes key) const;
  void check_write(Bytes key, Bytes value, const SetOptions& options) const;
  void check_items(std::span<const Item> items, const SetOptions& options) const;
  std::int64_t default_expiry_us() const;
  std::int64_t expiry_us(const SetOptions& options, const ReferenceEntry* present, Unsaid unsaid) const;
  void put(Bytes key, std::string_view value, const SetOptions& options, Unsaid unsaid) const;
  void put_all(std::span<const Item> items, const SetOptions& options) const;
  bool remove(Bytes key) const { return state_->remove(place(key)); }
  bool touch(Bytes key, std::int64_t expires_us) const;
  std::int64_t add(Bytes key, __int128 by, const CounterOptions& options) const;
  Entry entry_of(const std::string& key, const ReferenceEntry& entry) const;
  std::vector<Entry> matching(const ScanOptions& options) const;
  /// A page of those whose values are right.
  Page page_where(const ScanOptions& options, const std::function<bool(const std::string&)>& is_right) const;

  ReferenceState* state_;
  std::string namespace_ = {};
  std::optional<std::int64_t> default_ttl_ms_ = {};
};

/// `*` any run, `?` one byte, `\` takes the next byte literally.
bool reference_glob(std::string_view pattern, std::string_view text);

}  // namespace tuskv::test
