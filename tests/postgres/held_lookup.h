// A lookup of names that answers what a test says, or stands still.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "os/mutex.h"
#include "os/name_lookup.h"

namespace tuskv::test {

/// Thread-safe. Lookups on their way live on when it is gone.
class HeldLookup final {
 public:
  using Answer = Result<std::vector<std::string>>;

  os::NameLookup function() const {
    return [state = state_](const std::string& name) { return state->look_up(name); };
  }
  /// What a name has from now on; 127.0.0.1 at first.
  void set_answer(std::function<Answer(const std::string& name)> answer) {
    os::MutexLock lock(state_->mutex);
    state_->answer = std::move(answer);
  }
  /// From now on every lookup stands still, or every one of a name.
  void hold(const std::string& name = {}) {
    os::MutexLock lock(state_->mutex);
    state_->held = name;
  }
  /// Those that stand still go on doing so, later ones do not.
  void answer_new_ones() {
    os::MutexLock lock(state_->mutex);
    state_->held.reset();
  }
  void release() {
    os::MutexLock lock(state_->mutex);
    state_->held.reset();
    ++state_->releases;
    state_->changed.notify_all();
  }
  void wait_until_all_ended() {
    os::MutexLock lock(state_->mutex);
    while (state_->on_their_way > 0) state_->changed.wait(state_->mutex);
  }
  void wait_until_begun(const std::string& name, int count = 1) {
    os::MutexLock lock(state_->mutex);
    while (state_->begun[name] < count) state_->changed.wait(state_->mutex);
  }
  int begun(const std::string& name) const {
    os::MutexLock lock(state_->mutex);
    return state_->begun[name];
  }
  int begun_of_all() const {
    os::MutexLock lock(state_->mutex);
    int count = 0;
    for (const auto& [name, begun] : state_->begun) count += begun;
    return count;
  }

 private:
  struct State {
    Answer look_up(const std::string& name) {
      os::MutexLock lock(mutex);
      ++begun[name];
      ++on_their_way;
      changed.notify_all();
      const int releases_before = releases;
      const bool is_held = held && (held->empty() || *held == name);
      while (is_held && releases == releases_before) changed.wait(mutex);
      --on_their_way;
      changed.notify_all();
      return answer(name);
    }

    os::Mutex mutex;
    os::CondVar changed;
    std::function<Answer(const std::string& name)> answer TUSKV_GUARDED_BY(mutex) = [](const std::string&) {
      return std::vector<std::string>{"127.0.0.1"};
    };
    std::optional<std::string> held TUSKV_GUARDED_BY(mutex);
    int releases TUSKV_GUARDED_BY(mutex) = 0;
    int on_their_way TUSKV_GUARDED_BY(mutex) = 0;
    std::map<std::string, int> begun TUSKV_GUARDED_BY(mutex);
  };

  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace tuskv::test
