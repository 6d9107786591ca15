// The shell: one verb a line, on one open store. At a terminal it has history and completion; from a pipe it is a
// script. A verb that fails does not end it.
//
// The exit code of a script is that of its first failure, 0 without one; a plain "no" (1) is no failure. At a terminal
// it is 0. SIGTERM and SIGHUP, as of a terminal that is closed, end the shell in order.
//
// History is kept in ~/.tuskv_history, readable by its owner alone. Lines that carry values (set, mset, getset, cas)
// or a password are remembered while the shell runs and never written there.
#include <histedit.h>
#include <unistd.h>

#include <array>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <memory>
#include <optional>
#include <utility>

#include "cli/completion.h"
#include "cli/input.h"
#include "cli/interrupt.h"
#include "cli/limits.h"
#include "cli/output.h"
#include "cli/secrets.h"
#include "cli/shell_words.h"
#include "cli/text.h"
#include "cli/verbs.h"

namespace tuskv::cli {

namespace {

class HistoryFile final {
 public:
  HistoryFile() {
    HistEvent event = {};
    ::history(shown_.get(), &event, H_SETSIZE, kHistoryLines);
    ::history(kept_.get(), &event, H_SETSIZE, kHistoryLines);
    ::history(shown_.get(), &event, H_SETUNIQUE, 1);
    if (const char* const home = ::getenv("HOME"); home != nullptr && *home != '\0') {
      path_ = std::string(home) + "/.tuskv_history";
      ::history(shown_.get(), &event, H_LOAD, path_.c_str());
      ::history(kept_.get(), &event, H_LOAD, path_.c_str());
    }
  }
  HistoryFile(const HistoryFile&) = delete;
  HistoryFile& operator=(const HistoryFile&) = delete;
  ~HistoryFile() {
    HistEvent event = {};
    if (!path_.empty()) ::history(kept_.get(), &event, H_SAVE, path_.c_str());  // sets mode 0600
  }

  History* shown() const noexcept { return shown_.get(); }

  void add(const std::string& line) {
    HistEvent event = {};
    ::history(shown_.get(), &event, H_ENTER, line.c_str());
    if (!carries_values(line) && without_passwords(line) == line) ::history(kept_.get(), &event, H_ENTER, line.c_str());
  }

 private:
  static bool carries_values(const std::string& line) {
    const std::size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string::npos) return false;
    const std::string verb = line.substr(begin, line.find_first_of(" \t\n", begin) - begin);
    // Whatever is no verb may be one misspelt; whatever starts with an option may be any.
    constexpr std::array kWithoutValues = {"get",    "del",     "exists",     "incr",  "decr",    "ttl",
                                           "expire", "persist", "mget",       "scan",  "count",   "import",
                                           "export", "copy",    "namespaces", "stats", "sweep",   "snapshots",
                                           "check",  "repair",  "bench",      "help",  "version", "doctor"};
    for (const char* name : kWithoutValues) {
      if (verb == name) return false;
    }
    return true;
  }

  struct End {
    void operator()(History* history) const noexcept { ::history_end(history); }
  };
  std::unique_ptr<History, End> shown_{::history_init()};
  std::unique_ptr<History, End> kept_{::history_init()};
  std::string path_;
};

/// A line editor at the terminal.
class Editor final {
 public:
  Editor(Session& session, const Settings& settings) : session_(session), settings_(settings) {
    ::setlocale(LC_CTYPE, "");  // so that the editor knows how wide typed characters are
    editor_.reset(::el_init("tuskv", stdin, stdout, stderr));
    if (!editor_) throw UsageError("the terminal cannot be used");
    ::el_set(editor_.get(), EL_CLIENTDATA, this);
    ::el_set(editor_.get(), EL_PROMPT, &Editor::prompt);
    ::el_set(editor_.get(), EL_EDITOR, "emacs");
    ::el_set(editor_.get(), EL_HIST, ::history, history_.shown());
    // The wide call keeps these two; el_set would copy and never free them.
    ::el_wset(editor_.get(), EL_ADDFN, L"tuskv-complete", L"Complete a verb or a key", &Editor::complete_word);
    ::el_set(editor_.get(), EL_BIND, "^I", "tuskv-complete", nullptr);
    ::el_set(editor_.get(), EL_BIND, "^R", "em-inc-search-prev", nullptr);
  }
  Editor(const Editor&) = delete;
  Editor& operator=(const Editor&) = delete;

  std::optional<std::string> line() {
    for (;;) {
      int size = 0;
      const char* const text = ::el_gets(editor_.get(), &size);
      if (interrupt_signal() == SIGINT) {  // drops the line, as every shell does
        forget_interrupt();
        ::el_set(editor_.get(), EL_REFRESH);
        ::fputs("\n", stdout);
        continue;
      }
      if (text == nullptr || size <= 0 || interrupted()) return std::nullopt;
      std::string line(text, static_cast<std::size_t>(size));
      while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.pop_back();
      if (!line.empty()) history_.add(line);
      return line;
    }
  }

 private:
  static char* prompt(EditLine*) {
    static std::array<char, 8> text = {"tuskv> "};
    return text.data();
  }

  /// Called by C, which no exception may pass through. The verb itself will say what is wrong with the store; an
  /// interrupt ends the line, as it does everywhere in it.
  static unsigned char complete_word(EditLine* editor, wint_t) noexcept {
    try {
      Editor* self = nullptr;
      if (::el_get(editor, EL_CLIENTDATA, &self) != 0 || self == nullptr) return CC_ERROR;
      return self->complete_before_cursor();
    } catch (...) {
      return interrupted() ? CC_EOF : CC_REFRESH_BEEP;
    }
  }

  unsigned char complete_before_cursor() {
    const LineInfo* const info = ::el_line(editor_.get());
    const std::string before(info->buffer, static_cast<std::size_t>(info->cursor - info->buffer));
    const Completion completion = complete(before, session_, settings_);
    if (completion.candidates.empty()) return CC_REFRESH_BEEP;
    // The editor takes what the locale can spell; otherwise the list shows it.
    if (!completion.rest.empty() && ::el_insertstr(editor_.get(), completion.rest.c_str()) == 0) return CC_REFRESH;
    std::string list = "\n";
    for (const std::string& candidate : completion.candidates) list += escaped(candidate, Newlines::escape) + "\n";
    if (completion.more) list += "...\n";
    ::fputs(list.c_str(), stdout);
    ::fflush(stdout);
    return CC_REDISPLAY;
  }

  struct End {
    void operator()(EditLine* editor) const noexcept { ::el_end(editor); }
  };
  Session& session_;
  const Settings& settings_;
  HistoryFile history_;
  std::unique_ptr<EditLine, End> editor_;
};

constexpr int kBrokenPipe = 128 + SIGPIPE;

/// Runs one line, which messages call `place`; its exit code, or nothing when it asks to leave.
std::optional<int> run_line(const std::string& line, Call& shell, Caller caller, const std::string& place) {
  try {
    const auto words = split_words(line);
    if (words.empty()) return 0;
    if (words.size() == 1 && (words.front() == "exit" || words.front() == "quit")) return std::nullopt;
    return run(parse(words, shell.settings, Place::shell), shell.session, shell.output, caller, place);
  } catch (...) {
    return report_current_exception(place);
  }
}

ExitCode run_prompt(Call& shell) {
  Editor editor(shell.session, shell.settings);
  while (const auto line = editor.line()) {
    const auto code = run_line(*line, shell, Caller::person, {});
    if (!code || *code == kBrokenPipe) return ExitCode::done;
    if (interrupt_signal() != SIGINT) stop_when_interrupted();
    forget_interrupt();
  }
  stop_when_interrupted();  // SIGTERM, or SIGHUP, after which there may be no terminal any more
  shell.output.text("\n");
  return ExitCode::done;
}

ExitCode run_script(Call& shell) {
  Input input("-");
  int first_failure = 0;
  while (const auto line = input.line()) {
    const auto code =
        run_line(std::string(*line), shell, Caller::script, "line " + std::to_string(input.line_number()) + ": ");
    if (!code) break;
    if (first_failure == 0 && *code > static_cast<int>(ExitCode::no)) first_failure = *code;
    if (*code == kBrokenPipe) break;
    stop_when_interrupted();
  }
  return static_cast<ExitCode>(first_failure);
}

}  // namespace

Action add_shell(Arguments&) {
  return [](Call& call) {
    call.session.expect_writes();
    const bool prompts = ::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1;
    return prompts ? run_prompt(call) : run_script(call);
  };
}

}  // namespace tuskv::cli
