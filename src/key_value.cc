// What only blocking handles offer, on stores and in transactions alike: loops over commands.
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "backoff.h"
#include "checks.h"
#include "named_limits.h"
#include "os/deadline.h"
#include "run.h"
#include "throw.h"
#include "tuskv/store.h"

namespace tuskv {
namespace {

/// The entry an update works on.
struct Present {
  bool found = false;
  std::uint64_t version = 0;
  std::string value = {};
};

Present read_present(const View& view, os::Deadline deadline, std::string_view key) {
  Present present;
  Command command(Read{.key = key, .into = &present.value});
  execute_step(view, deadline, std::span(&command, 1));
  const Seen& seen = std::get<Read>(command).seen;
  present.found = seen.found;
  present.version = seen.version;
  return present;
}

/// Applied only when the entry is still what the function was given.
Condition unchanged(const Present& present) {
  if (!present.found) return {.kind = Condition::Kind::absent};
  return {.kind = Condition::Kind::version, .version = present.version};
}

/// Runs the command; when its condition does not hold, `present` becomes the entry that it met instead. Otherwise it
/// gets the version that was written, if there is one.
template <class C>
bool apply(const View& view, os::Deadline deadline, C&& conditional, Present& present) {
  Command command(std::forward<C>(conditional));
  execute_step(view, deadline, std::span(&command, 1));
  C& done = std::get<C>(command);
  if (done.applied) {
    if constexpr (requires { done.version; }) present.version = done.version;
    return true;
  }
  present = {.found = done.seen.found, .version = done.seen.version, .value = std::move(done.seen.value)};
  return false;
}

Expiry update_expiry(const View& view, const Change& change, const Present& present) {
  constexpr Expiry kKeep{.kind = Expiry::Kind::keep};
  // An entry that the update creates without a word has no expiry to keep.
  const bool keeps = change.kind() != Change::Kind::replace && present.found;
  return checked_expiry(change.options(), keeps ? kKeep : default_expiry(view));
}

bool has_passed(const View& view, os::Deadline deadline, const Expiry& expiry) {
  return expiry.kind == Expiry::Kind::at && expiry.value <= view.engine->now_us(os::time_left_ms(deadline));
}

/// Gives the entry its new expiry; false when another write came in between.
bool try_touch(const View& view, os::Deadline deadline, std::string_view key, const Change& change, Present& present,
               std::optional<std::string>& result) {
  const Expiry expiry = update_expiry(view, change, present);
  if (!present.found) return true;
  if (expiry.kind != Expiry::Kind::keep) {
    Touch touch{.key = key, .condition = unchanged(present), .expiry = expiry};
    if (!apply(view, deadline, std::move(touch), present)) return false;
  }
  if (!has_passed(view, deadline, expiry)) result = std::move(present.value);
  return true;
}

/// The value as `get` will return it. An engine that spells values in its own way says so before it stores this one, so
/// that nothing can fail afterwards.
std::string as_kept(const View& view, os::Deadline deadline, std::string_view key, std::string value) {
  if (view.engine->keeps_bytes()) return value;
  throw_if_refused(view);  // the function of the update may have forked
  const Engine::SpelledValue spelled{.key = key, .value = &value};
  throw_if_failed(view.engine->respell(std::span(&spelled, 1), os::time_left_ms(deadline)));
  return value;
}

/// One attempt; false when another write came in between, and `present` is what that has left. `result` is the final
/// value. The time that the function takes is its own: `deadline` is moved by it.
bool try_update(const View& view, os::Deadline& deadline, std::string_view key,
                FunctionRef<Change(std::optional<std::string_view>)> function, Present& present,
                std::optional<std::string>& result) {
  const os::Deadline began = os::deadline_in(0);
  const Change change = function(present.found ? std::optional<std::string_view>(present.value) : std::nullopt);
  deadline += os::deadline_in(0) - began;
  switch (change.kind()) {
    case Change::Kind::keep:
      if (present.found) result = std::move(present.value);
      return true;
    case Change::Kind::erase:
      return !present.found || apply(view, deadline, Erase{.key = key, .condition = unchanged(present)}, present);
    case Change::Kind::touch: return try_touch(view, deadline, key, change, present, result);
    case Change::Kind::set:
    case Change::Kind::replace: break;
  }
  check_value(view, change.value());
  const Expiry expiry = update_expiry(view, change, present);
  std::string value = as_kept(view, deadline, key, change.value());
  Put put{.key = key, .value = value, .condition = unchanged(present), .expiry = expiry};
  put.want_previous = !present.found;  // a version that does not hold shows what is there anyway
  if (!apply(view, deadline, std::move(put), present)) return false;
  if (!has_passed(view, deadline, expiry)) result = std::move(value);
  return true;
}

}  // namespace

inline namespace v0 {

bool KeyValue::get_into(Bytes key, std::string& value) const {
  const StoredKey stored(*view(), key);
  Command command(Read{.key = stored.view(), .into = &value, .stamps = false});
  execute(*view(), std::span(&command, 1));
  return std::get<Read>(command).seen.found;
}

std::optional<std::string> KeyValue::update_erased(Bytes key,
                                                   FunctionRef<Change(std::optional<std::string_view>)> change,
                                                   Version* version) const {
  const StoredKey stored(*view(), key);
  const os::Deadline last_attempt = os::deadline_in(view()->timeout_ms);
  os::Deadline deadline = last_attempt;
  Backoff backoff;
  std::optional<std::string> result;
  Present present = read_present(*view(), deadline, stored.view());
  for (int attempt = 0; attempt < kConflictAttempts; ++attempt) {
    if (try_update(*view(), deadline, stored.view(), change, present, result)) {
      if (version != nullptr) version->number = result ? present.version : 0;
      return result;
    }
    view()->conflicts->fetch_add(1, std::memory_order_relaxed);
    // What the failed attempt has met is the newest there is: with a server in between, reading it again would only
    // give others time to change it.
    if (attempt % 2 == 0 && os::time_left(last_attempt).count() > 0) continue;
    const bool in_time = backoff.pause(last_attempt);
    if (in_time) present = read_present(*view(), deadline, stored.view());
    if (!in_time) {
      throw_refused(Code::Timeout, "the deadline passed while other writes kept changing the key of an update");
    }
  }
  throw_refused(Code::Conflict, "other writes kept changing the key of an update");
}

EntryRange KeyValue::entries(const ScanOptions& options) const { return EntryRange(view(), options); }

// ---- EntryRange

EntryRange::EntryRange(std::shared_ptr<const View> view, const ScanOptions& options)
    : view_(std::move(view)),
      prefix_(options.prefix.view()),
      from_(options.from.view()),
      to_(options.to ? std::optional<std::string>(options.to->view()) : std::nullopt),
      glob_(options.glob.view()),
      after_(options.after.view()),
      options_(options) {
  // The caller's bytes end with the call; each page lends the copies.
  options_.prefix = {};
  options_.from = {};
  options_.to = {};
  options_.glob = {};
  options_.after = {};
}

EntryRange::EntryRange(EntryRange&&) noexcept = default;
EntryRange& EntryRange::operator=(EntryRange&&) noexcept = default;
EntryRange::~EntryRange() = default;

EntryRange::Iterator EntryRange::begin() {
  if (position_ == page_.entries.size()) read_page();
  return Iterator(this);
}

void EntryRange::advance() {
  if (++position_ == page_.entries.size()) read_page();
}

/// Reads on until a page has an entry or there are none left.
void EntryRange::read_page() {
  position_ = 0;
  page_.entries.clear();
  while (page_.entries.empty() && !done_) {
    if (started_ && after_.empty()) {
      done_ = true;
      return;
    }
    ScanOptions options = options_;
    options.prefix = prefix_;
    options.from = from_;
    options.to = to_;
    options.glob = glob_;
    options.after = after_;
    page_ = KeyValue(view_).scan(options);
    started_ = true;  // not before: one that failed goes on where it was
    after_ = std::move(page_.next);
  }
}

}  // namespace v0
}  // namespace tuskv
