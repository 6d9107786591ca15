// From words to a verb ready to run. The same words mean the same on the command line and in the shell.
//
// Keys and values are data: any word that does not start with a dash, a negative number, and every word behind `--` is
// taken as it is. (The parsing library gives meaning of its own to words such as `++`, `{}` and `[a,b]`; arguments.cc
// keeps those from it.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/exit_code.h"
#include "cli/session.h"
#include "tuskv/time.h"

namespace CLI {  // NOLINT(readability-identifier-naming): not ours
class App;
}

namespace tuskv::cli {

class Output;

/// What may stand before or after any verb.
struct Settings {
  std::string store = "file:./tuskv-data";
  std::optional<std::string> name_space = {};
  std::optional<Duration> timeout = {};
  bool json = false;
  bool raw = false;
  /// Whether the words name a namespace themselves, and not only the shell around them.
  bool names_namespace = false;
  /// How many words stood behind `--`: the last ones.
  std::size_t words_behind_dashes = 0;
};

/// A line of the shell works on the shell's store: it takes no --store and no --timeout, and there is no `shell` in it.
enum class Place { command_line, shell };

/// Who wrote the words: a caller of the program, a script that the shell reads, or a person at the shell's prompt.
enum class Caller { program, script, person };

/// One run of one verb.
struct Call {
  Session& session;
  const Settings& settings;
  Output& output;
  Caller caller = Caller::program;

  /// The store, seen through --namespace.
  Store store(Access access) const;
  /// For verbs that have nothing to do with one namespace: UsageError when the call names one.
  void refuse_namespace() const;
  Store whole_store(Access access) const;
  /// UsageError inside the shell, which reads its own lines from there.
  void require_standard_input() const;
  /// The answer of a verb that only does something: silence and the exit code, {"done": …}, or OK for a person.
  ExitCode answer(bool done) const;
};

using Action = std::function<ExitCode(Call&)>;

/// Declares the arguments of one verb. Targets must live as long as the action, which owns them.
class Arguments final {
 public:
  explicit Arguments(CLI::App& verb) : verb_(verb) {}

  void word(const char* name, std::string& target, const char* help);
  void word(const char* name, std::optional<std::string>& target, const char* help);
  /// The rest of the words.
  void words(const char* name, std::vector<std::string>& target, const char* help);

  void flag(const char* names, bool& target, const char* help);
  void text(const char* names, std::string& target, const char* form, const char* help);
  /// Text that cannot be empty: an unset variable of a script must not mean the default.
  void name(const char* names, std::string& target, const char* form, const char* help);
  void name(const char* names, std::optional<std::string>& target, const char* form, const char* help);
  void text(const char* names, std::optional<std::string>& target, const char* form, const char* help);
  void number(const char* names, std::optional<std::uint64_t>& target, std::uint64_t min, std::uint64_t max,
              const char* help);
  void number(const char* names, std::uint64_t& target, std::uint64_t min, std::uint64_t max, const char* help);
  void duration(const char* names, std::optional<Duration>& target, const char* help);
  void instant(const char* names, std::optional<Instant>& target, const char* help);
  /// At most one of these options may be given.
  void exclusive(std::initializer_list<const char*> names);

 private:
  CLI::App& verb_;
};

using AddVerb = Action (*)(Arguments&);

struct Invocation {
  /// Shared with the action, whose arguments were parsed into it.
  std::shared_ptr<const Settings> settings = {};
  Action action = {};
};

/// UsageError when the words make no verb. A wish for help is a verb like any other.
Invocation parse(const std::vector<std::string>& words, const Settings& defaults, Place place);

/// Runs it and reports its failure, behind `place`; returns the exit code. Output is flushed.
int run(const Invocation& invocation, Session& session, Output& output, Caller caller, std::string_view place = {});

/// Every verb, in the order of the help.
std::vector<std::string_view> verb_names();

/// Whole number in decimal without a sign or blanks.
std::optional<std::uint64_t> parse_number(std::string_view text);

}  // namespace tuskv::cli
