#include "crash/model.h"

#include <algorithm>

namespace tuskv::test {
namespace {

std::uint64_t mix(std::uint64_t state) {
  state = (state ^ (state >> 30U)) * 0xbf58476d1ce4e5b9U;
  state = (state ^ (state >> 27U)) * 0x94d049bb133111ebU;
  return state ^ (state >> 31U);
}

const char* name_of(Step::Kind kind) {
  switch (kind) {
    case Step::Kind::set: return "set";
    case Step::Kind::erase: return "erase";
    case Step::Kind::expire: return "expire";
    case Step::Kind::add: return "add";
    case Step::Kind::batch: return "batch";
    case Step::Kind::transfer: return "transfer";
    case Step::Kind::erase_prefix: return "erase_prefix";
    case Step::Kind::sync: return "sync";
    case Step::Kind::snapshot: return "snapshot";
    case Step::Kind::prune: return "prune";
    case Step::Kind::sweep: return "sweep";
    case Step::Kind::reopen: return "reopen";
    case Step::Kind::advance: return "advance";
  }
  return "?";
}

}  // namespace

std::string to_string(const Step& step) {
  std::string text = std::string(name_of(step.kind)) + "(" + step.key;
  if (!step.value.empty()) text += " = " + step.value.substr(0, 24) + ", " + std::to_string(step.value.size()) + " B";
  if (step.number != 0) text += ", " + std::to_string(step.number);
  for (const BatchItem& item : step.items) text += " " + item.key + (item.value ? "" : " erased");
  return text + ")";
}

std::uint64_t digest(std::string_view key, const ModelEntry& entry) {
  constexpr std::hash<std::string_view> kHash;
  std::uint64_t state = mix(kHash(key) + 0x9e3779b97f4a7c15U);
  state = mix(state + kHash(entry.value));
  state = mix(state + static_cast<std::uint64_t>(entry.expires_us));
  state = mix(state + static_cast<std::uint64_t>(entry.created_us));
  return mix(state + static_cast<std::uint64_t>(entry.updated_us));
}

std::uint64_t StateDigest::at(std::int64_t now_us) const {
  std::uint64_t present = whole;
  for (const auto& [expires_us, part] : expiring) {
    if (now_us >= expires_us) present -= part;
  }
  return present;
}

const ModelEntry* Model::find_live(std::string_view key, std::int64_t now_us) const {
  const auto found = entries_.find(key);
  return found != entries_.end() && found->second.live(now_us) ? &found->second : nullptr;
}

std::int64_t Model::number_of(std::string_view key, std::int64_t absent, std::int64_t now_us) const {
  const ModelEntry* entry = find_live(key, now_us);
  return entry == nullptr ? absent : std::stoll(entry->value);
}

void Model::insert(const std::string& key, ModelEntry entry) {
  erase(key);
  whole_ += digest(key, entry);
  entries_[key] = std::move(entry);
}

void Model::put(const std::string& key, std::string value, std::int64_t expires_us, std::int64_t now_us) {
  const ModelEntry* old = find_live(key, now_us);
  const std::int64_t created_us = old != nullptr ? old->created_us : now_us;
  insert(key, {.value = std::move(value),
               .expires_us = expires_us,
               .created_us = created_us,
               .updated_us = std::max(now_us, created_us)});
}

void Model::erase(const std::string& key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  whole_ -= digest(key, found->second);
  entries_.erase(found);
}

void Model::apply(const Step& step, std::int64_t now_us) {
  switch (step.kind) {
    case Step::Kind::set: return put(step.key, step.value, step.number == 0 ? 0 : now_us + step.number * 1000, now_us);
    case Step::Kind::erase: return erase(step.key);
    case Step::Kind::expire: {
      const ModelEntry* entry = find_live(step.key, now_us);
      const std::int64_t expires_us = now_us + step.number * 1000;
      if (entry != nullptr && entry->expires_us != expires_us) put(step.key, entry->value, expires_us, now_us);
      return;
    }
    case Step::Kind::add: {
      const ModelEntry* entry = find_live(step.key, now_us);
      const std::int64_t sum = number_of(step.key, 0, now_us) + step.number;
      return put(step.key, std::to_string(sum), entry == nullptr ? 0 : entry->expires_us, now_us);
    }
    case Step::Kind::batch:
      for (const BatchItem& item : step.items) {
        if (item.value) put(item.key, *item.value, 0, now_us);
        if (!item.value) erase(item.key);
      }
      return;
    case Step::Kind::transfer: {
      const std::int64_t from = number_of(step.key, kAccountStart, now_us);
      const std::int64_t to = number_of(step.value, kAccountStart, now_us);
      put(step.key, std::to_string(from - step.number), 0, now_us);
      return put(step.value, std::to_string(to + step.number), 0, now_us);
    }
    case Step::Kind::erase_prefix:
      for (auto at = entries_.lower_bound(step.key); at != entries_.end() && at->first.starts_with(step.key);) {
        whole_ -= digest(at->first, at->second);
        at = entries_.erase(at);
      }
      return;
    default: return;
  }
}

ModelEntries Model::live_entries(std::int64_t now_us) const {
  ModelEntries live = entries_;
  std::erase_if(live, [&](const auto& named) { return !named.second.live(now_us); });
  return live;
}

StateDigest Model::state_digest() const {
  StateDigest made{.whole = whole_, .expiring = {}};
  for (const auto& [key, entry] : entries_) {
    if (entry.expires_us != 0) made.expiring.emplace_back(entry.expires_us, digest(key, entry));
  }
  return made;
}

}  // namespace tuskv::test
