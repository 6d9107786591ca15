// lock run: a program runs while a lock is held. (At the end: lock holder and lock release, to look at one and end it.)
//
// The program is a child in our process group, with our descriptors and TUSKV_LOCK_TOKEN, the fencing token, in its
// environment, and the directory we have open, for a tuskv in it that would wait for it in vain. Signals sent to us are
// sent on to it; those of a terminal reach it by themselves. (One that was sent to the whole group by somebody else it
// gets twice: nothing tells us.) The lock is renewed until it ends. If the lock is lost first, because we stood still
// for longer than the TTL or the store could not be reached, the program is told to end (SIGTERM, and SIGKILL if it has
// not within kLostLockGraceS) and our exit code is that of a conflict. If we are killed, the program goes on without
// the lock once its TTL is over: the token is what protects against that.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>

#include <nlohmann/json.hpp>

#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/limits.h"
#include "cli/output.h"
#include "cli/time_text.h"
#include "cli/verbs.h"

namespace tuskv::cli {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct LockArguments {
  std::string action;
  std::string key;
  std::vector<std::string> command;
  std::optional<Duration> ttl;
  std::optional<Duration> wait;
};

/// Signals are taken when we ask for them and not by handlers. Made before the store is opened: its threads inherit
/// this, and a signal to the process must find no thread that takes it. A SIGHUP that is ignored, as below nohup,
/// stays so.
class HeldSignals final {
 public:
  HeldSignals() {
    ::signal(SIGCHLD, SIG_DFL);  // ignored, it would leave nothing to wait for
    sigemptyset(&held_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD}) {
      if (!is_ignored(signal)) sigaddset(&held_, signal);
    }
    ::pthread_sigmask(SIG_BLOCK, &held_, &before_);
  }
  ~HeldSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

  const sigset_t& before() const noexcept { return before_; }
  /// The next signal, or nothing when none comes within `wait`.
  std::optional<siginfo_t> next(milliseconds wait) const {
    const timespec time = {.tv_sec = wait.count() / 1000, .tv_nsec = wait.count() % 1000 * 1'000'000};
    siginfo_t info = {};
    if (::sigtimedwait(&held_, &info, &time) < 0) return std::nullopt;
    return info;
  }

 private:
  sigset_t held_ = {};
  sigset_t before_ = {};
};

ExitCode ended_by(int signal) { return static_cast<ExitCode>(128 + signal); }

/// Who we are to those who are refused; no two runs are the same, also when the process id is used again.
std::string owner_name() {
  char host[65] = {};
  ::gethostname(host, sizeof(host) - 1);
  std::random_device random;
  return std::string(host) + ":" + std::to_string(::getpid()) + ":" + std::to_string(random());
}

Lock acquire(const Store& store, const LockArguments& options, const HeldSignals& signals) {
  constexpr milliseconds kPause{50};
  const std::string owner = owner_name();
  const milliseconds wait(options.wait.value_or(std::chrono::seconds(5)).milliseconds());
  const auto end = Clock::now() + wait;
  while (true) {
    try {
      return store.lock(
          options.key,
          {.ttl = options.ttl.value_or(std::chrono::seconds(30)), .wait = milliseconds(0), .owner = owner});
    } catch (const Error& error) {
      if (error.code() != Code::Timeout || error.outcome() != Outcome::not_applied) throw;
      const auto left = std::chrono::duration_cast<milliseconds>(end - Clock::now());
      if (left.count() <= 0) {
        const auto holder = store.lock_holder(options.key);
        if (!holder) throw;
        throw Error(Code::Timeout, Outcome::not_applied,
                    "the lock \"" + options.key + "\" was not free within " + std::to_string(wait.count()) + " ms: \"" +
                        holder->owner + "\" holds it");
      }
      const auto signal = signals.next(std::min(kPause, left));
      if (!signal || signal->si_signo == SIGCHLD) continue;
      note_interrupt(signal->si_signo);
      stop_when_interrupted();
    }
  }
}

/// The environment but for the keys of an encrypted store, which are not the program's. Ends with a null.
std::vector<char*> inherited_variables() {
  std::vector<char*> variables;
  for (char** variable = ::environ; *variable != nullptr; ++variable) {
    if (!std::string_view(*variable).starts_with("TUSKV_KEYS=")) variables.push_back(*variable);
  }
  variables.push_back(nullptr);
  return variables;
}

class ChildProgram final {
 public:
  /// `mask`: the signals it begins with blocked.
  ChildProgram(const std::vector<std::string>& command, const sigset_t& mask) {
    std::vector<char*> words;
    words.reserve(command.size() + 1);
    for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    sigset_t ours;  // what main() ignores would stay ignored
    sigemptyset(&ours);
    sigaddset(&ours, SIGPIPE);
    sigaddset(&ours, SIGXFSZ);
    ::posix_spawnattr_setsigdefault(&attributes, &ours);
    ::posix_spawnattr_setsigmask(&attributes, &mask);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    std::vector<char*> variables = inherited_variables();
    error_ = ::posix_spawnp(&process_, words.front(), nullptr, &attributes, words.data(), variables.data());
    ::posix_spawnattr_destroy(&attributes);
  }

  /// 0, or why it could not be started.
  int error() const noexcept { return error_; }
  void send(int signal) const { ::kill(process_, signal); }
  /// Its exit code once it has ended.
  std::optional<ExitCode> ended() const {
    int status = 0;
    if (::waitpid(process_, &status, WNOHANG) != process_) return std::nullopt;
    return WIFSIGNALED(status) ? ended_by(WTERMSIG(status)) : static_cast<ExitCode>(WEXITSTATUS(status));
  }

 private:
  pid_t process_ = -1;
  int error_ = 0;
};

/// Waits for the end of the program; false when the lock was lost first.
bool hold_until_it_ends(const Lock& lock, const ChildProgram& program, const HeldSignals& signals, ExitCode& code) {
  constexpr milliseconds kLook{100};
  std::optional<Clock::time_point> kill_at;
  int taken = 0;
  while (true) {
    if (const auto ended = program.ended()) {
      code = *ended;
      // What ended it ends us as well: a script around us stops.
      if (taken != 0 && code == ended_by(taken)) note_interrupt(taken);
      return !kill_at;
    }
    if (!kill_at && !lock.held()) {
      complain("the lock is lost: ending the command");
      program.send(SIGTERM);
      kill_at = Clock::now() + std::chrono::seconds(kLostLockGraceS);
    }
    if (kill_at && Clock::now() >= *kill_at) program.send(SIGKILL);
    const auto signal = signals.next(kLook);
    if (!signal || signal->si_signo == SIGCHLD) continue;
    taken = signal->si_signo;
    // The kernel sends a terminal's signals to the whole group, which the program is in. Of others nothing tells
    // whether they were sent to the group.
    if (signal->si_code != SI_KERNEL) program.send(taken);
  }
}

/// Before the lock is destroyed, which would wait for a store that does not answer once more. What goes wrong with it
/// is no news about the command.
void close_quietly(Session& session) {
  try {
    session.close();
  } catch (const Error& error) {
    complain("warning: " + std::string(error.what()));
  }
}

/// Unlocks. Whether the lock was held until now: by the word of the store or, when that cannot be reached, by what we
/// know ourselves, which errs on the safe side.
bool give_back(Lock& lock, Session& session) {
  const bool held = lock.held();
  try {
    return lock.unlock();
  } catch (const Error& error) {
    complain("warning: the lock is not given back and ends with its TTL: " + std::string(error.what()));
    close_quietly(session);
    return held && error.code() != Code::StoreReset;
  }
}

ExitCode run_locked(Call& call, const LockArguments& options) {
  if (options.wait && options.wait->milliseconds() > kLockWaitMsMax) throw UsageError("--wait takes up to 1 day");
  if (call.caller != Caller::program) throw UsageError("lock run starts a program: call it outside the shell");
  if (options.command.size() > call.settings.words_behind_dashes) {
    throw UsageError("lock run: write -- before the command, so that its options stay its own");
  }
  const HeldSignals signals;
  stop_when_interrupted();  // by one that came before
  Lock lock = acquire(call.store(Access::write), options, signals);
  ::setenv("TUSKV_LOCK_TOKEN", std::to_string(lock.token()).c_str(), 1);
  if (call.session.has_directory()) {
    ::setenv(kLockedDirectory, canonical_directory(call.session.directory()).c_str(), 1);
  }
  const ChildProgram program(options.command, signals.before());
  if (program.error() != 0) {
    give_back(lock, call.session);
    complain("cannot run " + options.command.front() + ": " + std::strerror(program.error()));
    return static_cast<ExitCode>(program.error() == ENOENT ? 127 : 126);  // as shells say it
  }
  ExitCode code = ExitCode::internal;
  if (!hold_until_it_ends(lock, program, signals, code)) {
    close_quietly(call.session);  // there is nothing left to give back
    return ExitCode::conflict;
  }
  if (give_back(lock, call.session)) return code;
  complain("the lock was lost before the command ended");
  return ExitCode::conflict;
}

ExitCode print_holder(Call& call, const std::string& key) {
  const auto holder = call.store(Access::read).lock_holder(key);
  if (call.settings.json) {
    Json document = {{"key", json_of_bytes(key)}, {"owner", nullptr}};
    if (holder) {
      document["owner"] = json_of_bytes(holder->owner);
      document["token"] = holder->token;
      document["expires_at_ms"] = unix_ms(holder->expires_at);
    }
    call.output.json(document);
  } else if (holder) {
    call.output.value(holder->owner, false);
    call.output.text("\t");
    call.output.line(std::to_string(holder->token) + "\t" + to_text(holder->expires_at));
  }
  return holder ? ExitCode::done : ExitCode::no;
}

/// The token is asked for so that nobody ends the lock of the one who came next.
ExitCode release(Call& call, const std::string& key, const std::string& word) {
  const auto token = parse_number(word);
  if (!token) throw UsageError("TOKEN is a number, as lock holder prints it, not \"" + word + "\"");
  const Store store = call.store(Access::write);
  const auto holder = store.lock_holder(key);
  if (!holder || holder->token != *token) return call.answer(false);
  return call.answer(store.unlock(Lease{.name = key, .owner = holder->owner, .token = *token}));
}

ExitCode act(Call& call, const LockArguments& options) {
  const bool runs = options.action == "run";
  if ((options.ttl || options.wait) && !runs) throw UsageError("--ttl and --wait are for lock run");
  if (runs && !options.command.empty()) return run_locked(call, options);
  if (options.action == "holder" && options.command.empty()) return print_holder(call, options.key);
  if (options.action == "release" && options.command.size() == 1) {
    return release(call, options.key, options.command.front());
  }
  throw UsageError("lock takes run KEY -- COMMAND, holder KEY or release KEY TOKEN");
}

}  // namespace

Action add_lock(Arguments& arguments) {
  const auto options = std::make_shared<LockArguments>();
  arguments.word(
      "ACTION", options->action,
      "run (runs COMMAND while the lock is held), holder (prints who holds it, its token and when it ends if "
      "it is not renewed; exit code 1 if nobody) or release (ends it, such as one whose holder was killed; "
      "exit code 1 if it is not held with TOKEN)");
  arguments.word("KEY", options->key, "The lock");
  arguments.words(
      "COMMAND", options->command,
      "What to run while it is held, behind --; its exit code is passed on. Exit code 4 if the lock was not "
      "free in time, 7 if it was lost before the command ended, which then gets SIGTERM, and SIGKILL after 10 s. "
      "Signals are sent on to it: one that was sent to the whole process group, but by a terminal, it gets twice");
  arguments.duration(
      "--ttl", options->ttl,
      "TTL of the lock, renewed while COMMAND runs; if tuskv is killed, the lock ends this long after (default 30s)");
  arguments.duration("--wait", options->wait, "Wait so long for the lock (default 5s)");
  return [options](Call& call) { return act(call, *options); };
}

}  // namespace tuskv::cli
