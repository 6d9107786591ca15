#include "embedded/removals.h"

#include <algorithm>

namespace tuskv::embedded {

void Removals::Last::include(const Last& other) {
  sequence = std::max(sequence, other.sequence);
  end_us = std::max(end_us, other.end_us);
}

void Removals::add(std::string_view key, std::uint64_t sequence, std::int64_t end_us) {
  Removal& place = kept_[next_];
  next_ = (next_ + 1) % kKept;
  of_forgotten_.include(place.last);
  place.key.assign(key);
  place.last = {.sequence = sequence, .end_us = end_us};
  of_all_.include(place.last);
}

void Removals::add_many(std::uint64_t sequence) {
  of_forgotten_.include({.sequence = sequence});
  of_all_.include({.sequence = sequence});
}

bool Removals::may_be_since(const ReadMoment& moment, FunctionRef<bool(std::string_view key)> concerns) const {
  if (!of_all_.is_since(moment)) return false;
  if (of_forgotten_.is_since(moment)) return true;
  return std::any_of(kept_.begin(), kept_.end(),
                     [&](const Removal& removal) { return removal.last.is_since(moment) && concerns(removal.key); });
}

}  // namespace tuskv::embedded
