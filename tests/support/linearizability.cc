#include "support/linearizability.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>
#include <unordered_set>
#include <utility>

namespace tuskv::test {
namespace {

/// The present value of each key of a group, by number; 0: absent.
using State = std::vector<std::uint32_t>;

/// A call with keys and values as small numbers.
struct CompactCall {
  struct Seen {
    std::uint32_t key;
    Sighting::Kind kind;
    std::uint32_t value;
  };
  std::vector<Seen> seen;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> done;
  std::int64_t called = 0;
  std::int64_t returned = 0;
  bool may_never_happen = false;
  std::size_t source = 0;  ///< in the history
};

bool agrees(const CompactCall::Seen& seen, const State& state) {
  const std::uint32_t value = state[seen.key];
  switch (seen.kind) {
    case Sighting::Kind::absent: return value == 0;
    case Sighting::Kind::present: return value != 0;
    case Sighting::Kind::equals: return value == seen.value;
    case Sighting::Kind::differs: return value != 0 && value != seen.value;
    case Sighting::Kind::is_not: return value != seen.value;
  }
  return false;
}

/// False when the call cannot come next.
bool step(const CompactCall& call, const State& before, State& after) {
  for (const auto& seen : call.seen) {
    if (!agrees(seen, before)) return false;
  }
  after = before;
  for (const auto& [key, value] : call.done) after[key] = value;
  return true;
}

/// One search over the calls of one group. The list holds the calls not yet placed, as two events each, in time order.
class Search final {
 public:
  Search(const std::vector<CompactCall>& calls, State initial, std::uint64_t steps_max)
      : calls_(calls), state_(std::move(initial)), placed_((calls.size() + 63) / 64), steps_left_(steps_max) {
    link_events();
    for (const CompactCall& call : calls_) must_place_ += call.may_never_happen ? 0 : 1;
  }

  LinearizabilityResult::Verdict run();
  std::uint64_t steps_left() const { return steps_left_; }
  /// The longest run of calls that fitted, for the explanation.
  const std::vector<std::size_t>& longest() const { return longest_; }

 private:
  struct Event {
    std::size_t call = 0;
    bool returns = false;
    std::size_t previous = 0;
    std::size_t next = 0;
    std::size_t partner = 0;  ///< the return of a call
  };
  struct Placed {
    std::size_t event = 0;
    State before;
  };

  void link_events();
  void lift(std::size_t event);
  void unlift(std::size_t event);
  bool place(std::size_t event);
  /// False when nothing is placed any more: the search is over.
  bool take_back(std::size_t& event);
  bool remember();

  const std::vector<CompactCall>& calls_;
  State state_;
  std::vector<std::uint64_t> placed_;
  std::uint64_t steps_left_;
  std::vector<Event> events_;  ///< [0] heads the list; index 0 as `next` ends it
  std::vector<Placed> stack_;
  std::unordered_set<std::string> tried_;
  std::vector<std::size_t> longest_;
  std::size_t must_place_ = 0;
};

void Search::link_events() {
  struct Moment {
    std::int64_t at;
    bool returns;
    std::size_t call;
  };
  std::vector<Moment> moments;
  for (std::size_t i = 0; i < calls_.size(); ++i) {
    const std::int64_t end = calls_[i].may_never_happen ? std::numeric_limits<std::int64_t>::max() : calls_[i].returned;
    moments.push_back({calls_[i].called, false, i});
    moments.push_back({end, true, i});
  }
  // At one instant calls come before returns: touching intervals overlap, which can only forgive.
  std::sort(moments.begin(), moments.end(), [](const Moment& a, const Moment& b) {
    return std::tie(a.at, a.returns, a.call) < std::tie(b.at, b.returns, b.call);
  });
  events_.resize(moments.size() + 1);
  std::vector<std::size_t> call_event(calls_.size());
  for (std::size_t i = 0; i < moments.size(); ++i) {
    Event& event = events_[i + 1];
    event = {.call = moments[i].call, .returns = moments[i].returns, .previous = i, .next = (i + 2) % events_.size()};
    if (event.returns) {
      events_[call_event[event.call]].partner = i + 1;
    } else {
      call_event[event.call] = i + 1;
    }
  }
  events_[0].next = moments.empty() ? 0 : 1;
}

void Search::lift(std::size_t event) {
  for (const std::size_t removed : {event, events_[event].partner}) {
    events_[events_[removed].previous].next = events_[removed].next;
    if (events_[removed].next != 0) events_[events_[removed].next].previous = events_[removed].previous;
  }
}

void Search::unlift(std::size_t event) {
  for (const std::size_t restored : {events_[event].partner, event}) {
    events_[events_[restored].previous].next = restored;
    if (events_[restored].next != 0) events_[events_[restored].next].previous = restored;
  }
}

/// False when the same calls have led to the same state before.
bool Search::remember() {
  std::string key(reinterpret_cast<const char*>(placed_.data()), placed_.size() * sizeof(placed_[0]));
  key.append(reinterpret_cast<const char*>(state_.data()), state_.size() * sizeof(state_[0]));
  return tried_.insert(std::move(key)).second;
}

bool Search::place(std::size_t event) {
  const std::size_t call = events_[event].call;
  State after;
  if (!step(calls_[call], state_, after)) return false;
  std::swap(state_, after);
  placed_[call / 64] |= std::uint64_t{1} << (call % 64);
  if (!remember()) {
    placed_[call / 64] &= ~(std::uint64_t{1} << (call % 64));
    std::swap(state_, after);
    return false;
  }
  stack_.push_back({event, std::move(after)});
  lift(event);
  must_place_ -= calls_[call].may_never_happen ? 0 : 1;
  if (stack_.size() > longest_.size()) {
    longest_.clear();
    for (const Placed& placed : stack_) longest_.push_back(calls_[events_[placed.event].call].source);
  }
  return true;
}

bool Search::take_back(std::size_t& event) {
  if (stack_.empty()) return false;
  Placed placed = std::move(stack_.back());
  stack_.pop_back();
  const std::size_t call = events_[placed.event].call;
  state_ = std::move(placed.before);
  placed_[call / 64] &= ~(std::uint64_t{1} << (call % 64));
  unlift(placed.event);
  must_place_ += calls_[call].may_never_happen ? 0 : 1;
  event = events_[placed.event].next;
  return true;
}

LinearizabilityResult::Verdict Search::run() {
  using Verdict = LinearizabilityResult::Verdict;
  std::size_t event = events_[0].next;
  while (must_place_ > 0) {
    if (steps_left_-- == 0) return Verdict::gave_up;
    if (event != 0 && !events_[event].returns) {
      event = place(event) ? events_[0].next : events_[event].next;
    } else if (!take_back(event)) {  // a call that is still to be placed has returned: it came too late
      return Verdict::violation;
    }
  }
  return Verdict::linearizable;
}

/// Keys tied together by calls that name several.
class Groups final {
 public:
  explicit Groups(std::size_t keys) : parent_(keys) { std::iota(parent_.begin(), parent_.end(), std::size_t{0}); }
  std::size_t find(std::size_t key) {
    while (parent_[key] != key) key = parent_[key] = parent_[parent_[key]];
    return key;
  }
  void join(std::size_t a, std::size_t b) { parent_[find(a)] = find(b); }

 private:
  std::vector<std::size_t> parent_;
};

/// Numbers for keys and values.
class Numbers final {
 public:
  std::uint32_t operator()(const std::string& text) {
    return numbers_.emplace(text, static_cast<std::uint32_t>(numbers_.size())).first->second;
  }
  std::size_t size() const { return numbers_.size(); }

 private:
  std::map<std::string, std::uint32_t> numbers_;
};

std::string describe(const Call& call) {
  std::string text = "  [" + std::to_string(call.called) + ", " + std::to_string(call.returned) + "]";
  for (const Sighting& seen : call.seen) {
    constexpr const char* kKinds[] = {" absent", " present", " = ", " other than ", " not "};
    text += " saw " + seen.key + kKinds[static_cast<int>(seen.kind)] + seen.value;
  }
  for (const Effect& done : call.done) text += " wrote " + done.key + " = " + done.value.value_or("(erased)");
  return text + (call.may_never_happen ? " (unknown)\n" : "\n");
}

std::string explain(const std::vector<Call>& history, const std::vector<CompactCall>& calls,
                    const std::vector<std::size_t>& longest) {
  constexpr std::size_t kShown = 12;
  std::string text = std::to_string(longest.size()) + " of " + std::to_string(calls.size()) + " calls fit; the last:\n";
  for (std::size_t i = longest.size() > kShown ? longest.size() - kShown : 0; i < longest.size(); ++i) {
    text += describe(history[longest[i]]);
  }
  std::vector<std::size_t> left;
  for (const CompactCall& call : calls) {
    if (std::find(longest.begin(), longest.end(), call.source) == longest.end()) left.push_back(call.source);
  }
  std::sort(left.begin(), left.end(),
            [&](std::size_t a, std::size_t b) { return history[a].called < history[b].called; });
  text += "then none of these can come next:\n";
  for (std::size_t i = 0; i < std::min(left.size(), kShown); ++i) text += describe(history[left[i]]);
  return text;
}

CompactCall compact(const Call& call, std::size_t source, Numbers& keys, Numbers& values) {
  CompactCall compacted = {.seen = {},
                           .done = {},
                           .called = call.called,
                           .returned = call.returned,
                           .may_never_happen = call.may_never_happen,
                           .source = source};
  for (const Sighting& seen : call.seen) compacted.seen.push_back({keys(seen.key), seen.kind, values(seen.value) + 1});
  for (const Effect& done : call.done) {
    compacted.done.emplace_back(keys(done.key), done.value ? values(*done.value) + 1 : 0);
  }
  return compacted;
}

}  // namespace

Sighting saw(const std::string& key, const std::optional<std::string>& value) {
  if (!value) return {.key = key, .kind = Sighting::Kind::absent};
  return {.key = key, .kind = Sighting::Kind::equals, .value = *value};
}

LinearizabilityResult check_linearizability(const std::vector<Call>& history, const std::vector<Effect>& initial,
                                            std::uint64_t steps_max) {
  using Verdict = LinearizabilityResult::Verdict;
  Numbers keys;
  Numbers values;
  std::vector<CompactCall> calls;
  for (std::size_t i = 0; i < history.size(); ++i) calls.push_back(compact(history[i], i, keys, values));
  std::vector<std::pair<std::uint32_t, std::uint32_t>> start;
  for (const Effect& effect : initial) {
    if (effect.value) start.emplace_back(keys(effect.key), values(*effect.value) + 1);
  }
  Groups groups(keys.size());
  for (const CompactCall& call : calls) {
    std::vector<std::uint32_t> touched;
    for (const auto& seen : call.seen) touched.push_back(seen.key);
    for (const auto& done : call.done) touched.push_back(done.first);
    for (const std::uint32_t key : touched) groups.join(key, touched.front());
  }
  std::map<std::size_t, std::vector<CompactCall>> by_group;
  for (CompactCall& call : calls) {
    if (call.seen.empty() && call.done.empty()) continue;
    const std::uint32_t key = call.seen.empty() ? call.done.front().first : call.seen.front().key;
    by_group[groups.find(key)].push_back(std::move(call));
  }
  State state(keys.size());
  for (const auto& [key, value] : start) state[key] = value;
  LinearizabilityResult result;
  for (const auto& [group, members] : by_group) {
    Search search(members, state, steps_max - result.steps);
    result.verdict = search.run();
    result.steps = steps_max - search.steps_left();
    if (result.verdict == Verdict::violation) result.explanation = explain(history, members, search.longest());
    if (result.verdict != Verdict::linearizable) return result;
  }
  return result;
}

}  // namespace tuskv::test
