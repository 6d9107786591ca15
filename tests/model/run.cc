#include "model/run.h"

#include <algorithm>
#include <chrono>
#include <set>

namespace tuskv::test {
namespace {

/// Where the clock goes on by itself, an hour is no time.
std::int64_t unit_ms(const Backend& backend) { return backend.capabilities().clock_stands_still ? 1 : 3'600'000; }

std::string number(std::uint64_t value) { return std::to_string(value); }

}  // namespace

Options ModelRun::options_of(std::uint64_t seed) {
  Random random(seed);
  Options options{.ttl_mode = TtlMode::manual, .max_value_bytes = 65'536};
  const std::uint64_t mode = random.below(100);
  if (mode < 15) options.ttl_mode = TtlMode::background;
  if (mode >= 15 && mode < 30) options.ttl_mode = TtlMode::on_read;
  if (mode >= 90) options.ttl_mode = TtlMode::disabled;
  options.sweep_interval = std::chrono::milliseconds(1 + random.below(20));
  options.keep_snapshots = random.below(3);
  options.snapshot_threads = 1 + random.below(2);
  // Small enough that snapshots come by themselves while steps go on.
  options.snapshot_log_bytes_min = std::size_t{64} << 10;
  options.snapshot_log_percent = random.chance(50) ? 10 : 100;
  return options;
}

ReferenceRules ModelRun::reference_rules(const Options& options, const Backend& backend) {
  return {.key_bytes_max = options.max_key_bytes,
          .value_bytes_max = options.max_value_bytes,
          .expiry_disabled = options.ttl_mode == TtlMode::disabled,
          .clock_stands_still = backend.capabilities().clock_stands_still};
}

DrawRules ModelRun::draw_rules(const Options& options, const Backend& backend) {
  return {.unit_ms = unit_ms(backend),
          .key_bytes_max = options.max_key_bytes,
          .value_bytes_max = options.max_value_bytes,
          .expiry_disabled = options.ttl_mode == TtlMode::disabled,
          .is_json = backend.capabilities().keeps_json};
}

ModelRun::ModelRun(Backend& backend, std::uint64_t seed, std::string* told_steps)
    : backend_(backend),
      options_(options_of(seed)),
      rules_(draw_rules(options_, backend)),
      told_steps_(told_steps),
      state_(reference_rules(options_, backend)),
      reference_(state_),
      store_(backend.open(options_)),
      seen_us_(backend.now_us()),
      store_side_({.now_us = [this] { return store_now_us(); }}),
      reference_side_({.now_us = [this] { return state_.now_us(); }}),
      asked_({.rules = rules_, .side = store_side_}),
      told_({.rules = rules_, .side = reference_side_}) {
  state_.set_now_us(seen_us_);
  if (told_steps_ != nullptr) told_.notes = &notes_;
}

void ModelRun::note(const std::string& text) {
  if (told_steps_ != nullptr) notes_ += text;
}

std::optional<Difference> ModelRun::play(std::span<const std::uint64_t> steps) {
  for (std::size_t i = 0; i <= steps.size(); ++i) {
    notes_.clear();
    const Verdict verdict = i < steps.size() ? make(steps[i]) : compare_all();
    if (told_steps_ != nullptr) *told_steps_ += number(i) + ":" + notes_ + "\n";
    if (verdict) return Difference{.step = std::min(i, steps.size() - 1), .what = *verdict};
  }
  return std::nullopt;
}

ModelRun::Verdict ModelRun::make(std::uint64_t step) {
  constexpr std::uint64_t kUpkeepPercent = 6;
  Random random(step);
  if (random.chance(kUpkeepPercent)) return make_upkeep(random);
  return make_call(random.next());
}

ModelRun::Verdict ModelRun::compare(const std::string& what, const std::string& store, const std::string& reference) {
  if (store == reference) return std::nullopt;
  // Long lists are shown from a little before the place where they part.
  constexpr std::ptrdiff_t kShownBefore = 120;
  constexpr std::size_t kShownBytesMax = 400;
  const auto parting = std::mismatch(store.begin(), store.end(), reference.begin(), reference.end()).first;
  const auto from = static_cast<std::size_t>(std::max<std::ptrdiff_t>(parting - store.begin() - kShownBefore, 0));
  const std::string dots = from > 0 ? "..." : "";
  return what + "\n  the store:     " + dots + store.substr(from, kShownBytesMax) + "\n  the reference: " + dots +
         reference.substr(from, kShownBytesMax);
}

ModelRun::Verdict ModelRun::make_call(std::uint64_t step) {
  constexpr std::uint64_t kAsynchronousPercent = 15;
  Random random(step);
  told_.is_asynchronous = random.chance(kAsynchronousPercent);
  const std::string reference = run_step(told_, reference_, step);
  if (!told_.is_asynchronous) return compare("an answer", run_step(asked_, *store_, step), reference);
  note(" (asynchronous)");
  AsyncStore asynchronous = store_->async();
  asked_.is_asynchronous = true;
  const std::string store = run_step(asked_, asynchronous, step);
  asked_.is_asynchronous = false;
  return compare("an answer", store, reference);
}

ModelRun::Verdict ModelRun::make_upkeep(Random& random) {
  const std::uint64_t kind = random.below(100);
  if (options_.ttl_mode != TtlMode::manual) state_.mark_dead_as_maybe_gone();
  if (kind < 55) return move_clock(random);
  if (kind < 59) return reopen(random);
  if (kind < 67) return clean_up(random);
  if (kind < 75) return compare_stats();
  if (kind < 83) return compare_namespaces();
  if (kind < 91) return compare_with_expired();
  if (kind < 95) return compare_all();
  return use_snapshots(random);
}

ModelRun::Verdict ModelRun::move_clock(Random& random) {
  std::int64_t units = 1 + static_cast<std::int64_t>(random.below(random.chance(5) ? 200 : 4));
  if (backend_.capabilities().clock_goes_back && random.chance(8)) {
    // Only time that the store has seen cannot come again. What changes nothing is not written anywhere.
    const Reference reference = reference_;
    store_->erase("the time");
    reference.erase("the time");
    units = -units;
  }
  note(" the clock moves by " + std::to_string(units));
  backend_.advance_ms(units * rules_.unit_ms);
  if (!backend_.capabilities().clock_stands_still) {
    state_.set_now_us(state_.now_us() + units * rules_.unit_ms * 1000);
    return std::nullopt;
  }
  seen_us_ = store_now_us();
  state_.set_now_us(seen_us_);
  return std::nullopt;
}

ModelRun::Verdict ModelRun::reopen(Random& random) {
  if (!backend_.capabilities().reopens) return std::nullopt;
  const bool may_be_lost = random.chance(40);
  if (may_be_lost && backend_.capabilities().clock_goes_back) {
    // Of the time that a lost process saw only what was written cannot come again; a store that is closed remembers it.
    const Reference reference = reference_;
    store_->set("the time", "seen");
    reference.set("the time", "seen");
  }
  const bool is_lost = may_be_lost && backend_.lose_process();
  note(is_lost ? " the process is lost, and the store opened" : " closed and opened");
  store_->close();
  store_.reset();
  store_.emplace(backend_.open(options_));
  // What is dead may have come along or not, and also what had been removed for being dead.
  state_.remove_dead(0);
  store_->cleanup_expired();
  return compare_all();
}

ModelRun::Verdict ModelRun::clean_up(Random& random) {
  const std::uint64_t limit = random.chance(50) && !state_.has_maybe_gone() ? 1 + random.below(4) : 0;
  note(" cleanup_expired(" + number(limit) + ")");
  const auto [sure, perhaps] = state_.remove_dead(limit);
  const std::uint64_t removed = store_->cleanup_expired(limit);
  if (removed >= sure && removed <= perhaps) return std::nullopt;
  return "cleanup_expired: " + number(removed) + ", not " + number(sure) + " to " + number(perhaps);
}

ModelRun::Verdict ModelRun::compare_stats() {
  note(" stats");
  std::uint64_t live = 0;
  std::uint64_t dead_for_sure = 0;
  std::uint64_t dead_perhaps = 0;
  std::uint64_t live_value_bytes = 0;
  for (const auto& [place, entry] : state_.entries()) {
    if (state_.is_live(entry)) {
      ++live;
      live_value_bytes += entry.value.size();
    } else {
      ++(entry.may_be_gone ? dead_perhaps : dead_for_sure);
    }
  }
  const Stats stats = store_->stats();
  const std::uint64_t dead = stats.entries - live;
  if (stats.entries < live || dead < dead_for_sure || dead > dead_for_sure + dead_perhaps) {
    return "stats().entries: " + number(stats.entries) + ", not " + number(live) + " live ones and " +
           number(dead_for_sure) + " to " + number(dead_for_sure + dead_perhaps) + " dead ones";
  }
  if (options_.ttl_mode == TtlMode::manual && stats.expired != dead) {
    return "stats().expired: " + number(stats.expired) + " of " + number(stats.entries) + " with " + number(live) +
           " live ones";
  }
  const std::uint64_t stored_bytes = live_value_bytes + live * backend_.capabilities().value_overhead_bytes;
  if (stats.value_bytes < stored_bytes || (dead == 0 && stats.value_bytes != stored_bytes)) {
    return "stats().value_bytes: " + number(stats.value_bytes) + " with " + number(stored_bytes) + " live ones";
  }
  return std::nullopt;
}

ModelRun::Verdict ModelRun::compare_namespaces() {
  note(" namespaces");
  std::set<std::string> names;
  for (const auto& [place, entry] : state_.entries()) {
    if (!place.first.empty() && state_.is_live(entry)) names.insert(place.first);
  }
  std::string expected;
  for (const std::string& name : names) expected += shown(name);
  std::string found;
  for (const std::string& name : store_->namespaces()) found += shown(name);
  return compare("namespaces", found, expected);
}

/// Of the root namespace.
ModelRun::Verdict ModelRun::compare_with_expired() {
  note(" all keys, expired ones too");
  std::string found;
  std::string expected;
  std::set<std::string> found_keys;
  for (const Entry& entry : store_->entries({.include_expired = true})) {
    found += shown(entry.key);
    found_keys.insert(entry.key);
  }
  for (const auto& [place, entry] : state_.entries()) {
    const bool is_missing = !found_keys.contains(place.second);
    if (place.first.empty() && !(entry.may_be_gone && is_missing && !state_.is_live(entry))) {
      expected += shown(place.second);
    }
  }
  return compare("all keys, expired ones too", found, expected);
}

ModelRun::Verdict ModelRun::compare_all() {
  note(" everything");
  return compare("everything", text_of_all(asked_, *store_), text_of_all(told_, reference_));
}

ModelRun::Verdict ModelRun::use_snapshots(Random& random) {
  const bool syncs = random.chance(40);
  note(syncs ? " sync" : " snapshot");
  if (syncs || !backend_.capabilities().has_snapshots) {
    if (backend_.capabilities().syncs) store_->sync();
    return std::nullopt;
  }
  const SnapshotInfo taken = store_->snapshot();
  const std::size_t kept = random.below(3);
  store_->prune_snapshots(kept);
  const std::vector<SnapshotInfo> listed = store_->snapshots();
  const bool is_listed = !listed.empty() && listed.back().ordinal >= taken.ordinal;
  if (is_listed && listed.size() <= kept + 2) return std::nullopt;  // one may have come by itself since
  return "snapshots: " + number(listed.size()) + " where " + number(kept) + " older ones should be kept";
}

}  // namespace tuskv::test
