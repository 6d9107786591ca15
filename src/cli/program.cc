// The table of verbs, and the way from words to the one that was asked for.
#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/arguments.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/shield.h"
#include "cli/unexpected.h"
#include "cli/verbs.h"
#include "tuskv/maintenance.h"

namespace tuskv::cli {

namespace {

struct Verb {
  const char* name;
  const char* group;
  const char* summary;
  AddVerb add;
  const char* words = nullptr;  ///< what follows it, where that cannot be told from the arguments one by one
};

constexpr const char* kEntries = "Entries";
constexpr const char* kMany = "Many entries";
constexpr const char* kCoordinate = "Coordination";
constexpr const char* kStore = "The store";
constexpr const char* kOther = "Other";

constexpr std::array kVerbs = {
    Verb{"get", kEntries, "Print the value of a key. Exit code 1 if it is missing", add_get},
    Verb{"set", kEntries, "Set a key to a value", add_set},
    Verb{"del", kEntries, "Remove keys, and print how many there were", add_del,
         "KEY... | --prefix P | --from K --to K | --all --yes"},
    Verb{"exists", kEntries, "Print how many of the keys exist", add_exists, "KEY..."},
    Verb{"incr", kEntries, "Add to a counter, and print the sum", add_incr},
    Verb{"decr", kEntries, "Subtract from a counter, and print the difference", add_decr},
    Verb{"getset", kEntries, "Set a key, and print the value it had: nothing if it was missing", add_getset},
    Verb{"cas", kEntries, "Set a key if it has the expected value; otherwise exit code 1", add_cas,
         "KEY OLD NEW | --absent KEY NEW"},
    Verb{"ttl", kEntries, "Print the seconds a key will live, -1 without expiry, -2 when missing", add_ttl},
    Verb{"expire", kEntries, "Let a key live for a time from now. Exit code 1 if it is missing", add_expire,
         "KEY DURATION | KEY --at TIME"},
    Verb{"persist", kEntries, "Remove the expiry of a key", add_persist},
    Verb{"mget", kMany, "Print the values of several keys, a line each", add_mget, "KEY..."},
    Verb{"mset", kMany, "Set several keys at once", add_mset, "KEY VALUE [KEY VALUE]..."},
    Verb{"scan", kMany, "Print entries in key order: key, tab, value (for people: export or --json keep every byte)",
         add_scan},
    Verb{"count", kMany, "Print the number of keys", add_count},
    Verb{"search", kMany, "Print the entries whose values hold something", add_search},
    Verb{"find", kMany, "Print the entries of a collection whose JSON field has a value", add_find},
    Verb{"import", kMany, "Read entries from a file or standard input", add_import},
    Verb{"export", kMany, "Write entries as NDJSON", add_export},
    Verb{"copy", kMany, "Copy all entries from one store to another", add_copy},
    Verb{"lock", kCoordinate, "Run a program while a lock is held, or look at a lock, or end it", add_lock,
         "run KEY [--ttl D] [--wait D] -- COMMAND | holder KEY | release KEY TOKEN"},
    Verb{"rate", kCoordinate, "Count a hit; print what remains, tab, milliseconds until the window ends", add_rate,
         "KEY --limit N --window D [--cost N] | KEY --limit N --peek | KEY --reset"},
    Verb{"claim", kCoordinate, "Claim names, each for one owner", add_claim,
         "take NAME OWNER [--ttl D] | release NAME OWNER | owner NAME | move NAME FROM TO | list OWNER"},
    Verb{"index", kStore, "Make, drop or list the indexes that find uses", add_index, "add FIELD | drop FIELD | list"},
    Verb{"namespaces", kStore, "Print the names of the namespaces that hold entries", add_namespaces},
    Verb{"stats", kStore, "Print what the store holds", add_stats},
    Verb{"sweep", kStore, "Remove expired entries now", add_sweep},
    Verb{"snapshots", kStore, "List, take, prune or restore snapshots", add_snapshots,
         "[list] | take | prune N | restore ORDINAL"},
    Verb{"reencrypt", kStore, "Rewrite every value that is not encrypted with the first key", add_reencrypt},
    Verb{"doctor", kStore, "Look at what the store stands on. Exit code 1 when there is a warning", add_doctor},
    Verb{"check", kStore, "Read the whole directory of a store and report damage", add_check},
    Verb{"repair", kStore,
         "Make a damaged directory open again. Exit code 0 also when something had to be given up: it prints how many "
         "entries and records were dropped",
         add_repair},
    Verb{"shell", kOther, "Read verbs from the terminal or from standard input, on one open store", add_shell},
    Verb{"bench", kOther, "Measure the store with a simple load", add_bench},
};

constexpr const char* kWordsHelp =
    "Options may stand before or after the verb. A word behind -- is data even if it starts with a dash.\n"
    "Durations: 500ms, 30s, 5m, 2h, 7d; a number alone is seconds.\n"
    "With --json, scan, search, find, export, claim list and bench print a document a line; mget, doctor, "
    "namespaces,\n"
    "snapshots and index list print one array, and the other verbs one document.\n";

constexpr const char* kShellHelp =
    "A verb a line, with its options but --store and --timeout; exit or quit ends it. '...' is taken as it is; in\n"
    "\"...\" \\n, \\t, \\xHH, \\\" and \\\\ stand for bytes. A line that begins with # is a comment.\n"
    "At a terminal, lines are remembered in ~/.tuskv_history, but for those that carry values (set, cas and others)\n"
    "or a password. A script goes on after an error, and its exit code is that of the first one; 1, such as of get\n"
    "for a missing key, is no error.\n";

std::string footer() {
  std::string text = kWordsHelp;
  text +=
      "\nA store is memory:, file:DIRECTORY or postgresql://USER@HOST/DATABASE, with options behind a question mark, "
      "joined\n"
      "by &:\n";
  for (const OptionHelp& option : option_help()) {
    text += "  " + option.name + "=" + option.default_value + "\n      " + option.help + " " + option.form + ".\n";
  }
  return text +
         "\nKeys of an encrypted store stand in a file (encryption_key_file, or TUSKV_KEY_FILE for every store of the "
         "run)\nor in TUSKV_KEYS: a line ID:KEY each, 64 hexadecimal digits or base64, the first one for new values. A "
         "store whose\nURL says encryption_key_file=none is not encrypted, whatever the environment says.\n\n" +
         std::string(exit_code_help());
}

void add_settings(CLI::App& app, Settings& settings, Place place) {
  Arguments arguments(app);
  if (place == Place::command_line) {
    arguments.name("--store", settings.store, "URL",
                   "The store to work on (default $TUSKV_STORE or file:./tuskv-data)");
    arguments.duration(
        "--timeout", settings.timeout,
        "Deadline of every call, and how long to wait for a directory that another process has open (default 5s)");
  }
  arguments.text("--namespace", settings.name_space, "NAME", "Work on the keys of this namespace");
  arguments.flag("--json", settings.json, "Print JSON; bytes that are not UTF-8 as {\"base64\": \"...\"}");
  arguments.flag("--raw", settings.raw, "Print control characters on a terminal too");
}

/// Help as the library writes it, with our line of usage.
class Help final : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* app, std::string name) const override {
    for (const Verb& verb : kVerbs) {
      if (verb.words == nullptr || app->get_name() != verb.name) continue;
      return get_label("Usage") + ": " + name + " [OPTIONS] " + verb.words + "\n";
    }
    return Formatter::make_usage(app, std::move(name));
  }
};

/// What the library says of a wrong option, as we would.
std::string in_our_words(const std::string& message) {
  constexpr std::string_view kMissing = ": 1 required ";
  constexpr std::string_view kMissingEnd = " missing";
  constexpr std::string_view kTwice = ": At Most 1 required but received ";
  constexpr std::string_view kFlag = "Could not convert: ";
  if (message.starts_with(kFlag)) {
    return message.substr(kFlag.size(), message.find(' ', kFlag.size()) - kFlag.size()) + " takes no value";
  }
  if (const std::size_t end = message.find(kTwice); end != std::string::npos) {
    return message.substr(0, end) + " is given more than once";
  }
  const std::size_t end = message.find(kMissing);
  if (end == std::string::npos || !message.ends_with(kMissingEnd)) return message;
  const std::size_t begin = end + kMissing.size();
  const std::string form = message.substr(begin, message.size() - kMissingEnd.size() - begin);
  return message.substr(0, end) + " needs a " + (form.size() == 1 ? "value" : form);
}

/// All verbs with their arguments, and the action of each.
class Program final {
 public:
  Program(Settings& settings, Place place, const std::vector<std::string>& words)
      : app_("A key-value store in a directory, in memory or on PostgreSQL", place == Place::shell ? "" : "tuskv") {
    app_.require_subcommand(0, 1);
    app_.formatter(std::make_shared<Help>());
    app_.get_formatter()->column_width(26);
    app_.get_formatter()->label("SUBCOMMAND", "VERB");
    if (place == Place::shell) {
      app_.footer(std::string(kWordsHelp) + "\n" + kShellHelp);
    } else {
      app_.footer(footer);
    }
    app_.add_flag("--version", version_, "Print the version");
    add_settings(app_, settings, place);
    add_verbs(place, words);
    CLI::App* help = app_.add_subcommand("help", "Explain a verb")->group(kOther)->fallthrough();
    Arguments(*help).words("VERB", help_topic_, "The verb; actions of it (lock run) may follow");
    help_ = help;
    version_verb_ = app_.add_subcommand("version", "Print the version")->group(kOther)->fallthrough();
  }

  Action parse(const std::vector<std::string>& words) {
    std::vector<std::string> reversed = shielded(words);
    std::reverse(reversed.begin(), reversed.end());  // as the library wants it
    try {
      app_.parse(std::move(reversed));
    } catch (const CLI::CallForHelp&) {
      return print(parsed_verb() == nullptr ? program_help() : help_of(*parsed_verb()));
    } catch (const CLI::ExtrasError&) {
      throw UsageError(unexpected(app_.remaining(true), app_, parsed_verb()));
    } catch (const CLI::ParseError& error) {
      const CLI::App* const verb = parsed_verb();
      // What is no option may be the word that is missing.
      const std::vector<std::string> rest = app_.remaining(true);
      const bool is_missing = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError);
      if (is_missing && !rest.empty()) throw UsageError(unexpected(rest, app_, verb));
      throw UsageError((verb == nullptr ? "" : verb->get_name() + ": ") + in_our_words(error.what()));
    }
    return action();
  }

 private:
  void add_verbs(Place place, const std::vector<std::string>& words) {
    // Declaring all verbs takes longer than running one; a line of the shell begins with the one it wants.
    const auto wanted = std::find_if(kVerbs.begin(), kVerbs.end(), [&](const Verb& verb) {
      return place == Place::shell && !words.empty() && words.front() == verb.name;
    });
    for (const Verb& verb : kVerbs) {
      if (place == Place::shell && verb.add == add_shell) continue;
      if (wanted != kVerbs.end() && wanted->name != verb.name) continue;
      CLI::App* app = app_.add_subcommand(verb.name, verb.summary)->group(verb.group)->fallthrough();
      app->footer(verb.add == add_shell ? kShellHelp : "");
      Arguments arguments(*app);
      actions_.emplace_back(app, verb.add(arguments));
    }
  }

  CLI::App* parsed_verb() {
    const auto parsed = app_.get_subcommands();
    return parsed.empty() ? nullptr : parsed.front();
  }

  std::string program_help() {
    // App::help() would be that of the verb that was parsed.
    return app_.get_formatter()->make_help(&app_, app_.get_name(), CLI::AppFormatMode::Normal);
  }

  std::string help_of(CLI::App& verb) {
    std::string text = verb.help(app_.get_name());
    if (!app_.get_name().empty())
      text += "Options of every verb: --store --timeout --namespace --json --raw (tuskv --help)\n";
    return text;
  }

  Action action() {
    CLI::App* const verb = parsed_verb();
    if (version_ || (verb != nullptr && verb == version_verb_)) return print_version;
    if (verb == nullptr) throw UsageError("a verb is missing; see tuskv --help");
    if (verb == help_) return help_action();
    const auto found = std::find_if(actions_.begin(), actions_.end(), [&](auto& each) { return each.first == verb; });
    return found->second;
  }

  Action help_action() {
    if (help_topic_.empty()) return print(program_help());
    for (auto& [verb, action] : actions_) {
      if (verb->get_name() == help_topic_.front()) return print(help_of(*verb));
    }
    throw UsageError(no_such_verb(help_topic_.front(), app_));
  }

  static Action print(std::string text) {
    while (text.ends_with("\n\n")) text.pop_back();
    return [text = std::move(text)](Call& call) {
      call.output.text(text);
      return ExitCode::done;
    };
  }

  static ExitCode print_version(Call& call) {
    if (call.settings.json) {
      call.output.json({{"version", TUSKV_VERSION}});
    } else {
      call.output.line("tuskv " TUSKV_VERSION);
    }
    return ExitCode::done;
  }

  CLI::App app_;
  std::vector<std::pair<CLI::App*, Action>> actions_;
  CLI::App* help_ = nullptr;
  CLI::App* version_verb_ = nullptr;
  std::vector<std::string> help_topic_;
  bool version_ = false;
};

}  // namespace

Store Call::store(Access access) const {
  const Store root = session.store(access);
  return settings.name_space ? root.with_namespace(*settings.name_space) : root;
}

void Call::refuse_namespace() const {
  // The shell may have a namespace of its own, which says nothing about a verb like this one.
  if (settings.names_namespace) throw UsageError("this verb is about the store as a whole: it takes no --namespace");
}

Store Call::whole_store(Access access) const {
  refuse_namespace();
  return session.store(access);
}

void Call::require_standard_input() const {
  if (caller == Caller::program) return;
  throw UsageError("inside the shell, standard input is not at hand for a verb: name a file, or give the value");
}

ExitCode Call::answer(bool done) const {
  if (settings.json) {
    output.json({{"done", done}});
  } else if (caller == Caller::person) {
    output.line(done ? "OK" : "no");
  }
  return done ? ExitCode::done : ExitCode::no;
}

Invocation parse(const std::vector<std::string>& words, const Settings& defaults, Place place) {
  const auto settings = std::make_shared<Settings>(defaults);
  settings->name_space.reset();
  settings->words_behind_dashes = words_behind_dashes(words);
  Program program(*settings, place, words);
  Action action = program.parse(words);
  settings->names_namespace = settings->name_space.has_value();
  if (!settings->names_namespace) settings->name_space = defaults.name_space;
  return {.settings = settings, .action = std::move(action)};
}

int run(const Invocation& invocation, Session& session, Output& output, Caller caller, std::string_view place) {
  try {
    const Settings& settings = *invocation.settings;
    output.escape(!settings.raw);
    Call call{.session = session, .settings = settings, .output = output, .caller = caller};
    const ExitCode code = invocation.action(call);
    output.flush();
    return static_cast<int>(code);
  } catch (...) {
    const int code = report_current_exception(place);
    try {
      output.flush();  // what was found before the failure
    } catch (const std::exception&) {
      return code;
    }
    return code;
  }
}

std::vector<std::string_view> verb_names() {
  std::vector<std::string_view> names;
  names.reserve(std::size(kVerbs) + 2);
  for (const Verb& verb : kVerbs) names.emplace_back(verb.name);
  names.emplace_back("help");
  names.emplace_back("version");
  return names;
}

}  // namespace tuskv::cli
