#include "postgres/batch_queue.h"

#include <algorithm>
#include <chrono>
#include <string_view>

#include "plan.h"

namespace tuskv::postgres {
namespace {

/// When a late submission is looked at again that was pinned.
constexpr std::chrono::milliseconds kPinnedPause(1);

bool is_waiting(const Batch& batch) {
  return batch.phase == Batch::Phase::forming || batch.phase == Batch::Phase::called;
}

/// Empty when it names several.
std::string_view only_key(std::span<const Unit> units) {
  const bool is_one = units.size() == 1 && units.front().commands.size() == 1;
  return is_one ? command_key(units.front().commands.front()) : std::string_view();
}

}  // namespace

BatchQueue::Place BatchQueue::join(const Joiner& joiner, std::vector<BatchCall>& calls) {
  os::MutexLock lock(mutex_);
  if (load_.closed()) return {};
  const bool waits = joiner.submission == nullptr;
  BatchPointer batch = find_batch(joiner.units, joiner.deadline, waits);
  if (batch == nullptr) {
    batch = queue_.emplace_back(std::make_shared<Batch>());
    if (by_key_) {
      batch->key = only_key(joiner.units);
      batch->queued_since = os::deadline_in(0);
      batch->held_since = joiner.held_since.value_or(batch->queued_since);
    }
    // Before try_start() looks: a run that ends later sees it.
    load_.set_waiting(true);
  }
  Batch::Seat& seat = batch->add(joiner.units, joiner.deadline, joiner.submission);
  call_ready(calls);
  const bool leads = batch->phase == Batch::Phase::called && waits && !batch->called_thread && batch->leader == &seat;
  if (leads) {
    std::erase_if(calls, [&](const BatchCall& call) { return call.batch == batch; });
    start(batch);
  }
  return {batch, &seat, leads};
}

BatchPointer BatchQueue::find_batch(std::span<const Unit> units, os::Deadline deadline, bool waits) const {
  const BatchWeight weight = weight_of(units);
  if (!by_key_) {
    const bool joins = !queue_.empty() && admits(*queue_.back(), weight, deadline, waits);
    return joins ? queue_.back() : nullptr;
  }
  const std::string_view key = only_key(units);
  if (key.empty()) return nullptr;
  for (const BatchPointer& batch : queue_) {
    if (batch->key == key && admits(*batch, weight, deadline, waits)) return batch;
  }
  return nullptr;
}

bool BatchQueue::admits(const Batch& batch, const BatchWeight& weight, os::Deadline deadline, bool waits) const {
  if (batch.weight.keys + weight.keys > cap_.keys || batch.weight.bytes + weight.bytes > cap_.bytes) return false;
  // A thread that has been called is replaced by a joiner with a later deadline, which is awake; a submission would
  // need another thread to be woken.
  return batch.phase == Batch::Phase::forming || batch.called_thread || waits || deadline < batch.latest;
}

/// The first one. Among batches for a key, the one that has been in the queue longest in proportion to how long its key
/// had been waited for before. So a row that was held for a moment is asked for again after some such moments, however
/// many others have been held for long, and everybody's turn comes.
BatchPointer BatchQueue::next() const {
  BatchPointer next;
  double longest = -1;
  const os::Deadline now = by_key_ ? os::deadline_in(0) : os::Deadline();
  for (const BatchPointer& batch : queue_) {
    if (batch->phase == Batch::Phase::called) continue;
    if (!by_key_) return batch;
    const std::chrono::duration<double, std::milli> queued = now - batch->queued_since;
    const std::chrono::duration<double, std::milli> before = batch->queued_since - batch->held_since;
    const double proportion = queued.count() / (before.count() + 1);
    if (proportion <= longest) continue;
    longest = proportion;
    next = batch;
  }
  return next;
}

void BatchQueue::call_ready(std::vector<BatchCall>& calls) {
  BatchPointer batch = next();
  for (; batch != nullptr; batch = next()) {
    const bool full = batch != queue_.back() || batch->weight.keys >= cap_.keys || batch->weight.bytes >= cap_.bytes;
    if (!load_.try_start(batch->taken, full)) break;
    batch->phase = Batch::Phase::called;
    batch->called_thread = batch->leader == nullptr;
    calls.push_back({batch, batch->leader});
  }
  load_.set_waiting(batch != nullptr);
}

void BatchQueue::start(const BatchPointer& batch) {
  batch->phase = Batch::Phase::sent;
  batch->sent.reserve(batch->taken);
  for (Batch::Seat& seat : batch->seats) {
    if (seat.taken) batch->sent.push_back(&seat.member);
  }
  if (batch->has_submissions) sent_.push_back(batch);
  std::erase(queue_, batch);
}

bool BatchQueue::take(const BatchPointer& batch, const Batch::Seat* leader) {
  os::MutexLock lock(mutex_);
  if (batch->phase != Batch::Phase::called || batch->called_thread != (leader == nullptr)) return false;
  if (leader != nullptr && batch->leader != leader) return false;
  start(batch);
  return true;
}

bool BatchQueue::withdraw(const BatchPointer& batch, Batch::Seat& seat, std::vector<BatchCall>& calls) {
  os::MutexLock lock(mutex_);
  if (!is_waiting(*batch)) return false;
  batch->remove(seat);
  after_removal(batch, calls);
  return true;
}

/// Without its leader a called batch needs no other one: the leader had the latest deadline, so that all who are left
/// are late as well, and a joiner that comes before they have left leads.
void BatchQueue::after_removal(const BatchPointer& batch, std::vector<BatchCall>& calls) {
  if (batch->taken != 0) return;
  drop(batch);
  call_ready(calls);
}

void BatchQueue::drop(const BatchPointer& batch) {
  if (batch->phase == Batch::Phase::called) load_.end_run();
  batch->phase = Batch::Phase::closed;
  std::erase(queue_, batch);
}

void BatchQueue::finish(const BatchPointer& batch, std::vector<BatchCall>& calls) {
  os::MutexLock lock(mutex_);
  std::erase(sent_, batch);
  load_.end_run();
  call_ready(calls);
  if (load_.closed()) idle_.notify_all();
}

void BatchQueue::look_after(std::vector<BatchCall>& calls) {
  os::MutexLock lock(mutex_);
  call_ready(calls);
  if (load_.closed()) idle_.notify_all();
}

os::Deadline BatchQueue::expire(os::Deadline now, std::vector<Expired>& expired, std::vector<BatchCall>& calls) {
  os::MutexLock lock(mutex_);
  os::Deadline next = os::Deadline::max();
  const std::deque<BatchPointer> waiting = queue_;
  for (const BatchPointer& batch : waiting) {
    if (batch->earliest_submission <= now) expire_waiting(batch, now, expired, calls);
    next = std::min(next, batch->earliest_submission);
  }
  for (const BatchPointer& batch : sent_) {
    if (batch->earliest_submission <= now) expire_sent(*batch, now, expired);
    next = std::min(next, batch->earliest_submission);
  }
  return next;
}

void BatchQueue::expire_waiting(const BatchPointer& batch, os::Deadline now, std::vector<Expired>& expired,
                                std::vector<BatchCall>& calls) {
  for (Batch::Seat& seat : batch->seats) {
    if (!seat.taken || seat.submission == nullptr || seat.member.deadline() > now) continue;
    if (!seat.member.give_up()) continue;
    expired.push_back({.submission = seat.submission, .sent = false});
    batch->remove(seat);
  }
  after_removal(batch, calls);
}

void BatchQueue::expire_sent(Batch& batch, os::Deadline now, std::vector<Expired>& expired) {
  batch.earliest_submission = os::Deadline::max();
  for (Batch::Seat& seat : batch.seats) {
    if (!seat.taken || seat.submission == nullptr) continue;
    os::Deadline deadline = seat.member.deadline();
    if (deadline <= now) {
      seat.taken = !seat.member.give_up();
      if (!seat.taken) {
        expired.push_back({.submission = seat.submission, .sent = seat.member.sent()});
        continue;
      }
      deadline = now + kPinnedPause;
    }
    batch.earliest_submission = std::min(batch.earliest_submission, deadline);
  }
}

std::vector<BatchPointer> BatchQueue::close() {
  os::MutexLock lock(mutex_);
  load_.close();
  std::vector<BatchPointer> unsent(queue_.begin(), queue_.end());
  for (const BatchPointer& batch : unsent) drop(batch);
  load_.set_waiting(false);
  idle_.notify_all();
  return unsent;
}

std::size_t BatchQueue::waiting() {
  os::MutexLock lock(mutex_);
  std::size_t members = 0;
  for (const BatchPointer& batch : queue_) members += batch->taken;
  return members;
}

void BatchQueue::wait_until_idle() {
  os::MutexLock lock(mutex_);
  while (load_.running() != 0) idle_.wait(mutex_);
}

}  // namespace tuskv::postgres
