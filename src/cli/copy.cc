// copy: all namespaces of one store into another, expiry included. Entries that the target has and the source lacks
// stay. Starting it again after an interruption is safe: writing an entry twice is writing it once.
#include <memory>

#include <nlohmann/json.hpp>

#include "cli/batch_writer.h"
#include "cli/interrupt.h"
#include "cli/limits.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "tuskv/maintenance.h"

namespace tuskv::cli {

namespace {

struct Totals {
  std::uint64_t entries = 0;
  std::uint64_t namespaces = 0;
};

/// The words with which PostgreSQL says which table it is; empty elsewhere: those stores open once.
std::string table_of(const Store& store) {
  for (const Finding& finding : store.diagnose()) {
    if (finding.topic == "store") return finding.value;
  }
  return {};
}

/// What tells one store from another, so far as the URL does: a directory in one spelling.
std::string identity(const std::string& url) {
  try {
    return "file:" + canonical_directory(directory_of(url));
  } catch (const Error&) {
    return url;
  }
}

/// `which` says which of the two could not be opened.
Store open(Session& session, Access access, const char* which) {
  try {
    return session.store(access);
  } catch (const Error& error) {
    throw Error(error.code(), error.outcome(), std::string(which) + ": " + error.what(), error.sqlstate());
  } catch (const UsageError& error) {
    throw UsageError(std::string(which) + ": " + error.what());
  }
}

std::uint64_t copy_entries(const Store& from, const std::string& name, BatchWriter& writer, Progress& progress) {
  std::uint64_t copied = 0;
  for (const Entry& entry : from.entries({.limit = kPageEntries})) {
    stop_when_interrupted();
    writer.add({.name_space = name, .key = entry.key, .value = entry.value, .expires_at = entry.expires_at});
    ++copied;
    progress.update(writer.written(), writer.written());
  }
  return copied;
}

/// An entry that the source has and the target cannot hold, such as text in a column of JSON.
[[noreturn]] void refuse(const Record& record, const Error& error, std::uint64_t copied) {
  std::string which = "the key \"" + record.key + '"';
  if (!record.name_space.empty()) which += " of the namespace \"" + record.name_space + '"';
  throw Error(error.code(), error.outcome(),
              "TO refuses " + which + ": " + error.what() + " (entries copied: " + std::to_string(copied) + ")",
              error.sqlstate());
}

Totals copy_store(const Store& from, const Store& to) {
  Totals totals;
  Progress progress("copied", from);
  BatchWriter writer(to, kBatchEntries,
                     [&writer](const Record& record, const Error& error) { refuse(record, error, writer.written()); });
  copy_entries(from, {}, writer, progress);
  for (const std::string& name : from.namespaces()) {
    if (copy_entries(from.with_namespace(name), name, writer, progress) > 0) ++totals.namespaces;
  }
  writer.flush();
  totals.entries = writer.written();
  return totals;
}

}  // namespace

Action add_copy(Arguments& arguments) {
  struct Options {
    std::string from;
    std::string to;
  };
  const auto options = std::make_shared<Options>();
  arguments.word("FROM", options->from, "URL of the store to read");
  arguments.word("TO", options->to, "URL of the store to write; its other entries stay");
  return [options](Call& call) {
    call.refuse_namespace();
    if (identity(options->from) == identity(options->to)) throw UsageError("FROM and TO are the same store");
    call.session.close_directory();  // the shell's: it may be one of the two
    Session from(options->from, call.settings.timeout);
    Session to(options->to, call.settings.timeout);
    const Store source = open(from, Access::read, "FROM");  // first: a mistake in it must not make the target
    const Store target = open(to, Access::write, "TO");
    const std::string table = table_of(source);
    if (!table.empty() && table == table_of(target)) throw UsageError("FROM and TO are the same store");
    const Totals totals = copy_store(source, target);
    to.close();
    from.close();
    if (call.settings.json) {
      call.output.json({{"copied", totals.entries}, {"namespaces", totals.namespaces}});
    } else {
      call.output.line("copied " + std::to_string(totals.entries) + " entries, " + std::to_string(totals.namespaces) +
                       " namespaces");
    }
    return ExitCode::done;
  };
}

}  // namespace tuskv::cli
