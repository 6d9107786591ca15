// Verbs on the expiry of entries.
#include <chrono>
#include <memory>

#include <nlohmann/json.hpp>

#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/time_text.h"
#include "cli/verbs.h"

namespace tuskv::cli {

namespace {

const char* name_of(Ttl::State state) {
  switch (state) {
    case Ttl::State::missing: return "missing";
    case Ttl::State::persistent: return "persistent";
    case Ttl::State::remaining: return "remaining";
  }
  return "missing";
}

std::int64_t in_milliseconds(const Ttl& ttl) {
  return ttl.state == Ttl::State::remaining ? ttl.left.count() : ttl.redis();
}

/// Calls until nothing is left or the limit (0: none) is reached: one call removes what it can by its deadline. One
/// that needed less than half of its time was not ended by that, and what has expired since is for the next sweep, or a
/// busy store would never let go of this one.
void sweep(const Store& store, std::chrono::milliseconds timeout, std::uint64_t limit, std::uint64_t& removed) {
  for (bool more = true; more && (limit == 0 || removed < limit);) {
    stop_when_interrupted();
    const auto begin = std::chrono::steady_clock::now();
    const std::uint64_t count = store.cleanup_expired(limit == 0 ? 0 : limit - removed);
    removed += count;
    more = count > 0 && std::chrono::steady_clock::now() - begin >= timeout / 2;
  }
}

void print_removed(Call& call, std::uint64_t removed) {
  if (call.settings.json) {
    call.output.json({{"removed", removed}});
  } else {
    call.output.line(std::to_string(removed));
  }
}

}  // namespace

Action add_ttl(Arguments& arguments) {
  struct Options {
    std::string key;
    bool in_ms = false;
  };
  const auto options = std::make_shared<Options>();
  arguments.word("KEY", options->key, "The key");
  arguments.flag("--ms", options->in_ms, "Print milliseconds");
  return [options](Call& call) {
    const Ttl ttl = call.store(Access::read).ttl(options->key);
    if (call.settings.json) {
      Json document = {{"key", json_of_bytes(options->key)}, {"state", name_of(ttl.state)}, {"ttl_ms", nullptr}};
      if (ttl.state == Ttl::State::remaining) document["ttl_ms"] = ttl.left.count();
      call.output.json(document);
    } else {
      call.output.line(std::to_string(options->in_ms ? in_milliseconds(ttl) : ttl.redis()));
    }
    return ttl.state == Ttl::State::missing ? ExitCode::no : ExitCode::done;
  };
}

Action add_expire(Arguments& arguments) {
  struct Options {
    std::string key;
    std::optional<std::string> ttl;
    std::optional<Instant> at;
  };
  const auto options = std::make_shared<Options>();
  arguments.word("KEY", options->key, "The key");
  arguments.word("DURATION", options->ttl,
                 "How long it will live from now: 30s, 5m, 2h, 7d; a number alone is seconds");
  arguments.instant(
      "--at", options->at,
      "Expire at this time instead, as 2030-01-31T12:00:00Z, with +02:00 for Z, or in seconds since 1970; one "
      "that has passed removes the key");
  return [options](Call& call) {
    if (options->ttl.has_value() == options->at.has_value())
      throw UsageError("expire takes KEY DURATION or KEY --at TIME");
    if (options->at) return call.answer(call.store(Access::write).expire_at(options->key, *options->at));
    const auto ttl = parse_duration(*options->ttl);
    if (!ttl) throw UsageError("DURATION is like 500ms, 30s, 5m, 2h or 7d, not \"" + *options->ttl + "\"");
    return call.answer(call.store(Access::write).expire(options->key, *ttl));
  };
}

Action add_persist(Arguments& arguments) {
  const auto key = std::make_shared<std::string>();
  arguments.word("KEY", *key, "The key. Exit code 1 if it is missing or had no expiry");
  return [key](Call& call) { return call.answer(static_cast<bool>(call.store(Access::write).persist(*key))); };
}

Action add_sweep(Arguments& arguments) {
  const auto limit = std::make_shared<std::uint64_t>(0);
  arguments.number("--limit", *limit, 1, UINT64_MAX,
                   "Remove at most so many, those that expired first (default all). file: takes a snapshot afterwards, "
                   "without which they would stay in the log; older snapshots hold them until they are pruned");
  return [limit](Call& call) {
    const Store store = call.whole_store(Access::inspect);
    const Duration timeout = call.session.timeout().value_or(Store::options_for(call.session.url()).timeout);
    std::uint64_t removed = 0;
    try {
      sweep(store, std::chrono::milliseconds(timeout.milliseconds()), *limit, removed);
      if (removed > 0 && call.session.has_directory()) store.snapshot();
    } catch (...) {
      if (removed > 0) print_removed(call, removed);
      throw;
    }
    print_removed(call, removed);
    return ExitCode::done;
  };
}

}  // namespace tuskv::cli
