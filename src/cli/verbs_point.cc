// Verbs on entries named one by one.
#include <charconv>
#include <memory>
#include <utility>

#include <nlohmann/json.hpp>

#include "cli/input.h"
#include "cli/limits.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace tuskv::cli {

namespace {

/// `-x`: the last word comes from standard input, every byte of it.
class LastWord final {
 public:
  void declare(Arguments& arguments) {
    arguments.flag("-x,--stdin", from_input_, "Read the last word from standard input, to its end");
  }
  std::string take(const Call& call, const std::optional<std::string>& word, const char* verb) const {
    if (from_input_ && word) throw UsageError(std::string(verb) + ": -x reads VALUE from standard input: leave it out");
    if (!from_input_ && !word) {
      throw UsageError(std::string(verb) + ": VALUE is required, or -x, which reads it from standard input");
    }
    return from_input_ ? read(call) : *word;
  }
  /// The words, with one from standard input behind them if that was asked for.
  std::vector<std::string> append(const Call& call, std::vector<std::string> words) const {
    if (from_input_) words.push_back(read(call));
    return words;
  }

 private:
  static std::string read(const Call& call) {
    call.require_standard_input();
    return Input("-").rest(kInputBytesMax);
  }

  bool from_input_ = false;
};

/// What a write does to the expiry.
struct Expiry {
  std::optional<Duration> ttl = {};
  std::optional<Instant> at = {};
  bool keep = false;

  void declare(Arguments& arguments) {
    arguments.duration("--ttl", ttl, "Expire this long from now");
    arguments.instant(
        "--at", at,
        "Expire at this time, as 2030-01-31T12:00:00Z, with +02:00 for Z, or in seconds since 1970; one that has "
        "passed removes the key");
    arguments.flag("--keep-ttl", keep, "Keep the expiry the key has");
    arguments.exclusive({"--ttl", "--at", "--keep-ttl"});
  }
  SetOptions options() const { return {.ttl = ttl, .expires_at = at, .keep_ttl = keep}; }
};

/// One of several values that may be missing: as redis-cli, an empty line in a pipe and (nil) on a terminal.
void print_value(Call& call, const std::optional<std::string>& value) {
  if (value) {
    call.output.value(*value);
  } else if (call.output.terminal()) {
    call.output.text("(nil)");
  }
  call.output.text("\n");
}

Json json_of_optional(const std::optional<std::string>& value) { return value ? json_of_bytes(*value) : Json(nullptr); }

std::int64_t parse_step(const std::optional<std::string>& text) {
  if (!text) return 1;
  std::int64_t step = 0;
  const char* const last = text->data() + text->size();
  const auto [end, error] = std::from_chars(text->data(), last, step);
  if (error != std::errc() || end != last) throw UsageError("BY takes a 64-bit integer, not \"" + *text + "\"");
  return step;
}

ExitCode print_entry_json(Call& call, const std::string& key) {
  const auto entry = call.store(Access::read).get_entry(key);
  Json document = {{"key", json_of_bytes(key)}, {"value", nullptr}};
  if (entry) {
    document["value"] = json_of_bytes(entry->value);
    if (entry->expires_at) document["expires_at_ms"] = unix_ms(*entry->expires_at);
    document["version"] = entry->version.number;
    document["created_at_ms"] = unix_ms(entry->created_at);
    document["updated_at_ms"] = unix_ms(entry->updated_at);
  }
  call.output.json(document);
  return entry ? ExitCode::done : ExitCode::no;
}

}  // namespace

Action add_get(Arguments& arguments) {
  struct Options {
    std::string key;
    bool exact = false;
  };
  const auto options = std::make_shared<Options>();
  arguments.word("KEY", options->key, "The key");
  arguments.flag("-n,--no-newline", options->exact, "Print the bytes of the value and nothing more");
  return [options](Call& call) {
    if (call.settings.json) return print_entry_json(call, options->key);
    const auto value = call.store(Access::read).get(options->key);
    if (!value) {
      if (call.output.terminal()) call.output.line("(nil)");
      return ExitCode::no;
    }
    call.output.value(*value);
    if (!options->exact) call.output.text("\n");
    return ExitCode::done;
  };
}

Action add_set(Arguments& arguments) {
  struct Options {
    std::string key;
    std::optional<std::string> value;
    LastWord last_word;
    Expiry expiry;
    bool if_absent = false;
    bool if_present = false;
  };
  const auto options = std::make_shared<Options>();
  arguments.word("KEY", options->key, "The key");
  arguments.word("VALUE", options->value, "The value");
  options->last_word.declare(arguments);
  options->expiry.declare(arguments);
  arguments.flag("--nx", options->if_absent, "Only if the key is missing; otherwise exit code 1");
  arguments.flag("--xx", options->if_present, "Only if the key exists; otherwise exit code 1");
  arguments.exclusive({"--nx", "--xx"});
  return [options](Call& call) {
    const std::string value = options->last_word.take(call, options->value, "set");
    const Store store = call.store(Access::write);
    const SetOptions set_options = options->expiry.options();
    if (options->if_absent) return call.answer(store.set_if_absent(options->key, value, set_options));
    if (options->if_present) return call.answer(store.set_if_present(options->key, value, set_options));
    store.set(options->key, value, set_options);
    return call.answer(true);
  };
}

Action add_getset(Arguments& arguments) {
  struct Options {
    std::string key;
    std::optional<std::string> value;
    LastWord last_word;
    Expiry expiry;
  };
  const auto options = std::make_shared<Options>();
  arguments.word("KEY", options->key, "The key");
  arguments.word("VALUE", options->value, "The value");
  options->last_word.declare(arguments);
  options->expiry.declare(arguments);
  return [options](Call& call) {
    const std::string value = options->last_word.take(call, options->value, "getset");
    const auto before = call.store(Access::write).get_and_set(options->key, value, options->expiry.options());
    if (call.settings.json) {
      call.output.json({{"key", json_of_bytes(options->key)}, {"value", json_of_optional(before)}});
    } else if (before || call.output.terminal()) {
      print_value(call, before);
    }
    return ExitCode::done;
  };
}

Action add_cas(Arguments& arguments) {
  struct Options {
    std::string key;
    std::vector<std::string> values;
    LastWord last_word;
    Expiry expiry;
    bool absent = false;
  };
  const auto options = std::make_shared<Options>();
  arguments.word("KEY", options->key, "The key");
  arguments.words("OLD NEW", options->values, "The value it must have, and the value it gets");
  arguments.flag("--absent", options->absent, "The key must be missing: leave out OLD");
  options->last_word.declare(arguments);
  options->expiry.declare(arguments);
  return [options](Call& call) {
    const std::vector<std::string> values = options->last_word.append(call, options->values);
    const std::size_t wanted = options->absent ? 1 : 2;
    if (values.size() != wanted) throw UsageError("cas takes KEY OLD NEW, or --absent KEY NEW");
    std::optional<Bytes> expected;
    if (!options->absent) expected = values.front();
    const CompareResult result =
        call.store(Access::write).compare_and_swap(options->key, expected, values.back(), options->expiry.options());
    if (!call.settings.json) return call.answer(static_cast<bool>(result));
    using Status = CompareResult::Status;
    const char* status = result.status == Status::success    ? "success"
                         : result.status == Status::mismatch ? "mismatch"
                                                             : "not_found";
    call.output.json(
        {{"done", static_cast<bool>(result)}, {"status", status}, {"current", json_of_optional(result.current)}});
    return result ? ExitCode::done : ExitCode::no;
  };
}

namespace {

Action add_counter(Arguments& arguments, bool up) {
  struct Options {
    std::string key;
    std::optional<std::string> by;
    std::optional<Duration> ttl;
  };
  const auto options = std::make_shared<Options>();
  arguments.word("KEY", options->key, "The key of the counter; a missing one counts as 0");
  arguments.word("BY", options->by, "The step (default 1)");
  arguments.duration("--ttl", options->ttl, "Expiry of a counter that is created by this");
  return [options, up](Call& call) {
    const std::int64_t step = parse_step(options->by);
    if (options->ttl && options->ttl->milliseconds() <= 0) throw UsageError("--ttl must be positive");
    const CounterOptions counter = {.ttl_if_created = options->ttl};
    const Store store = call.store(Access::write);
    const std::int64_t sum =
        up ? store.increment(options->key, step, counter) : store.decrement(options->key, step, counter);
    if (call.settings.json) {
      call.output.json({{"key", json_of_bytes(options->key)}, {"value", sum}});
    } else {
      call.output.line(std::to_string(sum));
    }
    return ExitCode::done;
  };
}

}  // namespace

Action add_incr(Arguments& arguments) { return add_counter(arguments, true); }

Action add_decr(Arguments& arguments) { return add_counter(arguments, false); }

Action add_mget(Arguments& arguments) {
  const auto keys = std::make_shared<std::vector<std::string>>();
  arguments.words("KEY", *keys,
                  "The keys. The line of a missing one is empty, as that of an empty value: --json tells them apart. "
                  "Exit code 1 if any is missing");
  return [keys](Call& call) {
    if (keys->empty()) throw UsageError("mget takes at least one key");
    const auto values = call.store(Access::read).get_many(*keys);
    bool all = true;
    Json document = Json::array();
    for (std::size_t i = 0; i < values.size(); ++i) {
      all = all && values[i].has_value();
      if (call.settings.json) {
        document.push_back({{"key", json_of_bytes((*keys)[i])}, {"value", json_of_optional(values[i])}});
      } else {
        print_value(call, values[i]);
      }
    }
    if (call.settings.json) call.output.json(document);
    return all ? ExitCode::done : ExitCode::no;
  };
}

Action add_mset(Arguments& arguments) {
  struct Options {
    std::vector<std::string> words;
    LastWord last_word;
    Expiry expiry;
    bool if_absent = false;
  };
  const auto options = std::make_shared<Options>();
  arguments.words("KEY VALUE", options->words, "Keys and values in turn; of a key given twice the last value stays");
  options->last_word.declare(arguments);
  options->expiry.declare(arguments);
  arguments.flag("--nx", options->if_absent, "Only if every key is missing; otherwise exit code 1");
  return [options](Call& call) {
    const std::vector<std::string> words = options->last_word.append(call, options->words);
    if (words.empty() || words.size() % 2 != 0) throw UsageError("mset takes KEY VALUE pairs");
    std::vector<Item> items;
    for (std::size_t i = 0; i < words.size(); i += 2) items.push_back({.key = words[i], .value = words[i + 1]});
    const Store store = call.store(Access::write);
    if (options->if_absent) return call.answer(store.set_many_if_absent(items, options->expiry.options()));
    store.set_many(items, options->expiry.options());
    return call.answer(true);
  };
}

Action add_exists(Arguments& arguments) {
  const auto keys = std::make_shared<std::vector<std::string>>();
  arguments.words("KEY", *keys, "The keys; one named twice counts twice. Exit code 0 only if all exist");
  return [keys](Call& call) {
    if (keys->empty()) throw UsageError("exists takes at least one key");
    const std::uint64_t count = call.store(Access::read).exists_many(*keys);
    if (call.settings.json) {
      call.output.json({{"exists", count}});
    } else {
      call.output.line(std::to_string(count));
    }
    return count == keys->size() ? ExitCode::done : ExitCode::no;
  };
}

Action add_del(Arguments& arguments) {
  struct Options {
    std::vector<std::string> keys;
    std::optional<std::string> prefix;
    std::string from;
    std::optional<std::string> to;
    bool all = false;
    bool yes = false;

    bool has_range() const { return !from.empty() || to; }
    int ways() const { return int{!keys.empty()} + int{prefix.has_value()} + int{has_range()} + int{all}; }
  };
  const auto options = std::make_shared<Options>();
  arguments.words("KEY", options->keys, "The keys. Exit code 1 if none was there");
  arguments.text("--prefix", options->prefix, "P", "Remove every key that starts with P instead");
  arguments.name("--from", options->from, "K", "Remove the key K and every key behind it instead");
  arguments.name("--to", options->to, "K", "Remove every key before the key K instead; with --from, those between");
  arguments.flag("--all", options->all, "Remove every key of the namespace instead (with --yes)");
  arguments.flag("--yes", options->yes, "Confirm --all");
  return [options](Call& call) {
    if (options->ways() != 1) {
      throw UsageError("del takes keys, or --prefix P, or --from K and --to K, or --all --yes");
    }
    if (options->prefix && options->prefix->empty()) {
      throw UsageError("an empty --prefix means every key of the namespace: say so with --all --yes");
    }
    if (options->all && !options->yes) throw UsageError("--all removes every key of the namespace: confirm with --yes");
    const Store store = call.store(Access::write);
    const std::uint64_t count = options->all           ? store.clear()
                                : options->prefix      ? store.erase_prefix(*options->prefix)
                                : options->has_range() ? store.erase_range(options->from, options->to)
                                                       : store.erase_many(options->keys);
    if (call.settings.json) {
      call.output.json({{"removed", count}});
    } else {
      call.output.line(std::to_string(count));
    }
    return count > 0 || options->keys.empty() ? ExitCode::done : ExitCode::no;
  };
}

}  // namespace tuskv::cli
