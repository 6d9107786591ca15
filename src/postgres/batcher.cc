#include "postgres/batcher.h"

#include <algorithm>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <variant>

namespace tuskv::postgres {
namespace {

constexpr std::string_view kUnsentText =
    "the deadline passed while the command waited for the batches before it or for a connection";
constexpr std::string_view kSentText = "the deadline passed before the server answered";

BatchQueue::Rule rule_of(Lane lane, const BatcherOptions& options) {
  BatchQueue::Rule rule{.load = {.direct_callers = options.direct_callers,
                                 .batches = lane == Lane::generic ? options.generic_batches : options.batches,
                                 .fill = options.fill},
                        .cap = {.keys = options.batch_keys, .bytes = options.batch_bytes}};
  if (lane == Lane::held) {
    rule.load = {.batches = options.held_batches};
    rule.by_key = true;
  } else if (lane == Lane::listing || lane == Lane::erasing) {
    rule.load = {.batches = lane == Lane::listing ? options.listings : options.range_erases};
    rule.cap.keys = 1;
  }
  return rule;
}

/// So many batches can wait for a thread to lead them; one more tells the submitters of batches that others led.
std::size_t leaders_of(const BatcherOptions& options) {
  return std::size_t{2} * options.batches + options.generic_batches + options.held_batches + options.listings +
         options.range_erases + 1;
}

os::Deadline deadline_of(std::span<const Unit> units) {
  std::int64_t timeout_ms = units.front().timeout_ms;
  for (const Unit& unit : units.subspan(1)) timeout_ms = std::min(timeout_ms, unit.timeout_ms);
  return os::deadline_in(timeout_ms);
}

bool writes(const Unit& unit) {
  return std::any_of(unit.commands.begin(), unit.commands.end(), [](const Command& command) {
    return !std::holds_alternative<Read>(command) && !std::holds_alternative<Scan>(command) &&
           !std::holds_alternative<Count>(command);
  });
}

void fail(std::span<Unit> units, Code code, std::string_view text, bool sent = false) {
  for (Unit& unit : units) {
    if (unit.failure != nullptr) continue;
    const Outcome outcome = sent && writes(unit) ? Outcome::unknown : Outcome::not_applied;
    unit.failure = std::make_unique<Failure>(Failure{.code = code, .outcome = outcome, .message = std::string(text)});
  }
}

void fail_late(std::span<Unit> units, bool sent) { fail(units, Code::Timeout, sent ? kSentText : kUnsentText, sent); }

/// Units that have been answered are among them: nobody knows which.
void fail_broken_off(std::span<BatchMember* const> members, std::string_view reason) {
  const std::string text = "the call was broken off: " + std::string(reason);
  for (BatchMember* const member : members) {
    if (!member->pin()) continue;
    fail(member->units(), Code::Internal, text, member->sent());
    member->unpin();
  }
}

void refuse(std::span<Unit> units, LaneLoad::Arrival arrival) {
  if (arrival == LaneLoad::Arrival::closed) return fail(units, Code::Closed, kClosedText);
  fail(units, Code::Busy, std::to_string(kLaneCallersMax) + " calls wait for the server already");
}

std::span<Unit> units_of(Submission& submission) { return {&submission.unit, 1}; }

void end(Submission& submission) { submission.done(submission); }

}  // namespace

Batcher::Batcher(BatchExecutor& executor, const BatcherOptions& options)
    : executor_(executor),
      queues_{BatchQueue(rule_of(Lane::read, options)),    BatchQueue(rule_of(Lane::set, options)),
              BatchQueue(rule_of(Lane::generic, options)), BatchQueue(rule_of(Lane::held, options)),
              BatchQueue(rule_of(Lane::listing, options)), BatchQueue(rule_of(Lane::erasing, options))},
      threads_(leaders_of(options), {.lead = [this](const BatchThreads::Job& job) { lead_for_submissions(job); },
                                     .expire = [this](os::Deadline now) { return expire_submissions(now); }}) {}

Batcher::~Batcher() { close(); }

void Batcher::execute(Lane lane, std::span<Unit> units, std::optional<os::Deadline> held_since) noexcept {
  if (units.empty()) return;
  switch (const LaneLoad::Arrival arrival = queue_of(lane).load().arrive(true)) {
    case LaneLoad::Arrival::direct: return run_directly(lane, units, deadline_of(units));
    case LaneLoad::Arrival::queued:
      return run_in_batch(lane, {.units = units, .deadline = deadline_of(units), .held_since = held_since});
    default: return refuse(units, arrival);
  }
}

/// However it ends, the lane has to learn that it has.
void Batcher::run(Lane lane, std::span<BatchMember* const> members, os::Deadline deadline) noexcept {
  try {
    executor_.run(lane, members, deadline);
  } catch (const std::bad_alloc&) {
    fail_broken_off(members, "memory ran out");
  } catch (const std::exception& thrown) {
    fail_broken_off(members, thrown.what());
  }
}

void Batcher::run_directly(Lane lane, std::span<Unit> units, os::Deadline deadline) {
  BatchMember member(units, deadline);
  BatchMember* const members[] = {&member};
  run(lane, members, deadline);
  if (!queue_of(lane).load().depart_direct()) return;
  std::vector<BatchCall> calls;
  queue_of(lane).look_after(calls);
  call(lane, calls);
}

void Batcher::run_in_batch(Lane lane, const BatchQueue::Joiner& joiner) {
  std::vector<BatchCall> calls;
  const BatchQueue::Place place = queue_of(lane).join(joiner, calls);
  call(lane, calls);
  if (place.batch == nullptr) {
    fail(joiner.units, Code::Closed, kClosedText);
  } else if (place.leads) {
    lead_as_member(lane, place.batch);
  } else {
    follow(lane, place);
  }
  queue_of(lane).load().depart();
}

/// The batch is `sent`, by this thread.
void Batcher::lead(Lane lane, const BatchPointer& batch) noexcept {
  run(lane, batch->sent, batch->latest);
  std::vector<BatchCall> calls;
  queue_of(lane).finish(batch, calls);
  call(lane, calls);
  batch->phase = Batch::Phase::done;
  if (batch->seats.size() > 1) batch->word.advance();
}

void Batcher::lead_as_member(Lane lane, const BatchPointer& batch) {
  lead(lane, batch);
  if (batch->has_submissions) threads_.post({lane, batch});
}

void Batcher::follow(Lane lane, const BatchQueue::Place& place) {
  Batch& batch = *place.batch;
  const BatchMember& member = place.seat->member;
  for (;;) {
    const std::uint32_t seen = batch.word.value();
    switch (batch.phase) {
      case Batch::Phase::done: return;
      case Batch::Phase::closed: return fail(member.units(), Code::Closed, kClosedText);
      case Batch::Phase::called:
        if (queue_of(lane).take(place.batch, place.seat)) return lead_as_member(lane, place.batch);
        break;
      default: break;
    }
    if (!batch.word.wait(seen, member.deadline(), place.seat->waits_as)) return leave_late(lane, place);
  }
}

void Batcher::leave_late(Lane lane, const BatchQueue::Place& place) {
  Batch& batch = *place.batch;
  BatchMember& member = place.seat->member;
  std::vector<BatchCall> calls;
  if (queue_of(lane).withdraw(place.batch, *place.seat, calls)) {
    call(lane, calls);
    return fail_late(member.units(), false);
  }
  for (;;) {
    const std::uint32_t seen = batch.word.value();
    const Batch::Phase phase = batch.phase;
    if (phase == Batch::Phase::done) return;
    if (phase == Batch::Phase::closed) return fail(member.units(), Code::Closed, kClosedText);
    if (member.give_up()) return fail_late(member.units(), member.sent());
    batch.word.wait(seen);
  }
}

/// Wakes the leaders of batches whose turn has come.
void Batcher::call(Lane lane, const std::vector<BatchCall>& calls) {
  for (const BatchCall& called : calls) {
    if (called.leader != nullptr) {
      called.batch->word.advance_for(called.leader->waits_as);
    } else {
      threads_.post({lane, called.batch});
    }
  }
}

void Batcher::submit(Lane lane, Submission& submission, std::optional<os::Deadline> held_since) noexcept {
  const std::span<Unit> units = units_of(submission);
  BatchQueue& queue = queue_of(lane);
  const LaneLoad::Arrival arrival = queue.load().arrive(false);
  if (arrival != LaneLoad::Arrival::queued) {
    refuse(units, arrival);
    return end(submission);
  }
  const os::Deadline deadline = deadline_of(units);
  std::vector<BatchCall> calls;
  BatchQueue::Place place;
  if (!threads_.start()) {
    fail(units, Code::Busy, "the system gives no thread for asynchronous calls");
  } else {
    place =
        queue.join({.units = units, .deadline = deadline, .submission = &submission, .held_since = held_since}, calls);
    if (place.batch == nullptr) fail(units, Code::Closed, kClosedText);
  }
  if (place.batch == nullptr) {
    queue.load().depart();
    return end(submission);
  }
  // From here on the submission may have ended.
  call(lane, calls);
  threads_.wake_at(deadline);
}

void Batcher::lead_for_submissions(const BatchThreads::Job& job) {
  if (queue_of(job.lane).take(job.batch, nullptr)) lead(job.lane, job.batch);
  end_submissions(job.lane, *job.batch);
}

void Batcher::end_submissions(Lane lane, Batch& batch) {
  const Batch::Phase phase = batch.phase;
  if (phase != Batch::Phase::done && phase != Batch::Phase::closed) return;
  for (Batch::Seat& seat : batch.seats) {
    if (seat.submission == nullptr || !seat.taken || !seat.member.give_up()) continue;
    if (phase == Batch::Phase::closed) fail(seat.member.units(), Code::Closed, kClosedText);
    queue_of(lane).load().depart();
    end(*seat.submission);
  }
}

os::Deadline Batcher::expire_submissions(os::Deadline now) {
  os::Deadline next = os::Deadline::max();
  for (const Lane lane : kAllLanes) {
    std::vector<BatchQueue::Expired> expired;
    std::vector<BatchCall> calls;
    next = std::min(next, queue_of(lane).expire(now, expired, calls));
    call(lane, calls);
    for (const BatchQueue::Expired& late : expired) {
      fail_late(units_of(*late.submission), late.sent);
      queue_of(lane).load().depart();
      end(*late.submission);
    }
  }
  return next;
}

void Batcher::close() {
  for (const Lane lane : kAllLanes) {
    for (const BatchPointer& batch : queue_of(lane).close()) {
      batch->word.advance();
      if (batch->has_submissions) threads_.post({lane, batch});
    }
  }
  for (BatchQueue& queue : queues_) queue.wait_until_idle();
}

}  // namespace tuskv::postgres
