// Verbs that list: entries, namespaces, what the store knows of itself.
#include <algorithm>
#include <memory>

#include <nlohmann/json.hpp>

#include "cli/interrupt.h"
#include "cli/limits.h"
#include "cli/output.h"
#include "cli/time_text.h"
#include "cli/verbs.h"

namespace tuskv::cli {

namespace {

const char* name_of(Durability durability) {
  switch (durability) {
    case Durability::durable: return "durable";
    case Durability::relaxed: return "relaxed";
    case Durability::unlogged: return "unlogged";
  }
  return "durable";
}

/// What the engine has; a number that it does not keep would be a 0 that means nothing.
Json json_of_stats(const Stats& stats) {
  Json document = {{"engine", stats.engine},
                   {"durability", name_of(stats.durability)},
                   {"entries", stats.entries},
                   {"expired", stats.expired},
                   {"key_bytes", stats.key_bytes},
                   {"value_bytes", stats.value_bytes},
                   {"value_bytes_max", stats.value_bytes_max},
                   {"memory_bytes", stats.memory_bytes},
                   {"sequence", stats.sequence},
                   {"swept", stats.swept},
                   {"conflicts", stats.conflicts}};
  if (stats.engine == "memory") document.erase("durability");
  if (stats.engine != "memory") document["synced_sequence"] = stats.synced_sequence;
  if (stats.engine != "file") return document;
  document["syncs"] = stats.syncs;
  document["log_bytes"] = stats.log_bytes;
  document["log_segments"] = stats.log_segments;
  document["snapshots"] = stats.snapshots;
  document["snapshot_failures"] = stats.snapshot_failures;
  document["newest_snapshot"] = nullptr;
  if (stats.newest_snapshot) document["newest_snapshot"] = stats.newest_snapshot->ordinal;
  document["recovered_records"] = stats.recovered_records;
  document["recovered_torn_bytes"] = stats.recovered_torn_bytes;
  return document;
}

/// Which keys a verb is about.
struct RangeArguments {
  std::string prefix;
  std::string from;
  std::optional<std::string> to;
};

struct ScanArguments {
  RangeArguments range;
  std::string glob;
  std::string after;
  std::optional<std::uint64_t> limit;
  bool reverse = false;
  bool keys_only = false;
};

void print_entry(Call& call, const Entry& entry, bool keys_only) {
  if (call.settings.json) {
    call.output.json(json_of_entry(entry, {}, !keys_only));
    return;
  }
  call.output.value(entry.key, false);
  if (!keys_only) {
    call.output.text("\t");
    call.output.value(entry.value, false);
  }
  call.output.text("\n");
}

std::size_t page_limit(std::uint64_t left) {
  return static_cast<std::size_t>(std::min<std::uint64_t>(left, kPageEntries));
}

void declare_range(Arguments& arguments, RangeArguments& options) {
  arguments.text("--prefix", options.prefix, "P", "Only keys that start with P");
  arguments.name("--from", options.from, "K", "Only the key K and those behind it");
  arguments.name("--to", options.to, "K", "Only keys before the key K");
}

void declare_scan(Arguments& arguments, ScanArguments& options, const char* limit_help) {
  declare_range(arguments, options.range);
  arguments.text("--glob", options.glob, "G",
                 "Only keys that match: * any run, ? one byte, \\ takes the next literally");
  arguments.text("--after", options.after, "K", "Start behind the key K (before it with --reverse)");
  arguments.number("--limit", options.limit, 1, UINT64_MAX, limit_help);
  arguments.flag("--reverse", options.reverse, "From the last key to the first");
}

ScanOptions scan_options(const ScanArguments& options) {
  return {.prefix = options.range.prefix,
          .from = options.range.from,
          .to = options.range.to,
          .glob = options.glob,
          .after = options.after,
          .limit = page_limit(options.limit.value_or(UINT64_MAX)),
          .reverse = options.reverse,
          .keys_only = options.keys_only};
}

/// How many entries a scan with these options prints.
std::uint64_t count_scanned(const Store& store, const ScanArguments& options) {
  std::uint64_t count = 0;
  std::string after = options.after;
  ScanOptions scan = scan_options(options);
  for (std::uint64_t left = options.limit.value_or(UINT64_MAX); left > 0;) {
    stop_when_interrupted();
    scan.after = after;
    scan.limit = page_limit(left);
    KeyPage page = store.keys(scan);
    count += page.keys.size();
    left -= page.keys.size();
    if (page.next.empty()) break;
    after = std::move(page.next);
  }
  return count;
}

/// Arguments of search and find.
struct SearchArguments {
  std::string needle;
  std::string collection;
  std::string field;
  std::string value;
  RangeArguments range;
  std::string after;
  std::optional<std::uint64_t> limit;
  bool ignore_case = false;
  bool text = false;
};

void declare_pages(Arguments& arguments, SearchArguments& options) {
  arguments.text("--after", options.after, "K", "Start behind the key K");
  arguments.number("--limit", options.limit, 1, UINT64_MAX, "Print at most so many entries (default all)");
}

/// Prints page after page; `next_page` takes where it starts and how many entries are wanted.
template <class F>
ExitCode print_pages(Call& call, const SearchArguments& options, F next_page) {
  std::string after = options.after;
  for (std::uint64_t left = options.limit.value_or(UINT64_MAX); left > 0;) {
    stop_when_interrupted();
    Page page = next_page(after, page_limit(left));
    for (const Entry& entry : page.entries) print_entry(call, entry, false);
    left -= page.entries.size();
    if (page.next.empty()) break;
    after = std::move(page.next);
  }
  return ExitCode::done;
}

ExitCode print_names(Call& call, const std::vector<std::string>& names) {
  Json document = Json::array();
  for (const std::string& name : names) {
    if (call.settings.json) {
      document.push_back(json_of_bytes(name));
    } else {
      call.output.value(name, false);
      call.output.text("\n");
    }
  }
  if (call.settings.json) call.output.json(document);
  return ExitCode::done;
}

}  // namespace

Action add_scan(Arguments& arguments) {
  const auto options = std::make_shared<ScanArguments>();
  declare_scan(arguments, *options, "Print at most so many entries (default all)");
  arguments.flag("--keys-only", options->keys_only, "Print keys without values");
  return [options](Call& call) {
    const Store store = call.store(Access::read);
    const std::uint64_t limit = options->limit.value_or(UINT64_MAX);
    std::uint64_t printed = 0;
    for (const Entry& entry : store.entries(scan_options(*options))) {
      stop_when_interrupted();
      print_entry(call, entry, options->keys_only);
      if (++printed == limit) break;
    }
    return ExitCode::done;
  };
}

Action add_count(Arguments& arguments) {
  const auto options = std::make_shared<ScanArguments>();
  declare_scan(arguments, *options, "Count at most so many (default all)");
  return [options](Call& call) {
    if (options->reverse && options->after.empty()) {
      throw UsageError("count --reverse needs --after: from either end there are as many");
    }
    const Store store = call.store(Access::read);
    const bool whole = options->after.empty() && !options->limit;
    const RangeArguments& range = options->range;
    const std::uint64_t count =
        whole ? store.count({.prefix = range.prefix, .from = range.from, .to = range.to, .glob = options->glob})
              : count_scanned(store, *options);
    if (call.settings.json) {
      call.output.json({{"count", count}});
    } else {
      call.output.line(std::to_string(count));
    }
    return ExitCode::done;
  };
}

Action add_search(Arguments& arguments) {
  const auto options = std::make_shared<SearchArguments>();
  arguments.word("NEEDLE", options->needle, "What the values hold");
  arguments.flag("--ignore-case", options->ignore_case, "Take capital and small letters of ASCII for the same");
  declare_range(arguments, options->range);
  declare_pages(arguments, *options);
  return [options](Call& call) {
    const Store store = call.store(Access::read);
    const RangeArguments& range = options->range;
    return print_pages(call, *options, [&](Bytes after, std::size_t limit) {
      return store.search_values(options->needle, {.ignore_case = options->ignore_case,
                                                   .prefix = range.prefix,
                                                   .from = range.from,
                                                   .to = range.to,
                                                   .limit = limit,
                                                   .after = after});
    });
  };
}

Action add_find(Arguments& arguments) {
  const auto options = std::make_shared<SearchArguments>();
  arguments.word("COLLECTION", options->collection, "Keys that start with this and a colon");
  arguments.word("FIELD", options->field, "A top-level member of the JSON objects");
  arguments.word("VALUE", options->value, "A JSON value: true, null, 1.5, '\"text\"'");
  arguments.flag("--text", options->text, "Take VALUE as text, and compare with the member's");
  declare_pages(arguments, *options);
  return [options](Call& call) {
    const Store store = call.store(Access::read);
    return print_pages(call, *options, [&](Bytes after, std::size_t limit) {
      return store.find_by_field(options->collection, options->field, options->value,
                                 {.text = options->text, .limit = limit, .after = after});
    });
  };
}

Action add_index(Arguments& arguments) {
  struct Options {
    std::string action;
    std::optional<std::string> field;
  };
  const auto options = std::make_shared<Options>();
  arguments.word("ACTION", options->action,
                 "add, drop (exit code 1 when there is nothing to do) or list; for PostgreSQL tables of "
                 "value_type=jsonb. Writers wait while an index is made: give large tables a --timeout");
  arguments.word("FIELD", options->field, "A top-level member of the JSON objects; for add and drop");
  return [options](Call& call) {
    const bool lists = options->action == "list";
    if ((!lists && options->action != "add" && options->action != "drop") || lists == options->field.has_value()) {
      throw UsageError("index takes add FIELD, drop FIELD or list");
    }
    const Store store = call.whole_store(lists ? Access::read : Access::write);
    if (lists) return print_names(call, store.indexes());
    return call.answer(options->action == "add" ? store.create_index(*options->field)
                                                : store.drop_index(*options->field));
  };
}

Action add_namespaces(Arguments&) {
  return [](Call& call) { return print_names(call, call.whole_store(Access::read).namespaces()); };
}

Action add_stats(Arguments&) {
  return [](Call& call) {
    const Json document = json_of_stats(call.whole_store(Access::read).stats());
    if (call.settings.json) {
      call.output.json(document);
      return ExitCode::done;
    }
    for (const auto& [name, value] : document.items()) {
      std::string line = name;
      line.resize(22, ' ');
      line += value.is_string() ? value.get<std::string>() : value.is_null() ? "none" : value.dump();
      const bool is_size = name.ends_with("_bytes") || name.ends_with("_bytes_max");
      if (is_size && value.get<std::uint64_t>() >= 1024) line += " (" + size_text(value.get<std::uint64_t>()) + ")";
      call.output.line(line);
    }
    return ExitCode::done;
  };
}

}  // namespace tuskv::cli
