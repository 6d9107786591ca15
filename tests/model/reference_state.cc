#include "model/reference_state.h"

#include <algorithm>
#include <iterator>

namespace tuskv::test {

bool ReferenceState::is_live(const ReferenceEntry& entry) const {
  return entry.expires_us == 0 || now_us_ < entry.expires_us || rules_.expiry_disabled;
}

const ReferenceEntry* ReferenceState::find(const Place& place) const {
  const auto found = entries_.find(place);
  return found == entries_.end() || !is_live(found->second) ? nullptr : &found->second;
}

void ReferenceState::put_back(const Place& place, std::optional<ReferenceEntry> entry) {
  if (entry) {
    entries_.insert_or_assign(place, *std::move(entry));
  } else {
    entries_.erase(place);
  }
}

void ReferenceState::write(const Place& place, std::optional<ReferenceEntry> entry) {
  if (!savepoints_.empty()) {
    const auto found = entries_.find(place);
    auto before = found == entries_.end() ? std::nullopt : std::optional<ReferenceEntry>(found->second);
    savepoints_.back().emplace(place, std::move(before));
  }
  put_back(place, std::move(entry));
}

std::optional<ReferenceEntry> ReferenceState::before_transaction(const Place& place) const {
  for (const auto& savepoint : savepoints_) {
    if (const auto written = savepoint.find(place); written != savepoint.end()) return written->second;
  }
  const auto found = entries_.find(place);
  return found == entries_.end() ? std::nullopt : std::optional<ReferenceEntry>(found->second);
}

bool ReferenceState::remove(const Place& place) {
  const bool was_live = find(place) != nullptr;
  std::optional<ReferenceEntry> left = before_transaction(place);
  if (left && is_live(*left)) left.reset();
  if (left) left->may_be_gone = true;
  write(place, std::move(left));
  return was_live;
}

void ReferenceState::mark_dead_as_maybe_gone() {
  for (auto& [place, entry] : entries_) entry.may_be_gone = entry.may_be_gone || !is_live(entry);
}

bool ReferenceState::has_maybe_gone() const {
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const auto& each) { return each.second.may_be_gone && !is_live(each.second); });
}

std::pair<std::uint64_t, std::uint64_t> ReferenceState::remove_dead(std::uint64_t limit) {
  std::multimap<std::int64_t, Place> dead;
  for (const auto& [place, entry] : entries_) {
    if (!is_live(entry)) dead.emplace(entry.expires_us, place);
  }
  // Of those that share the expiry of the last one within the limit, some go.
  std::int64_t undecided_us = INT64_MAX;
  if (limit != 0 && limit < dead.size())
    undecided_us = std::next(dead.begin(), static_cast<std::ptrdiff_t>(limit) - 1)->first;
  const std::uint64_t most = limit == 0 ? dead.size() : std::min<std::uint64_t>(limit, dead.size());
  std::uint64_t least = most;
  for (const auto& [expires_us, place] : dead) {
    ReferenceEntry& entry = entries_.at(place);
    if (entry.may_be_gone) --least;
    if (expires_us < undecided_us) {
      entries_.erase(place);
    } else {
      entry.may_be_gone = entry.may_be_gone || expires_us == undecided_us;
    }
  }
  return {least, most};
}

void ReferenceState::keep_savepoint() {
  auto kept = std::move(savepoints_.back());
  savepoints_.pop_back();
  if (!savepoints_.empty()) savepoints_.back().merge(kept);
}

void ReferenceState::roll_back_savepoint() {
  for (const auto& [place, entry] : savepoints_.back()) put_back(place, entry);
  savepoints_.pop_back();
}

}  // namespace tuskv::test
