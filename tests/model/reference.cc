#include "model/reference.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>

namespace tuskv::test {
namespace {

constexpr std::int64_t kTtlMsMax = 31'556'952'000'000;           // 1000 years
constexpr std::int64_t kInstantUsMax = 253'402'300'799'000'000;  // the end of the year 9999
constexpr std::size_t kScanLimitMax = 10'000;
constexpr std::size_t kGlobBytesMax = 1024;

[[noreturn]] void refuse(Code code) { throw Error(code, Outcome::not_applied, "by the reference"); }

std::int64_t checked_ttl_us(Duration ttl) {
  if (ttl.milliseconds() < 1 || ttl.milliseconds() > kTtlMsMax) refuse(Code::InvalidArgument);
  return ttl.milliseconds() * 1000;
}

void check_instant(Instant instant) {
  if (instant.microseconds() > kInstantUsMax) refuse(Code::InvalidArgument);
}

void check_options(const SetOptions& options) {
  if (options.ttl.has_value() + options.expires_at.has_value() + options.keep_ttl + options.persistent > 1) {
    refuse(Code::InvalidArgument);
  }
  if (options.ttl) checked_ttl_us(*options.ttl);
  if (options.expires_at) check_instant(*options.expires_at);
}

void check_glob(Bytes glob) {
  if (glob.size() > kGlobBytesMax) refuse(Code::InvalidArgument);
}

/// An optional minus and digits without leading zeros, within 64 bits.
std::optional<std::int64_t> integer(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || std::to_string(number) != text) return std::nullopt;
  return number;
}

std::vector<Item> last_of_each_key(std::span<const Item> items) {
  std::set<std::string_view> seen;
  std::vector<Item> last;
  for (auto item = items.rbegin(); item != items.rend(); ++item) {
    if (seen.insert(item->key.view()).second) last.push_back(*item);
  }
  return last;
}

CompareResult mismatch(const ReferenceEntry& present) {
  return {.status = CompareResult::Status::mismatch, .current = present.value};
}

TimePoint time_point(std::int64_t us) { return TimePoint(std::chrono::microseconds(us)); }

}  // namespace

bool reference_glob(std::string_view pattern, std::string_view text) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '*') {
    for (std::size_t taken = 0; taken <= text.size(); ++taken) {
      if (reference_glob(pattern.substr(1), text.substr(taken))) return true;
    }
    return false;
  }
  const bool escaped = pattern[0] == '\\' && pattern.size() > 1;
  if (text.empty() || ((escaped || pattern[0] != '?') && pattern[escaped ? 1 : 0] != text[0])) return false;
  return reference_glob(pattern.substr(escaped ? 2 : 1), text.substr(1));
}

// ---- arguments

Reference Reference::with_namespace(Bytes name, const NamespaceOptions& options) const {
  Reference nested = *this;
  nested.namespace_ += (namespace_.empty() ? "" : "/") + std::string(name.view());
  if (nested.namespace_.size() > 255) refuse(Code::InvalidKey);
  if (options.ttl) nested.default_ttl_ms_ = checked_ttl_us(*options.ttl) / 1000;
  return nested;
}

void Reference::check_key(Bytes key) const {
  if (key.empty() || key.size() > state_->rules().key_bytes_max) refuse(Code::InvalidKey);
}

void Reference::check_write(Bytes key, Bytes value, const SetOptions& options) const {
  check_key(key);
  if (value.size() > state_->rules().value_bytes_max) refuse(Code::TooLarge);
  check_options(options);
}

void Reference::check_items(std::span<const Item> items, const SetOptions& options) const {
  check_options(options);
  for (const Item& item : items) check_write(item.key, item.value, {.ttl = item.ttl});
}

// ---- what every write comes down to

std::int64_t Reference::default_expiry_us() const {
  return default_ttl_ms_ ? state_->now_us() + *default_ttl_ms_ * 1000 : 0;
}

std::int64_t Reference::expiry_us(const SetOptions& options, const ReferenceEntry* present, Unsaid unsaid) const {
  if (options.ttl) return state_->now_us() + options.ttl->milliseconds() * 1000;
  if (options.expires_at) return options.expires_at->microseconds();
  if (options.persistent) return 0;
  if (options.keep_ttl) return present != nullptr ? present->expires_us : 0;
  return unsaid == Unsaid::keep && present != nullptr ? present->expires_us : default_expiry_us();
}

void Reference::put(Bytes key, std::string_view value, const SetOptions& options, Unsaid unsaid) const {
  const ReferenceEntry* present = find(key);
  if (options.expires_at && options.expires_at->microseconds() <= state_->now_us()) {
    remove(key);
    return;
  }
  state_->write(place(key), ReferenceEntry{.value = std::string(value),
                                           .expires_us = expiry_us(options, present, unsaid),
                                           .created_us = present != nullptr ? present->created_us : state_->now_us(),
                                           .updated_us = state_->now_us(),
                                           .version = state_->next_version()});
}

void Reference::put_all(std::span<const Item> items, const SetOptions& options) const {
  for (const Item& item : last_of_each_key(items)) {
    put(item.key, item.value.view(), item.ttl ? SetOptions{.ttl = item.ttl} : options, Unsaid::replace);
  }
}

/// A change of the expiry alone is a write, too; one that changes nothing is none.
bool Reference::touch(Bytes key, std::int64_t expires_us) const {
  const ReferenceEntry* present = find(key);
  if (present == nullptr) return false;
  if (present->expires_us == expires_us && state_->rules().clock_stands_still) return true;
  ReferenceEntry touched = *present;
  touched.expires_us = expires_us;
  touched.updated_us = state_->now_us();
  touched.version = state_->next_version();
  state_->write(place(key), std::move(touched));
  return true;
}

// ---- read

Reference::OptionalValue Reference::get(Bytes key) const {
  check_key(key);
  const ReferenceEntry* present = find(key);
  return present != nullptr ? OptionalValue(present->value) : std::nullopt;
}

bool Reference::get_into(Bytes key, std::string& value) const {
  const OptionalValue present = get(key);
  value = present.value_or("");
  return present.has_value();
}

std::string Reference::get_or_throw(Bytes key) const {
  OptionalValue present = get(key);
  if (!present) refuse(Code::NotFound);
  return *std::move(present);
}

Entry Reference::entry_of(const std::string& key, const ReferenceEntry& entry) const {
  Entry told{.key = key, .value = entry.value, .version = {.number = entry.version}};
  if (entry.expires_us != 0) told.expires_at = time_point(entry.expires_us);
  told.created_at = time_point(entry.created_us);
  told.updated_at = time_point(entry.updated_us);
  return told;
}

std::optional<Entry> Reference::get_entry(Bytes key) const {
  check_key(key);
  const ReferenceEntry* present = find(key);
  if (present == nullptr) return std::nullopt;
  return entry_of(std::string(key.view()), *present);
}

std::vector<Reference::OptionalValue> Reference::get_many(std::span<const Bytes> keys) const {
  std::vector<OptionalValue> values;
  for (const Bytes key : keys) values.push_back(get(key));
  return values;
}

bool Reference::exists(Bytes key) const { return get(key).has_value(); }

std::uint64_t Reference::exists_many(std::span<const Bytes> keys) const {
  return static_cast<std::uint64_t>(std::count_if(keys.begin(), keys.end(), [&](Bytes key) { return exists(key); }));
}

Ttl Reference::ttl(Bytes key) const {
  check_key(key);
  const ReferenceEntry* present = find(key);
  if (present == nullptr) return {};
  if (present->expires_us == 0) return {.state = Ttl::State::persistent};
  const std::int64_t left_ms = (present->expires_us - state_->now_us() + 999) / 1000;
  return {.state = Ttl::State::remaining, .left = std::chrono::milliseconds(std::max<std::int64_t>(left_ms, 1))};
}

// ---- write

void Reference::set(Bytes key, Bytes value, const SetOptions& options) const {
  check_write(key, value, options);
  put(key, value.view(), options, Unsaid::replace);
}

bool Reference::set_if_absent(Bytes key, Bytes value, const SetOptions& options) const {
  check_write(key, value, options);
  if (find(key) != nullptr) return false;
  put(key, value.view(), options, Unsaid::replace);
  return true;
}

bool Reference::set_if_present(Bytes key, Bytes value, const SetOptions& options) const {
  check_write(key, value, options);
  if (find(key) == nullptr) return false;
  put(key, value.view(), options, Unsaid::replace);
  return true;
}

void Reference::set_many(std::span<const Item> items, const SetOptions& options) const {
  check_items(items, options);
  put_all(items, options);
}

bool Reference::set_many_if_absent(std::span<const Item> items, const SetOptions& options) const {
  check_items(items, options);
  if (std::any_of(items.begin(), items.end(), [&](const Item& item) { return find(item.key) != nullptr; })) {
    return false;
  }
  put_all(items, options);
  return true;
}

bool Reference::erase(Bytes key) const {
  check_key(key);
  return remove(key);
}

std::uint64_t Reference::erase_many(std::span<const Bytes> keys) const {
  for (const Bytes key : keys) check_key(key);
  std::uint64_t removed = 0;
  for (const Bytes key : keys) removed += remove(key) ? 1 : 0;
  return removed;
}

std::uint64_t Reference::erase_prefix(Bytes prefix, const EraseOptions& options) const {
  if (prefix.empty() && !options.allow_empty_prefix) refuse(Code::InvalidArgument);
  std::uint64_t removed = 0;
  for (const Entry& entry : matching({.prefix = prefix, .include_expired = true})) removed += remove(entry.key) ? 1 : 0;
  return removed;
}

std::uint64_t Reference::erase_range(Bytes from, std::optional<Bytes> to) const {
  if (from.empty() && !to) refuse(Code::InvalidArgument);
  std::uint64_t removed = 0;
  for (const Entry& entry : matching({.from = from, .to = to, .include_expired = true})) {
    removed += remove(entry.key) ? 1 : 0;
  }
  return removed;
}

std::uint64_t Reference::clear() const { return erase_prefix({}, {.allow_empty_prefix = true}); }

// ---- atomic

std::int64_t Reference::add(Bytes key, __int128 by, const CounterOptions& options) const {
  check_key(key);
  if (options.min > options.max) refuse(Code::InvalidArgument);
  if (options.ttl_if_created) checked_ttl_us(*options.ttl_if_created);
  const ReferenceEntry* present = find(key);
  const std::optional<std::int64_t> start = present != nullptr ? integer(present->value) : 0;
  if (!start) refuse(Code::NotAnInteger);
  const __int128 sum = *start + by;
  if (sum < options.min || sum > options.max) refuse(Code::Overflow);
  const SetOptions created = options.ttl_if_created ? SetOptions{.ttl = options.ttl_if_created} : SetOptions{};
  const auto number = static_cast<std::int64_t>(sum);
  put(key, std::to_string(number), present != nullptr ? SetOptions{.keep_ttl = true} : created, Unsaid::keep);
  return number;
}

std::int64_t Reference::increment(Bytes key, std::int64_t by, const CounterOptions& options) const {
  return add(key, by, options);
}

std::int64_t Reference::decrement(Bytes key, std::int64_t by, const CounterOptions& options) const {
  return add(key, -static_cast<__int128>(by), options);
}

CompareResult Reference::compare_and_swap(Bytes key, std::optional<Bytes> expected, Bytes value,
                                          const SetOptions& options) const {
  check_write(key, value, options);
  const ReferenceEntry* present = find(key);
  if (!expected && present != nullptr) return mismatch(*present);
  if (expected && present == nullptr) return {};
  if (expected && present->value != expected->view()) return mismatch(*present);
  put(key, value.view(), options, Unsaid::keep);
  return {.status = CompareResult::Status::success};
}

CompareResult Reference::compare_and_swap(Bytes key, Version expected, Bytes value, const SetOptions& options) const {
  check_write(key, value, options);
  const ReferenceEntry* present = find(key);
  if (present == nullptr) return {};
  if (present->version != expected.number) return mismatch(*present);
  put(key, value.view(), options, Unsaid::keep);
  return {.status = CompareResult::Status::success};
}

CompareResult Reference::compare_and_erase(Bytes key, Bytes expected) const {
  check_key(key);
  const ReferenceEntry* present = find(key);
  if (present == nullptr) return {};
  if (present->value != expected.view()) return mismatch(*present);
  remove(key);
  return {.status = CompareResult::Status::success};
}

CompareResult Reference::compare_and_erase(Bytes key, Version expected) const {
  check_key(key);
  const ReferenceEntry* present = find(key);
  if (present == nullptr) return {};
  if (present->version != expected.number) return mismatch(*present);
  remove(key);
  return {.status = CompareResult::Status::success};
}

Reference::OptionalValue Reference::get_and_set(Bytes key, Bytes value, const SetOptions& options) const {
  check_write(key, value, options);
  OptionalValue previous = get(key);
  put(key, value.view(), options, Unsaid::replace);
  return previous;
}

Reference::OptionalValue Reference::get_and_erase(Bytes key) const {
  OptionalValue previous = get(key);
  remove(key);
  return previous;
}

Reference::OptionalValue Reference::get_and_touch(Bytes key, Duration ttl) const {
  expire(key, ttl);
  return get(key);
}

Reference::OptionalValue Reference::update(Bytes key,
                                           const std::function<Change(std::optional<std::string_view>)>& change) const {
  const OptionalValue present = get(key);
  const Change wanted = change(present ? std::optional<std::string_view>(*present) : std::nullopt);
  if (wanted.kind() == Change::Kind::erase) remove(key);
  if (wanted.kind() == Change::Kind::set) {
    check_write(key, wanted.value(), wanted.options());
    put(key, wanted.value(), wanted.options(), Unsaid::keep);
  }
  return get(key);
}

// ---- expiry

bool Reference::expire(Bytes key, Duration ttl) const {
  check_key(key);
  return touch(key, state_->now_us() + checked_ttl_us(ttl));
}

bool Reference::expire_at(Bytes key, Instant instant) const {
  check_key(key);
  check_instant(instant);
  if (instant.microseconds() <= state_->now_us()) return remove(key);
  return touch(key, instant.microseconds());
}

PersistResult Reference::persist(Bytes key) const {
  check_key(key);
  const ReferenceEntry* present = find(key);
  if (present == nullptr) return {};
  if (present->expires_us == 0) return {.status = PersistResult::Status::had_none};
  touch(key, 0);
  return {.status = PersistResult::Status::removed};
}

// ---- list

std::vector<Entry> Reference::matching(const ScanOptions& options) const {
  if (options.limit < 1 || options.limit > kScanLimitMax) refuse(Code::InvalidArgument);
  check_glob(options.glob);
  const auto& [prefix, glob, after] = std::tuple(options.prefix.view(), options.glob.view(), options.after.view());
  std::vector<Entry> found;
  const auto& entries = state_->entries();
  for (auto it = entries.lower_bound({namespace_, ""}); it != entries.end() && it->first.first == namespace_; ++it) {
    const std::string& key = it->first.second;
    if (!options.include_expired && !state_->is_live(it->second)) continue;
    if (!key.starts_with(prefix) || (!glob.empty() && !reference_glob(glob, key))) continue;
    if (key < options.from.view() || (options.to && key >= options.to->view())) continue;
    if (!after.empty() && (options.reverse ? key >= after : key <= after)) continue;
    found.push_back(entry_of(key, it->second));
    if (options.keys_only) found.back().value.clear();
  }
  if (options.reverse) std::reverse(found.begin(), found.end());
  return found;
}

Page Reference::scan(const ScanOptions& options) const {
  return page_where(options, [](const std::string&) { return true; });
}

Page Reference::page_where(const ScanOptions& options, const std::function<bool(const std::string&)>& is_right) const {
  Page page{.entries = matching(options)};
  std::erase_if(page.entries, [&](const Entry& entry) { return !is_right(entry.value); });
  if (page.entries.size() > options.limit) {
    page.entries.resize(options.limit);
    page.next = page.entries.back().key;
  }
  return page;
}

KeyPage Reference::keys(const ScanOptions& options) const {
  Page page = scan(options);
  KeyPage keys{.next = std::move(page.next)};
  for (Entry& entry : page.entries) keys.keys.push_back(std::move(entry.key));
  return keys;
}

Page Reference::search_values(Bytes needle, const SearchOptions& options) const {
  if (needle.empty()) refuse(Code::InvalidArgument);
  const auto folded = [&](std::string_view bytes) {
    std::string text(bytes);
    for (char& c : text) c = options.ignore_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    return text;
  };
  return page_where({.prefix = options.prefix,
                     .from = options.from,
                     .to = options.to,
                     .after = options.after,
                     .limit = options.limit},
                    [&](const std::string& value) { return folded(value).find(folded(needle.view())) != value.npos; });
}

Page Reference::find_by_field(Bytes collection, Bytes field, Bytes value, const FindOptions& options) const {
  if (collection.empty()) refuse(Code::InvalidArgument);
  const std::string prefix = std::string(collection.view()) + ":";
  const std::string document = "{\"" + std::string(field.view()) + "\": " + std::string(value.view()) + ", \"b\": []}";
  return page_where({.prefix = prefix, .after = options.after, .limit = options.limit},
                    [&](const std::string& stored) { return stored == document; });
}

std::uint64_t Reference::count(const CountOptions& options) const {
  return matching({.prefix = options.prefix, .from = options.from, .to = options.to, .glob = options.glob}).size();
}

std::vector<Entry> Reference::entries(const ScanOptions& options) const { return matching(options); }

}  // namespace tuskv::test
