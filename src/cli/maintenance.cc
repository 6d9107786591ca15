// Verbs on the directory of a file: store. They work on a closed directory: a store that the shell has open is closed
// first (the next verb opens it again), and one that another program has open is refused.
#include "tuskv/maintenance.h"

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <nlohmann/json.hpp>

#include "cli/output.h"
#include "cli/time_text.h"
#include "cli/verbs.h"

namespace tuskv::cli {

namespace {

/// DIRECTORY if given, otherwise that of --store.
std::string closed_directory(Call& call, const std::optional<std::string>& given) {
  call.refuse_namespace();
  std::string directory = given ? directory_named(*given) : call.session.directory();
  call.session.close_directory();
  return directory;
}

/// The same for a verb that changes what is there. It opens no store, so nothing else would look at the URL's options.
std::string closed_directory_to_change(Call& call, const std::optional<std::string>& given) {
  std::string directory = closed_directory(call, given);
  const std::string& named = given ? *given : call.session.url();
  try {
    if (!Store::options_for(named).read_only) return directory;
  } catch (const Error&) {
    return directory;  // a path, which has no options
  }
  throw UsageError(directory + " is only read: read_only=true");
}

/// Calls a function of the library on the directory once no other process has it open.
template <class F>
auto when_free(const Call& call, const std::string& directory, F&& function) {
  std::optional<std::invoke_result_t<F, const std::string&>> result;
  open_when_free(directory, call.session.timeout(), [&] { result = function(directory); });
  return *std::move(result);
}

Json json_of_damage(const std::vector<Damage>& damage) {
  Json list = Json::array();
  for (const Damage& one : damage) {
    list.push_back({{"file", json_of_bytes(one.file)}, {"offset", one.offset}, {"what", json_of_bytes(one.what)}});
  }
  return list;
}

Json json_of_count(const std::optional<std::uint64_t>& count) { return count ? Json(*count) : Json(nullptr); }

void print_field(Call& call, std::string name, std::string_view value) {
  name.resize(10, ' ');
  call.output.text(name);
  call.output.value(value, false);
  call.output.text("\n");
}

/// Where and what, the file's name once: many messages have it. What is missing has no offsets.
std::string text_of(const Damage& damage) {
  if (damage.what.find(damage.file) != std::string::npos) return damage.what;
  const std::string offset = damage.offset == 0 ? "" : ", offset " + std::to_string(damage.offset);
  return damage.file + offset + ": " + damage.what;
}

void print_damage(Call& call, const std::vector<Damage>& damage) {
  if (damage.empty()) print_field(call, "damage", "none");
  for (const Damage& one : damage) print_field(call, "damage", text_of(one));
}

Json json_of_snapshot(const SnapshotInfo& snapshot) {
  return {{"ordinal", snapshot.ordinal},   {"taken_at_ms", unix_ms(snapshot.taken_at)},
          {"entries", snapshot.entries},   {"size_bytes", snapshot.size_bytes},
          {"sequence", snapshot.sequence}, {"pinned", snapshot.pinned}};
}

void print_snapshots(Call& call, const std::vector<SnapshotInfo>& snapshots) {
  for (const SnapshotInfo& snapshot : snapshots) {
    call.output.line(std::to_string(snapshot.ordinal) + "\t" + to_text(snapshot.taken_at) + "\t" +
                     std::to_string(snapshot.entries) + " entries\t" + size_text(snapshot.size_bytes) +
                     (snapshot.pinned ? "\tkept until it is pruned" : ""));
  }
}

ExitCode print_snapshot(Call& call, const SnapshotInfo& snapshot, const char* what) {
  if (call.settings.json) {
    call.output.json(json_of_snapshot(snapshot));
  } else {
    call.output.line(std::string(what) + std::to_string(snapshot.ordinal));
  }
  return ExitCode::done;
}

ExitCode list(Call& call) {
  const auto snapshots =
      when_free(call, closed_directory(call, std::nullopt), [](auto& at) { return list_snapshots(at); });
  if (!call.settings.json) {
    print_snapshots(call, snapshots);
    return ExitCode::done;
  }
  Json document = Json::array();
  for (const SnapshotInfo& snapshot : snapshots) document.push_back(json_of_snapshot(snapshot));
  call.output.json(document);
  return ExitCode::done;
}

ExitCode prune(Call& call, std::uint64_t keep) {
  const std::size_t removed =
      when_free(call, closed_directory_to_change(call, {}), [&](auto& at) { return prune_snapshots(at, keep); });
  if (call.settings.json) {
    call.output.json({{"removed", removed}});
  } else {
    call.output.line(std::to_string(removed));
  }
  return ExitCode::done;
}

}  // namespace

Action add_check(Arguments& arguments) {
  const auto given = std::make_shared<std::optional<std::string>>();
  arguments.word("DIRECTORY", *given,
                 "The directory, or its file: URL (default: that of --store). Exit code 6 on damage");
  return [given](Call& call) {
    const std::string directory = closed_directory(call, *given);
    const CheckReport report = when_free(call, directory, [](auto& at) { return check(at); });
    if (call.settings.json) {
      call.output.json({{"directory", json_of_bytes(directory)},
                        {"files", report.files},
                        {"size_bytes", report.size_bytes},
                        {"entries", json_of_count(report.entries)},
                        {"records", json_of_count(report.records)},
                        {"torn_bytes", report.torn_bytes},
                        {"damage", json_of_damage(report.damage)}});
    } else {
      print_field(call, "directory", directory);
      print_field(call, "files", std::to_string(report.files) + " (" + size_text(report.size_bytes) + ")");
      if (report.entries) print_field(call, "entries", std::to_string(*report.entries));
      if (report.records) print_field(call, "records", std::to_string(*report.records));
      if (report.torn_bytes > 0) {
        print_field(call, "torn",
                    std::to_string(report.torn_bytes) +
                        " bytes of an unfinished last write: normal after a crash, cut off by the next open");
      }
      print_damage(call, report.damage);
    }
    return report.damage.empty() ? ExitCode::done : ExitCode::corruption;
  };
}

Action add_repair(Arguments& arguments) {
  const auto given = std::make_shared<std::optional<std::string>>();
  arguments.word("DIRECTORY", *given, "The directory, or its file: URL (default: that of --store)");
  return [given](Call& call) {
    const std::string directory = closed_directory_to_change(call, *given);
    const RepairReport report = when_free(call, directory, [](auto& at) { return repair(at); });
    if (call.settings.json) {
      call.output.json({{"directory", json_of_bytes(directory)},
                        {"changed", !report.backup.empty()},
                        {"backup", json_of_bytes(report.backup)},
                        {"entries_kept", report.entries_kept},
                        {"entries_dropped", json_of_count(report.entries_dropped)},
                        {"records_dropped", report.records_dropped},
                        {"damage", json_of_damage(report.damage)}});
      return ExitCode::done;
    }
    print_field(call, "directory", directory);
    print_damage(call, report.damage);
    if (report.backup.empty()) {
      print_field(call, "changed", "nothing");
      return ExitCode::done;
    }
    print_field(call, "kept", std::to_string(report.entries_kept) + " entries");
    const std::string entries =
        report.entries_dropped ? std::to_string(*report.entries_dropped) : "an unknown number of";
    print_field(
        call, "dropped",
        entries + " entries of the snapshot, " + std::to_string(report.records_dropped) + " records of the log");
    print_field(call, "backup", report.backup);
    return ExitCode::done;
  };
}

Action add_snapshots(Arguments& arguments) {
  struct Options {
    std::string action = "list";
    std::optional<std::string> number;
  };
  const auto options = std::make_shared<Options>();
  const auto action = std::make_shared<std::optional<std::string>>();
  arguments.word(
      "ACTION", *action,
      "list (default), take, prune N (keep N older ones beside the newest) or restore ORDINAL, of a directory "
      "that no program has open; a program takes its own (Store::snapshot)");
  arguments.word("N", options->number, "For prune and restore");
  return [options, action](Call& call) {
    const std::string name = action->value_or("list");
    const bool numbered = name == "prune" || name == "restore";
    const std::uint64_t number = parse_number(options->number.value_or("0")).value_or(UINT64_MAX);
    if (numbered != options->number.has_value() || number == UINT64_MAX) {
      throw UsageError("snapshots takes list, take, prune N or restore ORDINAL");
    }
    if (name == "list") return list(call);
    if (name == "take") return print_snapshot(call, call.whole_store(Access::inspect).snapshot(), "");
    if (name == "prune") return prune(call, number);
    if (name != "restore") throw UsageError("snapshots takes list, take, prune N or restore ORDINAL");
    const SnapshotInfo before =
        when_free(call, closed_directory_to_change(call, {}), [&](auto& at) { return restore_snapshot(at, number); });
    return print_snapshot(call, before, "the state before is kept, until it is pruned, as snapshot ");
  };
}

}  // namespace tuskv::cli
