// A program to be killed, and to be started again to look at what is left.
//
//   kill_driver steps DIRECTORY LEDGER MIX LEVEL SEED LIMIT [short]
//     Opens the store; what it shows must be what the ledger allows. Performs up to LIMIT more steps of the workload,
//     closes the store, and lets a check of all its files find no damage. With `short` every write takes two calls.
//   kill_driver resume DIRECTORY LEDGER MIX LEVEL SEED LIMIT [short]
//     The same, but after the steps it closes the store and opens it once more, which compares again.
//   kill_driver threads DIRECTORY LEDGER LEVEL TRANSFERS
//     The same with four threads that write at full speed (threads.h); with 0 transfers it only looks.
//
// Exits with 0; 1 when the store has broken a promise; 3 when it has refused to open or to close, which a disk that
// fails may cause.
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "crash/history.h"
#include "crash/workload.h"
#include "kill/short_writes.h"
#include "kill/step_ledger.h"
#include "kill/store_client.h"
#include "kill/threads.h"
#include "os/file_system.h"
#include "support/manual_clock.h"
#include "tuskv/maintenance.h"

namespace tuskv::test {
namespace {

constexpr int kRefused = 3;

std::uint64_t number_in(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) throw std::invalid_argument(std::string(text));
  return number;
}

Durability level_in(std::string_view text) {
  for (const Durability level : {Durability::durable, Durability::relaxed, Durability::unlogged}) {
    if (level_name(level) == text) return level;
  }
  throw std::invalid_argument(std::string(text));
}

/// The store has refused to open or to close. A disk that fails may cause that, damage may not.
class Refusal final : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

bool is_of_the_disk(const Error& error) { return error.code() == Code::Io || error.code() == Code::NoSpace; }

enum class AtTheEnd { close, look_again };

class StepProgram final {
 public:
  StepProgram(const std::string& directory, StepLedger& ledger, const Mix& mix, Durability first_level)
      : mix_(mix),
        ledger_(ledger),
        first_level_(first_level),
        files_(os::make_posix_file_system()),
        place_({.directory = directory, .file_system = files_.get(), .clock = &clock_}) {}

  void run(std::uint64_t limit, AtTheEnd at_the_end) {
    account_.emplace(ledger_.account(first_level_));
    clock_.set_us(account_->now_us);
    open(account_->durability);
    const std::size_t first = ledger_.position();
    for (std::size_t i = first; i < ledger_.steps().size() && i - first < limit; ++i) perform_step(i);
    if (at_the_end == AtTheEnd::look_again) reopen(level_);
    if (!close()) throw Refusal("the last close failed");
    find_no_damage();
  }

  /// A sync has failed, and the store has said that it takes no more writes.
  bool was_poisoned() const { return was_poisoned_; }
  /// A call has failed.
  bool failed() const { return failed_; }

 private:
  void open(Durability level) {
    try {
      store_.emplace(open_store_for(mix_, level, place_));
    } catch (const Error& error) {
      if (!is_of_the_disk(error)) throw;
      throw Refusal(error.what());
    }
    poisoned_ = false;
    level_ = level;
    const ModelEntries found = read_everything(*store_);
    std::uint64_t sum = 0;
    for (const auto& [key, entry] : found) sum += digest(key, entry);
    const History& history = account_->history;
    const Prefixes allowed{.shortest = history.least_kept(false), .longest = history.started()};
    const std::optional<std::size_t> shown = history.find(allowed, sum, clock_.now_us());
    if (!shown) throw std::runtime_error(history.explain(allowed, found, clock_.now_us()));
    ledger_.adopt(*account_, *shown);
  }

  /// False when the store has said that not all is well.
  bool close() {
    try {
      store_->close();
    } catch (const Error& error) {
      if (!is_of_the_disk(error)) throw;
      std::fprintf(stderr, "close: %s\n", error.what());
      failed_ = true;
      store_.reset();
      return false;
    }
    store_.reset();
    return true;
  }

  void perform_step(std::size_t i) {
    const Step& step = ledger_.steps()[i];
    ledger_.set(i, StepLedger::State::started);
    if (step.kind == Step::Kind::advance) {
      clock_.advance_ms(step.number);
    } else if (step.kind == Step::Kind::reopen) {
      reopen(static_cast<Durability>(step.number));
    } else if (!perform_call(i)) {
      return;
    }
    ledger_.set(i, StepLedger::State::done);
  }

  void reopen(Durability level) {
    const bool closed = close();
    account_.emplace(ledger_.account(first_level_));
    if (closed) account_->history.secure(account_->history.acknowledged());
    open(level);
  }

  /// False when it has had no effect, or when the store has refused and said so.
  bool perform_call(std::size_t i) {
    const Step& step = ledger_.steps()[i];
    try {
      // What finds nothing to change is no write: its success says nothing about one of unknown outcome before it.
      if (!perform(*store_, step)) {
        ledger_.set(i, StepLedger::State::refused);
        return false;
      }
    } catch (const Error& error) {
      note_failure(i, error);
      return false;
    }
    if (poisoned_ && must_log(step)) throw std::runtime_error(to_string(step) + " succeeded after a failed sync");
    return true;
  }

  /// Without a log, writes go on in memory; it is the next snapshot that fails.
  bool must_log(const Step& step) const {
    if (level_ == Durability::unlogged) return false;
    return step.kind == Step::Kind::set || step.kind == Step::Kind::batch || step.kind == Step::Kind::add ||
           step.kind == Step::Kind::transfer;
  }

  void note_failure(std::size_t i, const Error& error) {
    std::fprintf(stderr, "%s: %s, %s: %s\n", to_string(ledger_.steps()[i]).c_str(),
                 std::string(to_string(error.code())).c_str(), std::string(to_string(error.outcome())).c_str(),
                 error.what());
    if (!is_of_the_disk(error)) throw error;
    if (error.outcome() == Outcome::applied) throw std::runtime_error("it failed, and was applied");
    // A poisoned log takes nothing more: what is unknown then is only whether an answer may be believed.
    const bool unknown = error.outcome() == Outcome::unknown && !poisoned_;
    ledger_.set(i, unknown ? StepLedger::State::unknown : StepLedger::State::refused);
    failed_ = true;
    if (std::strstr(error.what(), "a sync of the log failed") != nullptr) poisoned_ = was_poisoned_ = true;
  }

  void find_no_damage() const {
    CheckReport report;
    try {
      report = check(place_.directory);
    } catch (const Error& error) {
      if (!is_of_the_disk(error)) throw;
      throw Refusal(error.what());
    }
    if (report.damage.empty()) return;
    const Damage& first = report.damage.front();
    throw std::runtime_error("a check finds damage: " + first.file + " at " + std::to_string(first.offset) + ": " +
                             first.what);
  }

  const Mix& mix_;
  StepLedger& ledger_;
  const Durability first_level_;
  const std::unique_ptr<os::FileSystem> files_;
  ManualClock clock_;
  const StorePlace place_;
  std::optional<StepLedger::Account> account_;
  Durability level_ = Durability::durable;  ///< of this opening
  bool poisoned_ = false;
  bool was_poisoned_ = false;
  bool failed_ = false;
  std::optional<Store> store_;
};

void run_steps(std::span<char* const> words, AtTheEnd at_the_end) {
  const bool is_short = words.size() == 7 && std::string_view(words[6]) == "short";
  if (words.size() != 6 && !is_short) {
    throw std::invalid_argument("steps DIRECTORY LEDGER MIX LEVEL SEED LIMIT [short]");
  }
  if (is_short) make_writes_short();
  const std::vector<Mix> mixes = all_mixes();
  const Mix& mix = mix_named(mixes, words[2]);
  const Durability level = level_in(words[3]);
  StepLedger ledger(words[1], make_workload(mix, level, number_in(words[4])));
  StepProgram program(words[0], ledger, mix, level);
  std::exception_ptr ended;
  try {
    program.run(number_in(words[5]), at_the_end);
  } catch (const Refusal&) {
    ended = std::current_exception();
  }
  std::printf("%zu done, %zu refused, %zu unknown, %zu lost, %zu short writes%s%s\n",
              ledger.count(StepLedger::State::done), ledger.count(StepLedger::State::refused),
              ledger.count(StepLedger::State::unknown), ledger.count(StepLedger::State::lost), short_writes(),
              program.failed() ? ", failed" : "", program.was_poisoned() ? ", poisoned" : "");
  if (ended) std::rethrow_exception(ended);
}

int run(std::span<char* const> words) {
  const std::string_view verb = words.size() < 2 ? "" : words[1];
  try {
    if (verb == "steps") {
      run_steps(words.subspan(2), AtTheEnd::close);
    } else if (verb == "resume") {
      run_steps(words.subspan(2), AtTheEnd::look_again);
    } else if (verb == "threads" && words.size() == 6) {
      write_until_killed({.directory = words[2], .ledger = words[3], .level = level_in(words[4])}, number_in(words[5]));
    } else {
      throw std::invalid_argument("steps …, resume … or threads DIRECTORY LEDGER LEVEL TRANSFERS");
    }
  } catch (const Refusal& refusal) {
    std::fprintf(stderr, "refused: %s\n", refusal.what());
    return kRefused;
  } catch (const std::exception& broken) {
    std::fprintf(stderr, "BROKEN: %s\n", broken.what());
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace tuskv::test

int main(int argument_count, char** arguments) {
  return tuskv::test::run(std::span(arguments, static_cast<std::size_t>(argument_count)));
}
