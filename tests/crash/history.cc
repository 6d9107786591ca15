#include "crash/history.h"

#include <algorithm>

namespace tuskv::test {
namespace {

constexpr std::size_t kShownDifferences = 12;

std::string describe(const ModelEntry* entry) {
  if (entry == nullptr) return "absent";
  return entry->value.substr(0, 40) + " (" + std::to_string(entry->value.size()) + " B, expires " +
         std::to_string(entry->expires_us) + ", created " + std::to_string(entry->created_us) + ", updated " +
         std::to_string(entry->updated_us) + ")";
}

const ModelEntry* find_entry(const ModelEntries& entries, const std::string& key) {
  const auto found = entries.find(key);
  return found == entries.end() ? nullptr : &found->second;
}

std::vector<std::string> differences(const ModelEntries& expected, const ModelEntries& found) {
  std::vector<std::string> lines;
  const auto compare = [&](const std::string& key) {
    const ModelEntry* wanted = find_entry(expected, key);
    const ModelEntry* seen = find_entry(found, key);
    if (wanted != nullptr && seen != nullptr && *wanted == *seen) return;
    lines.push_back("  " + key + ": expected " + describe(wanted) + ", found " + describe(seen) + "\n");
  };
  for (const auto& [key, entry] : expected) compare(key);
  for (const auto& [key, entry] : found) {
    if (!expected.contains(key)) compare(key);
  }
  return lines;
}

std::string join_first(const std::vector<std::string>& lines) {
  std::string text;
  for (std::size_t i = 0; i < std::min(lines.size(), kShownDifferences); ++i) text += lines[i];
  return text;
}

}  // namespace

std::string describe_differences(const ModelEntries& expected, const ModelEntries& found) {
  return join_first(differences(expected, found));
}

History::History(Durability durability) : durability_(durability), digests_(1) {}

History::History(const History& other) {
  os::MutexLock lock(other.mutex_);
  durability_ = other.durability_;
  model_ = other.model_;
  writes_ = other.writes_;
  unknown_ = other.unknown_;
  digests_ = other.digests_;
  acknowledged_ = other.acknowledged_;
  secured_ = other.secured_;
}

void History::push(Write write) {
  model_.apply(write.step, write.now_us);
  writes_.push_back(std::move(write));
  digests_.push_back(model_.state_digest());
}

void History::pop() {
  writes_.pop_back();
  digests_.pop_back();
  model_ = replay(writes_.size());
}

void History::start(const Step& write, std::int64_t now_us) {
  os::MutexLock lock(mutex_);
  if (writes_.size() > acknowledged_) {
    unknown_ = std::move(writes_.back());
    pop();
  }
  push({.step = write, .now_us = now_us});
}

void History::acknowledge() {
  os::MutexLock lock(mutex_);
  if (unknown_ && digests_[writes_.size()].whole == digests_[writes_.size() - 1].whole) {
    // It found nothing to do: nothing was written, and the fate of the one before it is as unknown as it was.
    pop();
    push(*std::exchange(unknown_, std::nullopt));
    return;
  }
  unknown_.reset();
  acknowledged_ = writes_.size();
}

void History::withdraw() {
  os::MutexLock lock(mutex_);
  pop();
  if (unknown_) push(*std::exchange(unknown_, std::nullopt));
}

std::size_t History::acknowledged() const {
  os::MutexLock lock(mutex_);
  return acknowledged_;
}

std::size_t History::started() const {
  os::MutexLock lock(mutex_);
  return writes_.size();
}

void History::secure(std::size_t count) {
  os::MutexLock lock(mutex_);
  secured_ = std::max(secured_, count);
}

void History::adopt(std::size_t count) {
  os::MutexLock lock(mutex_);
  if (count != writes_.size()) {
    writes_.resize(count);
    digests_.resize(count + 1);
    model_ = replay(count);
  }
  unknown_.reset();
  acknowledged_ = count;
  secured_ = count;
}

void History::set_durability(Durability durability) {
  os::MutexLock lock(mutex_);
  durability_ = durability;
}

std::size_t History::least_kept(bool after_power_loss) const {
  os::MutexLock lock(mutex_);
  switch (durability_) {
    case Durability::durable: return acknowledged_;
    case Durability::relaxed: return after_power_loss ? secured_ : acknowledged_;
    case Durability::unlogged: return secured_;
  }
  return acknowledged_;
}

std::optional<std::size_t> History::find(Prefixes prefixes, std::uint64_t found_digest, std::int64_t now_us) const {
  os::MutexLock lock(mutex_);
  for (std::size_t count = prefixes.longest + 1; count-- > prefixes.shortest;) {
    if (digests_[count].at(now_us) == found_digest) return count;
  }
  return std::nullopt;
}

std::string History::explain(Prefixes prefixes, const ModelEntries& found, std::int64_t now_us) const {
  os::MutexLock lock(mutex_);
  std::vector<std::string> fewest;
  std::size_t nearest = 0;
  bool any = false;
  for (std::size_t count = 0; count <= writes_.size(); ++count) {
    std::vector<std::string> lines = differences(replay(count).live_entries(now_us), found);
    // Of equally near ones, one that would have been allowed.
    const bool allowed = count >= prefixes.shortest && count <= prefixes.longest;
    if (any && (lines.size() > fewest.size() || (lines.size() == fewest.size() && !allowed))) continue;
    any = true;
    nearest = count;
    fewest = std::move(lines);
  }
  std::string text = "what is there is none of the prefixes of " + std::to_string(prefixes.shortest) + " to " +
                     std::to_string(prefixes.longest) + " writes (of " + std::to_string(writes_.size()) +
                     "); it is nearest to the one of " + std::to_string(nearest) + ":\n";
  if (fewest.empty()) text += "  no difference: acknowledged writes are lost, or withdrawn ones are there\n";
  text += join_first(fewest);
  const std::size_t first = std::min(nearest, prefixes.shortest);
  for (std::size_t i = first == 0 ? 0 : first - 1; i < std::min(prefixes.longest + 1, writes_.size()); ++i) {
    if (i > first + kShownDifferences) break;
    text += "  write " + std::to_string(i + 1) + ": " + to_string(writes_[i].step) + "\n";
  }
  return text;
}

ModelEntries History::state(std::size_t count, std::int64_t now_us) const {
  os::MutexLock lock(mutex_);
  return replay(count).live_entries(now_us);
}

Model History::replay(std::size_t count) const {
  Model model;
  for (std::size_t i = 0; i < count; ++i) model.apply(writes_[i].step, writes_[i].now_us);
  return model;
}

}  // namespace tuskv::test
