#include "postgres/batch.h"

#include <algorithm>
#include <variant>

namespace tuskv::postgres {

BatchWeight weight_of(std::span<const Unit> units) {
  BatchWeight weight;
  for (const Unit& unit : units) {
    weight.keys += unit.commands.size();
    for (const Command& command : unit.commands) {
      std::visit(
          [&]<class C>(const C& c) {
            if constexpr (requires { c.key; }) weight.bytes += c.key.size();
            if constexpr (requires { c.value.size(); }) weight.bytes += c.value.size();
            if constexpr (requires { c.condition; }) weight.bytes += c.condition.bytes.size();
          },
          command);
    }
  }
  return weight;
}

Batch::Seat& Batch::add(std::span<Unit> units, os::Deadline deadline, Submission* submission) {
  constexpr std::size_t kBits = 32;
  const std::uint32_t waits_as = 1U << (seats.size() % kBits);
  Seat& seat = seats.emplace_back(units, deadline, &word);
  seat.submission = submission;
  has_submissions = has_submissions || submission != nullptr;
  seat.waits_as = waits_as;
  const BatchWeight added = weight_of(units);
  weight.keys += added.keys;
  weight.bytes += added.bytes;
  ++taken;
  count(seat);
  return seat;
}

void Batch::remove(Seat& seat) {
  seat.taken = false;
  const BatchWeight removed = weight_of(seat.member.units());
  weight.keys -= removed.keys;
  weight.bytes -= removed.bytes;
  --taken;
  latest = os::Deadline::min();
  earliest_submission = os::Deadline::max();
  leader = nullptr;
  for (Seat& left : seats) {
    if (left.taken) count(left);
  }
}

/// The last of those with the same deadline leads: it is the one that is awake.
void Batch::count(Seat& seat) {
  const os::Deadline deadline = seat.member.deadline();
  if (seat.submission != nullptr) earliest_submission = std::min(earliest_submission, deadline);
  if (deadline < latest) return;
  latest = deadline;
  leader = seat.submission == nullptr ? &seat : nullptr;
}

}  // namespace tuskv::postgres
