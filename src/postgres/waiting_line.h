// Those who wait for something that one mutex guards, served in the order they came. The rule: only the first takes;
// whoever makes something free, or gives up waiting, wakes the first, and so does who has taken while more is left. So
// nobody can overtake, and no wake-up gets lost on somebody who does not need it any more.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>

#include "os/deadline.h"
#include "os/mutex.h"

namespace tuskv::postgres {

/// Everything here is called with the owner's mutex held.
class WaitingLine final {
 public:
  /// A place, taken by the first wait and given up at the end of the scope.
  class Place final {
   public:
    explicit Place(WaitingLine& line) : line_(line) {}
    ~Place() {
      if (!in_line_) return;
      leave();
      line_.wake_first();
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    /// Nobody has come before.
    bool is_first() const { return line_.places_.empty() || line_.places_.front() == this; }
    /// Wakes up for the deadline, when it is or becomes the first, or for no reason.
    void wait_until(os::Mutex& mutex, os::Deadline deadline) TUSKV_REQUIRES(mutex) {
      if (!in_line_) line_.places_.push_back(this);
      in_line_ = true;
      woken_.wait_until(mutex, deadline);
    }
    /// Has taken what it waited for.
    void leave() {
      if (in_line_) line_.places_.erase(std::find(line_.places_.begin(), line_.places_.end(), this));
      in_line_ = false;
    }

   private:
    friend class WaitingLine;
    WaitingLine& line_;
    os::CondVar woken_;
    bool in_line_ = false;
  };

  bool empty() const { return places_.empty(); }
  void wake_first() {
    if (!places_.empty()) places_.front()->woken_.notify_one();
  }
  void wake_all() {
    for (Place* const place : places_) place->woken_.notify_one();
  }

 private:
  std::deque<Place*> places_;
};

}  // namespace tuskv::postgres
