// Verbs on claims and rate limits. Locks are in lock.cc.
#include <algorithm>
#include <memory>

#include <nlohmann/json.hpp>

#include "cli/interrupt.h"
#include "cli/limits.h"
#include "cli/output.h"
#include "cli/verbs.h"

namespace tuskv::cli {

namespace {

struct RateArguments {
  std::string key;
  std::optional<std::uint64_t> limit;
  std::optional<Duration> window;
  std::uint64_t cost = 1;
  bool peek = false;
  bool reset = false;
};

RateLimitResult hit_or_peek(Call& call, const RateArguments& options) {
  const auto limit = static_cast<std::int64_t>(*options.limit);
  const auto cost = static_cast<std::int64_t>(options.cost);
  if (!options.peek) {
    return call.store(Access::write).rate_limit(options.key, {.limit = limit, .window = *options.window, .cost = cost});
  }
  const RateLimitWindow window = call.store(Access::read).peek_rate_limit(options.key);
  const std::int64_t remaining = std::max<std::int64_t>(limit - window.granted, 0);
  return {.allowed = cost <= remaining, .remaining = remaining, .reset_after = window.reset_after};
}

ExitCode rate(Call& call, const RateArguments& options) {
  if (options.reset) return call.answer(call.store(Access::write).reset_rate_limit(options.key));
  if (!options.limit || (!options.window && !options.peek)) {
    throw UsageError("rate takes KEY --limit N --window DURATION, or KEY --limit N --peek, or KEY --reset");
  }
  const RateLimitResult result = hit_or_peek(call, options);
  if (call.settings.json) {
    call.output.json(
        {{"allowed", result.allowed}, {"remaining", result.remaining}, {"reset_ms", result.reset_after.count()}});
  } else {
    call.output.line(std::to_string(result.remaining) + "\t" + std::to_string(result.reset_after.count()));
  }
  return result ? ExitCode::done : ExitCode::no;
}

struct ClaimArguments {
  std::string action;
  std::vector<std::string> words;
  std::optional<Duration> ttl;
  std::string prefix;
  std::optional<std::uint64_t> limit;
};

ExitCode take(Call& call, const ClaimArguments& options) {
  const ClaimResult result = call.store(Access::write).claim(options.words[0], options.words[1], {.ttl = options.ttl});
  if (!call.settings.json) return call.answer(result.granted);
  call.output.json({{"done", result.granted}, {"owner", json_of_bytes(result.owner)}});
  return result ? ExitCode::done : ExitCode::no;
}

ExitCode print_owner(Call& call, const std::string& name) {
  const auto owner = call.store(Access::read).claim_owner(name);
  if (call.settings.json) {
    call.output.json({{"name", json_of_bytes(name)}, {"owner", owner ? json_of_bytes(*owner) : Json(nullptr)}});
  } else if (owner) {
    call.output.value(*owner, false);
    call.output.text("\n");
  }
  return owner ? ExitCode::done : ExitCode::no;
}

ExitCode list_claims(Call& call, const ClaimArguments& options) {
  const Store store = call.store(Access::read);
  std::uint64_t left = options.limit.value_or(UINT64_MAX);
  KeyPage page;
  do {
    stop_when_interrupted();
    const auto limit = static_cast<std::size_t>(std::min<std::uint64_t>(left, kPageEntries));
    page = store.claims_of(options.words[0], {.prefix = options.prefix, .after = page.next, .limit = limit});
    for (const std::string& name : page.keys) {
      if (call.settings.json) {
        call.output.json({{"name", json_of_bytes(name)}});
      } else {
        call.output.value(name, false);
        call.output.text("\n");
      }
    }
    left -= page.keys.size();
  } while (!page.next.empty() && left > 0);
  return ExitCode::done;
}

ExitCode claim(Call& call, const ClaimArguments& options) {
  const std::vector<std::string>& words = options.words;
  const auto is = [&](const char* action, std::size_t count) {
    return options.action == action && words.size() == count;
  };
  const bool lists = options.action == "list";
  if (options.ttl && options.action != "take") throw UsageError("--ttl is for claim take");
  if ((options.limit || !options.prefix.empty()) && !lists) throw UsageError("--prefix and --limit are for claim list");
  if (is("take", 2)) return take(call, options);
  if (is("release", 2)) return call.answer(call.store(Access::write).release_claim(words[0], words[1]));
  if (is("owner", 1)) return print_owner(call, words[0]);
  if (is("move", 3)) return call.answer(call.store(Access::write).move_claim(words[0], words[1], words[2]));
  if (is("list", 1)) return list_claims(call, options);
  throw UsageError("claim takes take NAME OWNER, release NAME OWNER, owner NAME, move NAME FROM TO or list OWNER");
}

}  // namespace

Action add_rate(Arguments& arguments) {
  const auto options = std::make_shared<RateArguments>();
  constexpr std::uint64_t kMost = 1'000'000'000'000'000;
  arguments.word("KEY", options->key, "What is limited. Exit code 1 if the hit is denied");
  arguments.number("--limit", options->limit, 0, kMost, "What one window grants");
  arguments.duration("--window", options->window, "How long a window lasts, from its first hit");
  arguments.number("--cost", options->cost, 1, kMost, "What this hit counts (default 1)");
  arguments.flag("--peek", options->peek, "Tell what a hit would be told, and count nothing");
  arguments.flag("--reset", options->reset, "End the window instead. Exit code 1 if none was running");
  arguments.exclusive({"--peek", "--reset"});
  return [options](Call& call) { return rate(call, *options); };
}

Action add_claim(Arguments& arguments) {
  const auto options = std::make_shared<ClaimArguments>();
  arguments.word("ACTION", options->action,
                 "take (exit code 1 if another has it), release (1 if OWNER does not have it), owner (prints it; 1 if "
                 "nobody), move (1 if neither FROM nor TO has it) or list (prints the names that OWNER has claimed)");
  arguments.words("NAME OWNER", options->words, "As the action takes them");
  arguments.duration("--ttl", options->ttl, "For take: the claim ends this long from now (default: never)");
  arguments.text("--prefix", options->prefix, "P", "For list: only names that start with P");
  arguments.number("--limit", options->limit, 1, UINT64_MAX, "For list: print at most so many (default all)");
  return [options](Call& call) { return claim(call, *options); };
}

}  // namespace tuskv::cli
