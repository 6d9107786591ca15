#include "postgres/resolver.h"

#include <algorithm>
#include <exception>
#include <map>
#include <optional>
#include <thread>
#include <utility>

#include "os/mutex.h"
#include "os/thread.h"

namespace tuskv::postgres {
namespace {

using Addresses = std::vector<std::string>;

Status failed_lookup(const std::string& name, const std::string& why) {
  return Status(Code::Connection, "the name " + name + " cannot be looked up: " + why);
}

Status late_lookup(const std::string& name) {
  return Status(Code::Timeout, "the lookup of the name " + name + " did not end in time");
}

Result<Addresses> answer_of(const os::NameLookup& look_up, const std::string& name) {
  try {
    Result<Addresses> found = look_up(name);
    if (!found.ok()) return failed_lookup(name, found.failure().message);
    if (found.value().empty()) return failed_lookup(name, "it has no address");
    return found;
  } catch (const std::exception& failure) {  // no memory
    return failed_lookup(name, failure.what());
  }
}

}  // namespace

/// A name that somebody wants; all of it guarded by the mutex of the resolver.
struct Resolver::Question {
  std::size_t lookups = 0;        ///< on their way
  os::Deadline next_lookup = {};  ///< when another may begin beside them
  std::optional<Result<Addresses>> answer = {};
};

struct Resolver::Shared {
  explicit Shared(ResolverOptions given) : options(std::move(given)) {}

  bool may_look_up(const Question& question) const TUSKV_REQUIRES(mutex) {
    return lookups < options.lookups_max && question.lookups < options.lookups_of_name_max &&
           os::time_left(question.next_lookup).count() == 0;
  }
  static Status begin(const std::shared_ptr<Shared>& shared, const std::string& name,
                      const std::shared_ptr<Question>& question) TUSKV_REQUIRES(shared->mutex);
  void run(const std::string& name, Question& question) TUSKV_EXCLUDES(mutex);

  const ResolverOptions options;
  os::Mutex mutex;
  os::CondVar changed;  ///< an answer has come, or there is room for another lookup
  bool closed TUSKV_GUARDED_BY(mutex) = false;
  std::size_t lookups TUSKV_GUARDED_BY(mutex) = 0;
  std::map<std::string, std::shared_ptr<Question>> unanswered TUSKV_GUARDED_BY(mutex);
};

Status Resolver::Shared::begin(const std::shared_ptr<Shared>& shared, const std::string& name,
                               const std::shared_ptr<Question>& question) {
  std::thread thread;
  const Status started =
      os::start_thread(thread, "looks it up", [shared, name, question] { shared->run(name, *question); });
  if (!started.ok()) return failed_lookup(name, started.failure().message);
  thread.detach();
  ++shared->lookups;
  ++question->lookups;
  question->next_lookup = os::deadline_in(shared->options.silence_ms);
  return {};
}

void Resolver::Shared::run(const std::string& name, Question& question) {
  Result<Addresses> answer = answer_of(options.look_up, name);
  os::MutexLock lock(mutex);
  --lookups;
  --question.lookups;
  if (!question.answer) {
    question.answer = std::move(answer);
    unanswered.erase(name);  // whoever comes now asks anew
  }
  changed.notify_all();
}

Resolver::Resolver(ResolverOptions options) : shared_(std::make_shared<Shared>(std::move(options))) {}

void Resolver::close() {
  os::MutexLock lock(shared_->mutex);
  shared_->closed = true;
  shared_->changed.notify_all();
}

Result<Addresses> Resolver::addresses_of(const std::string& name, os::Deadline deadline) {
  os::MutexLock lock(shared_->mutex);
  std::shared_ptr<Question>& asked = shared_->unanswered[name];
  if (!asked) asked = std::make_shared<Question>();
  const std::shared_ptr<Question> question = asked;
  while (!question->answer) {
    if (shared_->closed) return closed_status();
    if (os::time_left(deadline).count() == 0) return late_lookup(name);
    if (shared_->may_look_up(*question)) TUSKV_RETURN_IF_ERROR(Shared::begin(shared_, name, question));
    const bool is_silent = os::time_left(question->next_lookup).count() == 0;
    shared_->changed.wait_until(shared_->mutex, is_silent ? deadline : std::min(deadline, question->next_lookup));
  }
  const Result<Addresses>& answer = *question->answer;
  if (!answer.ok()) return answer.status();
  return answer.value();
}

}  // namespace tuskv::postgres
