#include "cli/unexpected.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <optional>
#include <string_view>

#include <CLI/CLI.hpp>

#include "cli/shield.h"

namespace tuskv::cli {

namespace {

struct OtherName {
  std::string_view name;
  std::string_view ours;
};
/// What verbs of ours are called elsewhere.
constexpr std::array kOtherNames = {
    OtherName{"put", "set"},
    OtherName{"add", "set"},
    OtherName{"write", "set"},
    OtherName{"setnx", "set --nx"},
    OtherName{"setex", "set --ttl"},
    OtherName{"read", "get"},
    OtherName{"rm", "del"},
    OtherName{"delete", "del"},
    OtherName{"remove", "del"},
    OtherName{"erase", "del"},
    OtherName{"unset", "del"},
    OtherName{"clear", "del --all --yes"},
    OtherName{"flushall", "del --all --yes"},
    OtherName{"flushdb", "del --all --yes"},
    OtherName{"keys", "scan --keys-only"},
    OtherName{"ls", "scan --keys-only"},
    OtherName{"list", "scan"},
    OtherName{"dump", "export"},
    OtherName{"load", "import"},
    OtherName{"restore", "snapshots restore"},
    OtherName{"backup", "copy"},
    OtherName{"incrby", "incr"},
    OtherName{"decrby", "decr"},
    OtherName{"info", "stats"},
    OtherName{"dbsize", "count"},
    OtherName{"touch", "expire"},
    OtherName{"getex", "expire"},
    OtherName{"expireat", "expire --at"},
    OtherName{"pexpire", "expire"},
    OtherName{"pttl", "ttl --ms"},
    OtherName{"psetex", "set --ttl"},
    OtherName{"msetnx", "mset --nx"},
    OtherName{"unlink", "del"},
    OtherName{"grep", "search"},
    OtherName{"range", "scan --from --to"},
    OtherName{"unlock", "lock release"},
    OtherName{"save", "snapshots take"},
    OtherName{"bgsave", "snapshots take"},
    OtherName{"compact", "snapshots take"},
    OtherName{"vacuum", "snapshots take"},
    OtherName{"verify", "check"},
    OtherName{"fsck", "check"},
    OtherName{"migrate", "copy"},
    OtherName{"ping", "doctor"},
    OtherName{"health", "doctor"},
};

/// What options of ours are called in Redis, as words or behind dashes.
constexpr std::array kOtherOptions = {
    OtherName{"nx", "--nx"},      OtherName{"xx", "--xx"},       OtherName{"keepttl", "--keep-ttl"},
    OtherName{"ex", "--ttl"},     OtherName{"exat", "--at"},     OtherName{"px", "--ttl Nms"},
    OtherName{"match", "--glob"}, OtherName{"count", "--limit"},
};

std::string in_quotes(std::string_view word) { return '"' + std::string(word) + '"'; }

std::string lower_case(std::string_view word) {
  std::string lower(word);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower;
}

/// Letters to add, remove or change to make one word of the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, changed}));
    }
  }
  return row.back();
}

/// The candidate that the word is a slip of the keyboard away from.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates) {
  constexpr std::size_t kLongWord = 5;
  constexpr std::size_t kComparedBytesMax = 40;
  if (word.size() > kComparedBytesMax) return std::nullopt;
  std::size_t best = word.size() < kLongWord ? 2 : 3;  // what is no slip any more
  std::optional<std::string> found;
  for (const std::string& candidate : candidates) {
    const std::size_t far = distance(word, candidate);
    if (far < best) {
      best = far;
      found = candidate;
    }
  }
  return found;
}

std::string did_you_mean(const std::optional<std::string>& meant) {
  return meant ? ": did you mean " + in_quotes(*meant) + "?" : "";
}

std::string see_help(const CLI::App& program, const CLI::App* verb) {
  if (program.get_name().empty()) return "; see help" + (verb == nullptr ? "" : " " + verb->get_name());
  return "; see " + program.get_name() + (verb == nullptr ? "" : " " + verb->get_name()) + " --help";
}

std::string too_many(const std::string& word, const CLI::App& verb) {
  return in_quotes(word) + " is one word too many for " + verb.get_name();
}

void add_options(const CLI::App& app, std::vector<std::string>& names) {
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
}

/// The option of the verb that the word, in whatever letters, is called elsewhere.
std::optional<std::string> option_of_redis(std::string_view word, const CLI::App& verb) {
  const std::string name = lower_case(word.substr(std::min(word.find_first_not_of('-'), word.size())));
  for (const OtherName& other : kOtherOptions) {
    const std::string option(other.ours.substr(0, other.ours.find(' ')));
    if (other.name == name && verb.get_option_no_throw(option) != nullptr) return std::string(other.ours);
  }
  return std::nullopt;
}

std::string no_such_option(const std::string& word, const CLI::App& program, const CLI::App* verb) {
  const std::string name = word.substr(0, word.find('='));
  if (verb != nullptr && verb->get_option_no_throw(name) != nullptr) {
    return in_quotes(name) + " is an option of " + verb->get_name() + ": write it behind the verb";
  }
  std::vector<std::string> names;
  add_options(program, names);
  if (verb != nullptr) add_options(*verb, names);
  auto meant = verb == nullptr ? std::nullopt : option_of_redis(name, *verb);
  if (!meant) meant = nearest(name, names);
  const std::string none = (verb == nullptr ? "there is" : verb->get_name() + " has") + " no option " + in_quotes(name);
  if (meant) return none + did_you_mean(meant);
  return none + see_help(program, verb) + (verb == nullptr ? "" : ", and write -- before data that begins with a dash");
}

}  // namespace

std::string no_such_verb(const std::string& word, const CLI::App& program) {
  const std::string lower = lower_case(word);
  std::optional<std::string> meant;
  for (const OtherName& other : kOtherNames) {
    if (other.name == lower) meant = std::string(other.ours);
  }
  if (!meant) {
    std::vector<std::string> verbs;
    for (const CLI::App* verb : program.get_subcommands({})) verbs.push_back(verb->get_name());
    if (std::find(verbs.begin(), verbs.end(), word) != verbs.end()) {
      return in_quotes(word) + " stands behind --, where every word is data: write the verb before it";
    }
    meant = nearest(lower, verbs);
  }
  return "there is no verb " + in_quotes(word) + (meant ? did_you_mean(meant) : see_help(program, nullptr));
}

std::string unexpected(const std::vector<std::string>& words, const CLI::App& program, const CLI::App* verb) {
  const std::string first = words.empty() ? std::string() : unshielded(words.front());
  const bool is_option = first.size() > 1 && first.front() == '-' && words.front() == first;
  if (is_option) return no_such_option(first, program, verb);
  if (verb == nullptr) return no_such_verb(first, program);
  for (const std::string& word : words) {
    const auto meant = option_of_redis(word, *verb);
    if (meant) return too_many(word, *verb) + " (quote what holds blanks)" + did_you_mean(meant);
  }
  if (verb->get_option_no_throw("--glob") != nullptr) {  // a listing: the word says which keys
    const bool is_glob = first.find_first_of("*?") != std::string::npos;
    return too_many(first, *verb) + did_you_mean((is_glob ? "--glob " : "--prefix ") + first);
  }
  return too_many(first, *verb) + " (quote what holds blanks)" + see_help(program, verb);
}

}  // namespace tuskv::cli
