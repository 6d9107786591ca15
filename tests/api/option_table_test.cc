#include "option_table.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <utility>

#include "api/reference_store.h"
#include "tuskv/maintenance.h"

namespace tuskv::test {
namespace {

using namespace std::chrono_literals;

std::string set(std::string_view name, std::string_view text, Options& options) {
  const Status status = set_option(*find_option(name), text, options);
  return status.ok() ? "" : status.failure().message;
}

TEST(OptionTable, SetsEveryKindOfField) {
  Options options;
  EXPECT_EQ(set("timeout", "2s", options), "");
  EXPECT_EQ(set("durability", "unlogged", options), "");
  EXPECT_EQ(set("ttl_mode", "on_read", options), "");
  EXPECT_EQ(set("max_value_bytes", "64MiB", options), "");
  EXPECT_EQ(set("create", "false", options), "");
  EXPECT_EQ(set("keep_snapshots", "0", options), "");
  EXPECT_EQ(options.timeout.milliseconds(), 2000);
  EXPECT_EQ(options.durability, Durability::unlogged);
  EXPECT_EQ(options.ttl_mode, TtlMode::on_read);
  EXPECT_EQ(options.max_value_bytes, std::size_t{64} << 20);
  EXPECT_FALSE(options.create);
  EXPECT_EQ(options.keep_snapshots, 0u);
}

TEST(OptionTable, UnitsAndFormsAreRequired) {
  Options options;
  for (const auto& [name, text] :
       std::vector<std::pair<const char*, const char*>>{{"timeout", "5"},
                                                        {"timeout", "s"},
                                                        {"timeout", ""},
                                                        {"timeout", "-5s"},
                                                        {"timeout", "+5s"},
                                                        {"timeout", "5 s"},
                                                        {"timeout", "5S"},
                                                        {"timeout", "0.5s"},
                                                        {"timeout", "0ms"},
                                                        {"timeout", "2d"},
                                                        {"timeout", "5MiB"},
                                                        {"timeout", "5s "},
                                                        {"max_key_bytes", "1024"},
                                                        {"max_key_bytes", "0B"},
                                                        {"max_key_bytes", "3KiB"},
                                                        {"max_value_bytes", "1kb"},
                                                        {"max_value_bytes", "9223372036854775807TiB"},
                                                        {"max_value_bytes", "99999999999999999999B"},
                                                        {"sweep_batch", "10B"},
                                                        {"sweep_batch", "0"},
                                                        {"create", "1"},
                                                        {"create", "TRUE"},
                                                        {"durability", "Durable"},
                                                        {"durability", ""},
                                                        {"ttl_mode", "lazy"}}) {
    EXPECT_NE(set(name, text, options), "") << name << "=" << text;
  }
  EXPECT_TRUE(check_options(options).ok());
  EXPECT_EQ(options.timeout.milliseconds(), Options().timeout.milliseconds());
}

TEST(OptionTable, ErrorsNameTheOptionAndTheRule) {
  Options options;
  EXPECT_EQ(set("timeout", "5", options), "option \"timeout\" must be 1ms to 1d (with its unit), not \"5\"");
  EXPECT_EQ(set("sweep_batch", "0", options), "option \"sweep_batch\" must be 1 to 100000, not \"0\"");
  EXPECT_EQ(set("create", "yes", options), "option \"create\" must be false or true, not \"yes\"");
  EXPECT_EQ(set("ttl_mode", "x", options),
            "option \"ttl_mode\" must be background, on_read, manual or disabled, not \"x\"");
  // Who sets a field writes a number, and no unit.
  const auto refused = [](const Options& wrong) { return check_options(wrong).failure().message; };
  EXPECT_EQ(refused({.max_key_bytes = 5000}), "option \"max_key_bytes\" must be 1 to 2048 bytes, not 5000");
  EXPECT_EQ(refused({.sweep_batch = 0}), "option \"sweep_batch\" must be 1 to 100000, not \"0\"");
}

TEST(OptionTable, NearNamesAreTwoEditsAwayAtMost) {
  EXPECT_EQ(near_option("durabilty"), "durability");
  EXPECT_EQ(near_option("Table"), "table");
  EXPECT_EQ(near_option("tabel"), "table");
  for (const std::string& other : {std::string("foo"), std::string(), std::string("password"), std::string(500, 't')}) {
    EXPECT_EQ(near_option(other), "") << other;
  }
}

// Each row's bounds are accepted as text and as a field, and one beyond them is refused as both.
TEST(OptionTable, BoundsHoldForTextAndFields) {
  for (const OptionRow& row : option_table()) {
    if (row.max == 0 || row.kind == OptionKind::identifier || row.kind == OptionKind::path) continue;
    const char* unit = row.kind == OptionKind::duration ? "ms" : row.kind == OptionKind::bytes ? "B" : "";
    for (const std::int64_t value : {row.min - 1, row.min, row.max, row.max + 1}) {
      const bool fits = value >= row.min && value <= row.max;
      Options options;
      EXPECT_EQ(set_option(row, std::to_string(value) + unit, options).ok(), fits) << row.name << " " << value;
      if (const auto* duration = std::get_if<Duration Options::*>(&row.field)) {
        options.** duration = std::chrono::milliseconds(value);
      } else if (value >= 0) {
        options.*std::get<std::size_t Options::*>(row.field) = static_cast<std::size_t>(value);
      } else {
        continue;
      }
      EXPECT_EQ(check_options(options).ok(), fits) << row.name << " " << value;
    }
  }
}

// R16: a name that needs no quoting, and leaves room for what is derived from it.
TEST(OptionTable, P13_R16_NamesAreLowerCaseIdentifiers) {
  Options options;
  const std::string longest(48, 'a');
  for (const std::string& name : {std::string("t"), std::string("_a1"), longest}) {
    EXPECT_EQ(set("table", name, options), "") << name;
    EXPECT_EQ(options.table, name);
    EXPECT_TRUE(check_options(options).ok()) << name;
  }
  for (const std::string& name :
       {std::string(), longest + "a", std::string("1a"), std::string("A"), std::string("a\"b"), std::string("a b"),
        std::string("\"; drop table x;--"), std::string("tabl\xc3\xa9"), std::string("a.b"), std::string("a\0b", 3)}) {
    EXPECT_EQ(set("table", name, options),
              "option \"table\" must be a lower-case name (a-z, 0-9, _) of 1 to 48 bytes, not \"" + name + "\"");
    EXPECT_FALSE(check_options({.table = name}).ok()) << name;
  }
  EXPECT_EQ(set("schema", "", options), "");
  EXPECT_EQ(set("prepare", "always", options), "");
  EXPECT_EQ(set("value_type", "jsonb", options), "");
}

// What was given for it may be a key: it is never shown.
TEST(OptionTable, PathsAreBoundedAndNotShown) {
  Options options;
  EXPECT_EQ(set("encryption_key_file", std::string(4096, 'p'), options), "");
  EXPECT_TRUE(check_options(options).ok());
  const std::string rule = "option \"encryption_key_file\" must be the path of a file, at most 4096 bytes, or none";
  for (const std::string& path : {std::string(4097, 'p'), std::string("a\0b", 3)}) {
    EXPECT_EQ(set("encryption_key_file", path, options), rule);
    EXPECT_EQ(check_options({.encryption_key_file = path}).failure().message, rule);
  }
  EXPECT_EQ(set("encryption_key_file", "", options), rule);  // a variable that was not set
  EXPECT_TRUE(check_options({}).ok());
}

TEST(OptionTable, AnEnumerationOutOfRangeIsRefused) {
  Options options;
  options.durability = static_cast<Durability>(3);
  EXPECT_EQ(check_options(options).failure().message,
            "option \"durability\" must be durable, relaxed or unlogged, not \"3\"");
}

TEST(OptionTable, NamesTheNearest) {
  EXPECT_EQ(nearest_option("duribility"), "durability");
  EXPECT_EQ(nearest_option("time_out"), "timeout");
  EXPECT_EQ(nearest_option("keep_snapshot"), "keep_snapshots");
  EXPECT_FALSE(nearest_option("").empty());
}

// The help shows what the table accepts: every default is within its own rule.
TEST(OptionTable, HelpIsTheTable) {
  const std::vector<OptionHelp> help = option_help();
  ASSERT_EQ(help.size(), option_table().size());
  std::set<std::string> names;
  Options options;
  for (const OptionHelp& row : help) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_FALSE(row.help.empty());
    EXPECT_EQ(set(row.name, row.default_value, options), "") << row.name << "=" << row.default_value;
    EXPECT_EQ(option_text(*find_option(row.name), {}), row.default_value);
  }
  EXPECT_EQ(help.front().name, "timeout");
  EXPECT_EQ(help.front().default_value, "5s");
  EXPECT_EQ(option_text(*find_option("max_value_bytes"), {}), "100MiB");
}

// ---- opening

std::string open_error(Bytes url, const Options& options = {}) {
  return message_of([&] { Store::open(url, options); });
}

TEST(Open, AppliesWhatTheUrlSays) {
  const Store store = Store::open("memory:?max_key_bytes=3B&max_value_bytes=2B");
  store.set("abc", "12");
  EXPECT_EQ(message_of([&] { store.set("abcd", ""); }), "a key of 4 bytes is over the limit of 3 (max_key_bytes)");
  EXPECT_EQ(code_of([&] { store.set("a", "123"); }), Code::TooLarge);
}

TEST(Open, TheUrlBeatsTheOptions) {
  const Options options{.max_key_bytes = 5};
  const Store store = Store::open("memory:?max_key_bytes=3B", options);
  EXPECT_EQ(code_of([&] { store.set("abcd", ""); }), Code::InvalidKey);
  EXPECT_EQ(code_of([&] { Store::open("memory:", options).set("abcdef", ""); }), Code::InvalidKey);
}

TEST(Open, TellsWhatItWouldOpenWith) {
  const Options options = Store::options_for("file:./none?create=%66alse&sync_interval=7ms", {.max_key_bytes = 5});
  EXPECT_FALSE(options.create);
  EXPECT_EQ(options.sync_interval.milliseconds(), 7);
  EXPECT_EQ(options.max_key_bytes, 5u);
  EXPECT_TRUE(Store::options_for("postgresql://nobody:create=false@nowhere/db?application_name=create=false").create);
  EXPECT_EQ(code_of([] { Store::options_for("file:./none?create=perhaps"); }), Code::Config);
}

// A guess that explains nothing sends its reader astray.
TEST(Open, S91_AnOptionThatIsNoSlipOfAnotherIsToldWhatThereIs) {
  const std::string memory = open_error("memory:?mode=ro");
  EXPECT_TRUE(memory.starts_with("there is no option \"mode\"; such a store has timeout, ttl_mode, ")) << memory;
  EXPECT_EQ(memory.find("durability"), std::string::npos) << memory;
  const std::string file = open_error("file:./never_made?busy_timeout=1s");
  EXPECT_NE(file.find(", keep_snapshots, "), std::string::npos) << file;
  EXPECT_EQ(file.find("partitions"), std::string::npos) << file;
}

TEST(Open, RefusesWhatDoesNotFit) {
  EXPECT_EQ(open_error("memory:?duribility=x"), "there is no option \"duribility\": did you mean \"durability\"?");
  EXPECT_EQ(open_error("memory:?create=true"), "option \"create\" is for file: and postgresql: stores only");
  EXPECT_EQ(open_error("memory:?durability=durable"), "option \"durability\" is for file: and postgresql: stores only");
  EXPECT_EQ(open_error("memory:?timeout=0ms"), "option \"timeout\" must be 1ms to 1d (with its unit), not \"0ms\"");
  EXPECT_EQ(open_error("memory:", {.timeout = 0ms}),
            "option \"timeout\" must be 1ms to 1d (with its unit), not \"0ms\"");
  EXPECT_EQ(open_error("memory:", {.timeout = std::chrono::hours::max()}),
            "option \"timeout\" must be 1ms to 1d (with its unit), not \"9223372036854775807ms\"");
  EXPECT_EQ(open_error("./data"), "the URL has no scheme: did you mean file:./data?");
  EXPECT_EQ(code_of([] { Store::open("memory:?x=1"); }), Code::Config);
  EXPECT_EQ(open_error("memory:?table=t"), "option \"table\" is for postgresql: stores only");
  EXPECT_EQ(open_error("postgresql://localhost/db?timeout=x"), "option \"timeout\" must be 1ms to 1d (with its unit)");
  EXPECT_EQ(open_error("postgresql://localhost/db?keep_snapshots=1"),
            "option \"keep_snapshots\" is for file: stores only");
  EXPECT_EQ(code_of([] { Store::open(static_cast<const char*>(nullptr)); }), Code::InvalidArgument);
}

TEST(Open, TakesAClock) {
  ManualClock clock;
  const Store store = open_store("memory:?ttl_mode=manual", {}, {.clock = &clock});
  store.set("k", "1", {.ttl = 1s});
  clock.advance_ms(999);
  EXPECT_TRUE(store.exists("k"));
  clock.advance_ms(1);
  EXPECT_FALSE(store.exists("k"));
}

// ---- what options.h says

/// The comment above each field, on one line.
std::map<std::string, std::string> comments_of_fields() {
  std::ifstream header(TUSKV_OPTIONS_HEADER);
  const std::regex field(R"(^  [\w:]+ (\w+) = .*;)");
  std::map<std::string, std::string> comments;
  std::string comment;
  for (std::string line; std::getline(header, line);) {
    std::smatch found;
    if (line.starts_with("  /// ")) {
      comment += line.substr(5);
    } else {
      if (std::regex_search(line, found, field)) comments[found[1]] = comment;
      comment.clear();
    }
  }
  return comments;
}

/// "1 ms to 7 days" in the smallest unit, milliseconds or bytes; nothing when there is no range.
std::optional<std::pair<std::int64_t, std::int64_t>> range_in(const std::string& comment) {
  const std::map<std::string, std::int64_t> units = {{"", 1},
                                                     {"ms", 1},
                                                     {"hour", 3'600'000},
                                                     {"day", 86'400'000},
                                                     {"days", 86'400'000},
                                                     {"KiB", std::int64_t{1} << 10},
                                                     {"MiB", std::int64_t{1} << 20},
                                                     {"GiB", std::int64_t{1} << 30},
                                                     {"TiB", std::int64_t{1} << 40}};
  const std::regex range(R"( (\d+)(?: (ms|KiB))? to (\d+)(?: (\w+))?[.,;])");
  std::smatch found;
  if (!std::regex_search(comment, found, range)) return std::nullopt;
  return std::pair(std::stoll(found[1]) * units.at(found[2]), std::stoll(found[3]) * units.at(found[4]));
}

TEST(OptionTable, TheCommentsOfTheFieldsSayTheBounds) {
  const std::map<std::string, std::string> comments = comments_of_fields();
  for (const OptionRow& row : option_table()) {
    SCOPED_TRACE(row.name);
    const auto comment = comments.find(std::string(row.name));
    ASSERT_NE(comment, comments.end());
    const bool has_bounds =
        row.kind == OptionKind::duration || row.kind == OptionKind::bytes || row.kind == OptionKind::count;
    if (!has_bounds) continue;
    EXPECT_EQ(range_in(comment->second), std::pair(row.min, row.max)) << comment->second;
  }
}

}  // namespace
}  // namespace tuskv::test
