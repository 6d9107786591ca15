#include "cli/arguments.h"

#include <charconv>
#include <utility>

#include <CLI/CLI.hpp>

#include "cli/shield.h"
#include "cli/time_text.h"

namespace tuskv::cli {

namespace {

std::uint64_t checked_number(const std::string& text, const char* names, std::uint64_t min, std::uint64_t max) {
  const auto number = parse_number(text);
  if (!number || *number < min || *number > max) {
    throw UsageError(std::string(names) + " takes a number from " + std::to_string(min) + " to " + std::to_string(max) +
                     ", not \"" + text + "\"");
  }
  return *number;
}

std::string checked_name(const std::string& word, const char* names, const char* form) {
  std::string name = unshielded(word);
  if (name.empty()) throw UsageError(std::string(names) + " takes a " + form + ", not an empty text");
  return name;
}

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, number);
  if (error != std::errc() || end != last) return std::nullopt;
  return number;
}

void Arguments::word(const char* name, std::string& target, const char* help) {
  verb_
      .add_option_function<std::string>(
          name, [&target](const std::string& word) { target = unshielded(word); }, help)
      ->required()
      ->type_name("");
}

void Arguments::word(const char* name, std::optional<std::string>& target, const char* help) {
  verb_
      .add_option_function<std::string>(
          name, [&target](const std::string& word) { target = unshielded(word); }, help)
      ->type_name("");
}

void Arguments::words(const char* name, std::vector<std::string>& target, const char* help) {
  const auto take = [&target](const std::vector<std::string>& words) {
    for (const std::string& word : words) target.push_back(unshielded(word));
  };
  verb_.add_option_function<std::vector<std::string>>(name, take, help)->type_name("");
}

void Arguments::flag(const char* names, bool& target, const char* help) { verb_.add_flag(names, target, help); }

void Arguments::text(const char* names, std::string& target, const char* form, const char* help) {
  verb_
      .add_option_function<std::string>(
          names, [&target](const std::string& word) { target = unshielded(word); }, help)
      ->type_name(form);
}

void Arguments::name(const char* names, std::string& target, const char* form, const char* help) {
  const auto take = [&target, names, form](const std::string& word) { target = checked_name(word, names, form); };
  verb_.add_option_function<std::string>(names, take, help)->type_name(form);
}

void Arguments::name(const char* names, std::optional<std::string>& target, const char* form, const char* help) {
  const auto take = [&target, names, form](const std::string& word) { target = checked_name(word, names, form); };
  verb_.add_option_function<std::string>(names, take, help)->type_name(form);
}

void Arguments::text(const char* names, std::optional<std::string>& target, const char* form, const char* help) {
  verb_
      .add_option_function<std::string>(
          names, [&target](const std::string& word) { target = unshielded(word); }, help)
      ->type_name(form);
}

void Arguments::number(const char* names, std::optional<std::uint64_t>& target, std::uint64_t min, std::uint64_t max,
                       const char* help) {
  const auto take = [&target, names, min, max](const std::string& word) {
    target = checked_number(unshielded(word), names, min, max);
  };
  verb_.add_option_function<std::string>(names, take, help)->type_name("N");
}

void Arguments::number(const char* names, std::uint64_t& target, std::uint64_t min, std::uint64_t max,
                       const char* help) {
  const auto take = [&target, names, min, max](const std::string& word) {
    target = checked_number(unshielded(word), names, min, max);
  };
  verb_.add_option_function<std::string>(names, take, help)->type_name("N");
}

void Arguments::duration(const char* names, std::optional<Duration>& target, const char* help) {
  const auto take = [&target, names](const std::string& word) {
    const auto duration = parse_duration(unshielded(word));
    if (!duration) {
      throw UsageError(std::string(names) + " takes a duration like 500ms, 30s, 5m, 2h or 7d, not \"" +
                       unshielded(word) + "\"");
    }
    target = Duration(*duration);
  };
  verb_.add_option_function<std::string>(names, take, help)->type_name("DURATION");
}

void Arguments::instant(const char* names, std::optional<Instant>& target, const char* help) {
  const auto take = [&target, names](const std::string& word) {
    const auto instant = parse_instant(unshielded(word));
    if (!instant) {
      throw UsageError(
          std::string(names) +
          " takes a time like 2030-01-31T12:00:00Z or 2030-01-31T14:00:00+02:00, or seconds since 1970, not \"" +
          unshielded(word) + "\"");
    }
    target = Instant(*instant);
  };
  verb_.add_option_function<std::string>(names, take, help)->type_name("TIME");
}

void Arguments::exclusive(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    for (const char* other : names) {
      if (name != other) verb_.get_option(name)->excludes(verb_.get_option(other));
    }
  }
}

}  // namespace tuskv::cli
