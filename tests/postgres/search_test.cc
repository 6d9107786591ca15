// Searching where the server does it: that it says what the matcher says, in time.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "filter.h"
#include "json_member.h"
#include "named_limits.h"
#include "postgres/server_test.h"
#include "search_filter.h"
#include "support/fault_proxy.h"
#include "support/random.h"
#include "support/random_seed.h"
#include "support/turned_encryptor.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using std::string_literals::operator""s;
using testing::HasSubstr;
using Names = std::vector<std::string>;

std::string hex_literal(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string literal = "'\\x";
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    literal += kDigits[byte >> 4];
    literal += kDigits[byte & 15];
  }
  return literal + "'::bytea";
}

// ---- random JSON

class RandomJson final {
 public:
  explicit RandomJson(std::uint64_t seed) : random_(seed) {}

  /// An object, mostly well-formed, in which member "f" is likely.
  std::string document() {
    std::string text = space() + "{";
    const std::uint64_t members = random_.below(5);
    for (std::uint64_t i = 0; i < members; ++i) {
      if (i > 0) text += space() + "," + space();
      text += name() + space() + ":" + space() + (random_.chance(70) ? scalar() : value(3));
    }
    text += space() + "}" + space();
    if (random_.chance(10)) mutate(text);
    return text;
  }

  std::string scalar() {
    switch (random_.below(8)) {
      case 0: return "true";
      case 1: return "false";
      case 2: return "null";
      case 3:
      case 4: return string();
      default: return number();
    }
  }

  std::string number() {
    static constexpr const char* kNumbers[] = {"0",
                                               "-0",
                                               "0.0",
                                               "1",
                                               "1.0",
                                               "1.00",
                                               "10e-1",
                                               "0.1E+1",
                                               "100",
                                               "1e2",
                                               "1E+02",
                                               "-1",
                                               "-1.0",
                                               "1.5",
                                               "15e-1",
                                               "1.50",
                                               "1e400",
                                               "10e399",
                                               "1e-20",
                                               "0.0e-3",
                                               "0e10",
                                               "12345678901234567890123",
                                               "12345678901234567890124",
                                               "1.2345678901234567890123e22",
                                               "1e131071",
                                               "-1e131071",
                                               "1e131072",
                                               "-1e131072",
                                               "1e-16383",
                                               "-1e-16383",
                                               "1e-16384",
                                               "9007199254740993",
                                               "1e99999999999"};
    if (random_.chance(70)) return kNumbers[random_.below(std::size(kNumbers))];
    std::string text = random_.chance(30) ? "-" : "";
    text += std::to_string(random_.below(random_.chance(50) ? 10 : 100'000));
    if (random_.chance(50)) text += "." + std::to_string(random_.below(1000)) + (random_.chance(40) ? "0" : "");
    if (random_.chance(30)) text += (random_.chance(50) ? "e" : "E-") + std::to_string(random_.below(6));
    return text;
  }

  std::string string() {
    static constexpr const char* kPieces[] = {
        "a",    "b",   "f", "1",       " ",    "\\u0061", "\\u00e4",        "\xc3\xa4",         "\\n",    "\\\\",
        "\\\"", "\\/", "/", "\\u0001", "\x7f", "{",       "\\ud83d\\ude00", "\xf0\x9f\x98\x80", "\\u20AC"};
    static constexpr const char* kRare[] = {"\\u0000", "\\ud800",      "\\udc00",  "\\ud800\\u0041",
                                            "\xff",    "\xed\xa0\x80", "\xc0\x80", "\n"};
    std::string text = "\"";
    for (std::uint64_t i = random_.below(4); i > 0; --i) text += kPieces[random_.below(std::size(kPieces))];
    if (random_.chance(3)) text += kRare[random_.below(std::size(kRare))];
    return text + "\"";
  }

  std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }

 private:
  std::string name() {
    static constexpr const char* kNames[] = {"\"f\"", "\"f\"", "\"\\u0066\"", "\"g\"", "\"\"", "\"ff\""};
    return kNames[random_.below(std::size(kNames))];
  }
  std::string space() {
    static constexpr const char* kSpaces[] = {"", "", "", " ", "\n", "\t\r "};
    return kSpaces[random_.below(std::size(kSpaces))];
  }
  std::string value(int depth) {
    if (depth == 0 || random_.chance(40)) return scalar();
    const bool object = random_.chance(50);
    std::string text = object ? "{" : "[";
    for (std::uint64_t i = random_.below(3); i > 0; --i) {
      if (object) text += name() + ":";
      text += space() + value(depth - 1) + (i > 1 ? "," : "");
    }
    return text + (object ? "}" : "]");
  }
  void mutate(std::string& text) {
    static constexpr std::string_view kBytes = "{}[],:\"\\ 01e.-+tfn\xff\x80\0\x1f";
    const std::size_t at = random_.below(text.size());
    switch (random_.below(3)) {
      case 0: text.erase(at, 1); break;
      case 1: text[at] = kBytes[random_.below(kBytes.size())]; break;
      default: text.insert(at, 1, kBytes[random_.below(kBytes.size())]); break;
    }
  }

  Random random_;
};

class PostgresSearch : public ServerTest {
 protected:
  /// What jsonb says of each case; "refused" where it does not take the document.
  std::vector<std::string> verdicts(const std::vector<std::pair<std::string, std::string>>& cases, bool text) {
    std::string rows;
    for (std::size_t i = 0; i < cases.size(); ++i) {
      rows += (i == 0 ? "(" : ", (") + std::to_string(i) + ", " + hex_literal(cases[i].first) + ", " +
              hex_literal(cases[i].second) + ")";
    }
    std::vector<std::string> answers;
    for (const SqlRow& row : sql().run("select verdict(d, v, " + std::string(text ? "true" : "false") +
                                       ") from (values " + rows + ") c(i, d, v) order by i")) {
      answers.push_back(row.at(0).value());
    }
    return answers;
  }

  void make_verdict_function() {
    sql().run(
        "create function verdict(d bytea, v bytea, is_text bool) returns text language plpgsql as $$ declare j jsonb; "
        "w jsonb; begin begin j := convert_from(d, 'UTF8')::jsonb; exception when others then return 'refused'; end; "
        "if jsonb_typeof(j) <> 'object' then return 'false'; end if; "
        "if is_text then return coalesce(jsonb_typeof(j -> 'f') in ('string', 'number', 'boolean') and "
        "(j ->> 'f') = convert_from(v, 'UTF8'), false)::text; end if; "
        "begin w := convert_from(v, 'UTF8')::jsonb; exception when others then return 'false'; end; "
        "return coalesce((j -> 'f') = w, false)::text; end $$");
  }
};

/// A document that jsonb refuses although it is well-formed: for NUL, or a number with more digits than it keeps.
bool is_beyond_jsonb(std::string_view document) {
  if (document.find("\\u0000") != std::string_view::npos) return true;
  for (std::size_t e = 1; e < document.size(); ++e) {
    if ((document[e] != 'e' && document[e] != 'E') || document[e - 1] < '0' || document[e - 1] > '9') continue;
    const long exponent = std::strtol(std::string(document.substr(e + 1, 20)).c_str(), nullptr, 10);
    if (exponent > 131'000 || exponent < -16'300) return true;
  }
  return false;
}

TEST_F(PostgresSearch, A10_TheMatcherSaysWhatJsonbSays) {
  make_verdict_function();
  const std::uint64_t seed = random_seed();
  RandomJson json(seed);
  std::size_t matched = 0;
  std::size_t refused = 0;
  for (int round = 0; round < 20; ++round) {
    const bool text = round % 2 == 1;
    std::vector<std::pair<std::string, std::string>> cases;
    while (cases.size() < 1000) {
      std::string value = json.scalar();
      const std::optional<JsonValue> parsed = parse_value(value);
      if (!parsed || (parsed->kind == JsonValue::Kind::number && !canonical_number(value))) continue;
      if (text && parsed->kind == JsonValue::Kind::string) value = unescaped(value);
      if (text && value.find('\0') != std::string::npos) continue;
      cases.emplace_back(json.document(), std::move(value));
    }
    const std::vector<std::string> expected = verdicts(cases, text);
    ASSERT_EQ(expected.size(), cases.size());
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const auto& [document, value] = cases[i];
      const bool matches = matches_value(checked_field("f", value, {.text = text}).filter(), document);
      if (expected[i] == "refused") {
        ++refused;
        EXPECT_TRUE(!parse_value(document) || is_beyond_jsonb(document)) << "seed " << seed << ": " << document;
        continue;
      }
      EXPECT_EQ(matches, expected[i] == "true")
          << "seed " << seed << (text ? ", text " : ", ") << value << " in " << document;
      EXPECT_TRUE(parse_value(document)) << "seed " << seed << ": " << document;
      matched += matches ? 1 : 0;
    }
  }
  EXPECT_GT(matched, 250u);  // otherwise this shows nothing
  EXPECT_GT(refused, 200u);
}

TEST_F(PostgresSearch, A10_EveryEngineFindsTheSame) {
  const Store bytes = open("&durability=unlogged");
  const Store documents = open("&durability=unlogged&value_type=jsonb&table=documents");
  const Store indexed = open("&durability=unlogged&value_type=jsonb&table=indexed");
  const Store memory = Store::open("memory:");
  ASSERT_TRUE(indexed.create_index("f"));
  const std::uint64_t seed = random_seed();
  RandomJson json(seed);
  std::size_t stored = 0;
  std::size_t refused = 0;
  for (int i = 0; i < 600; ++i) {
    const std::string key = "c:" + std::to_string(json.below(100'000));
    const std::string document = json.document();
    try {
      documents.set(key, document);
    } catch (const Error&) {  // nothing that jsonb takes
      bytes.set("refused:" + key, document);
      memory.set("refused:" + key, document);
      ++refused;
      continue;
    }
    ++stored;
    indexed.set(key, document);
    bytes.set(key, document);
    memory.set(key, document);
  }
  EXPECT_GT(stored, 300u);
  EXPECT_GT(refused, 10u);
  std::size_t found = 0;
  for (int i = 0; i < 400; ++i) {
    std::string value = json.scalar();
    const std::optional<JsonValue> parsed = parse_value(value);
    if (!parsed || (parsed->kind == JsonValue::Kind::number && !canonical_number(value))) continue;
    FindOptions options{.text = i % 2 == 1, .limit = 1 + json.below(60)};
    if (options.text && parsed->kind == JsonValue::Kind::string) value = unescaped(value);
    const auto keys = [&](const Store& store, const char* collection = "c") {
      Names names;
      std::string after;
      do {
        options.after = after;
        Page page = store.find_by_field(collection, "f", value, options);
        for (Entry& entry : page.entries) names.push_back(std::move(entry.key));
        after = std::move(page.next);
      } while (!after.empty());
      return names;
    };
    const Names expected = keys(memory);
    found += expected.size();
    EXPECT_EQ(keys(bytes), expected) << "seed " << seed << ": " << value;
    EXPECT_EQ(keys(documents), expected) << "seed " << seed << ": " << value;
    EXPECT_EQ(keys(indexed), expected) << "seed " << seed << ": " << value;
    EXPECT_EQ(keys(bytes, "refused"), keys(memory, "refused")) << "seed " << seed << ": " << value;
  }
  EXPECT_GT(found, 400u);
}

// ---- what it costs, and what the server can hold

TEST_F(PostgresSearch, JsonIsForDatabasesOfUtf8) {
  const std::string latin = database() + "_latin";
  sql().run("create database " + latin + " encoding 'LATIN1' locale 'C' template template0");
  const std::string there = shared().server().url(latin);
  const Error error = error_of([&] { return Store::open(there + "&value_type=jsonb"); });
  EXPECT_EQ(error.code(), Code::Config);
  EXPECT_THAT(error.what(), HasSubstr("LATIN1"));
  Store::open(there).set("k", "\xff");
  sql().run("drop database " + latin + " with (force)");
}

TEST_F(PostgresSearch, Y11_AHostileNeedleIsNoProductOfSizes) {
  const Store store = open("&durability=unlogged");
  const std::string half(2000, 'a');
  for (const char* key : {"c:1", "c:2", "c:3"}) store.set(key, std::string(4'000'000, 'a'));
  for (const char* key : {"c:4", "c:5", "c:6"}) store.set(key, std::string(1'000'000, 'a'));
  const Store hurried = store.with_timeout(4000ms);
  EXPECT_TRUE(hurried.search_values(half + "b" + half, {.ignore_case = true}).entries.empty());
  EXPECT_TRUE(hurried.find_by_field("c", "f", "\"" + std::string(60'000, 'a') + "b\"").entries.empty());
}

TEST_F(PostgresSearch, R132_ALongNeedleCostsWhatAShortOneDoes) {
  const Store store = open("&durability=unlogged").with_timeout(60s);
  store.set("k", std::string(32'000'000, 'a'));
  const auto time_of = [&](const std::string& needle) {
    const auto start = std::chrono::steady_clock::now();
    EXPECT_TRUE(store.search_values(needle).entries.empty());
    return std::chrono::steady_clock::now() - start;
  };
  const auto time_of_short = std::min(time_of("aaab"), time_of("aaab"));
  const auto time_of_long = time_of(std::string(kNeedleBytesMax - 1, 'a') + "b");
  EXPECT_LT(time_of_long, 5 * time_of_short);
}

/// Longer needles are judged by what the server need not compare as well.
TEST_F(PostgresSearch, ALongNeedleIsFoundWhole) {
  for (const char* type : {"bytea", "jsonb"}) {
    const Store store = open("&table=" + std::string(type) + "&value_type=" + type);
    const std::string beginning(300, 'a');
    store.set_many({{"k1", '"' + beginning + "end\""}, {"k2", '"' + beginning + "END\""}, {"k3", "\"a\""}});
    EXPECT_EQ(keys_of(store.search_values(beginning + "end")), Names{"k1"});
    EXPECT_EQ(keys_of(store.search_values(beginning + "End", {.ignore_case = true})), (Names{"k1", "k2"}));
    EXPECT_EQ(keys_of(store.search_values(beginning, {.limit = 1})), Names{"k1"});
  }
}

/// A number is kept without its exponent, so that a document of few bytes may come back as more than a server can send.
TEST_F(PostgresSearch, R130_ADocumentThatIsWrittenOutTooLargeIsRefused) {
  const Store store = open("&value_type=jsonb");
  const auto numbers = [](int count, const std::string& number) {
    std::string document = "[\"1e131071 \\\"1e131071\", 1";
    for (int i = 0; i < count; ++i) document += "," + number;
    return document + "]";
  };
  const std::string too_large = numbers(9, "1e131071");
  const auto is_refused = [&](const std::function<void()>& call) {
    const Error error = error_of(call);
    EXPECT_EQ(error.code(), Code::TooLarge);
    EXPECT_EQ(error.outcome(), Outcome::not_applied);
    EXPECT_THAT(error.what(), testing::AllOf(HasSubstr("k1"), HasSubstr("writes it out")));
  };
  is_refused([&] { store.set("k1", too_large); });
  is_refused([&] { store.set("k1", numbers(80, "-1.5E-16000")); });
  is_refused([&] { store.set_many({{"k0", "0"}, {"k1", too_large}}); });
  is_refused([&] { store.set_if_absent("k1", too_large); });
  is_refused([&] { store.update("k1", [&](auto) { return Change(too_large); }); });
  is_refused([&] { store.transaction([&](Transaction& tx) { tx.set("k1", too_large); }); });
  is_refused([&] { store.async().set("k1", too_large).wait(); });
  EXPECT_EQ(store.count(), 0u);
  // What a program writes of its own numbers may be eight times as long, and a little may be anything.
  store.set("k1", numbers(7, "1e131071"));
  store.set("k2", numbers(200'000, "1.25e-30"));
  EXPECT_GT(store.get("k1")->size(), 7u * 131'072);
}

/// Rows that others wrote: what they weigh in the table tells nothing. The small ones before make the first statement a
/// quick one.
TEST_F(PostgresSearch, R131_APageOfDocumentsEndsByWhatTheyAreWrittenOut) {
  const Store store = open("&value_type=jsonb");
  const int large = 400;
  const std::string document = R"({"f": [1e131071, 1e131071], "g": 1})";
  sql().run(
      "insert into tuskv(key, value, created_at, updated_at, version) select '\\x00'::bytea || convert_to('c:' || "
      "(1000 + i), 'UTF8'), (case when i <= 200 then '{\"g\": 1}' else '" +
      document + "' end)::jsonb, now(), now(), 1 from generate_series(1, 200 + " + std::to_string(large) + ") i");
  const auto walk = [&](const std::function<Page(std::string_view after)>& page_after) {
    std::size_t entries = 0;
    std::string after;
    do {
      const Page page = page_after(after);
      std::size_t bytes = 0;
      for (const Entry& entry : page.entries) bytes += entry.value.size();
      EXPECT_LE(bytes, std::size_t{64} << 20);
      entries += page.entries.size();
      after = page.next;
    } while (!after.empty());
    EXPECT_EQ(entries, 600u);
  };
  walk([&](std::string_view after) { return store.scan({.after = after, .limit = 1000}); });
  walk([&](std::string_view after) { return store.search_values("\"g\"", {.limit = 1000, .after = after}); });
  for (const bool indexed : {false, true}) {
    if (indexed) store.create_index("g");
    walk([&](std::string_view after) { return store.find_by_field("c", "g", "1", {.limit = 1000, .after = after}); });
  }
}

/// Small, and written out in 33 MB, for which the server takes its time.
std::string slow_document() {
  std::string document = "[1e131071";
  for (int i = 1; i < 250; ++i) document += ",1e131071";
  return document + "]";
}

TEST_F(PostgresSearch, Y11_WhatHasBeenFoundIsNotLostWhenTheRestTakesTooLong) {
  const Store store = open("&value_type=jsonb&durability=unlogged");
  std::vector<std::string> keys;
  for (int i = 0; i < 1100; ++i) keys.push_back("k" + std::to_string(1000 + i));
  std::vector<Item> items;
  for (const std::string& key : keys) items.push_back({.key = key, .value = "\"hit\""});
  store.set_many(items);
  // A client of tuskv would be refused it.
  sql().run("update tuskv set value = '" + slow_document() +
            "' where key between '\\x00'::bytea || 'k1100'::bytea and "
            "'\\x00'::bytea || 'l'::bytea");
  // Time for some of the slow ones and never for all, however busy the machine is.
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(store.search_values("hit", {.prefix = keys.back()}).entries.empty());
  const auto for_one = std::chrono::steady_clock::now() - start;
  const Store hurried = store.with_timeout(std::max<std::chrono::nanoseconds>(1500ms, 20 * for_one));
  // The first rows are quick, those of the second statement take seconds.
  const Page first = hurried.search_values("hit", {.limit = 1000});
  EXPECT_GE(first.entries.size(), 64u);
  EXPECT_FALSE(first.next.empty());
  // The next page meets them at once, and comes further all the same.
  const Page second = hurried.search_values("hit", {.limit = 1000, .after = keys[99]});
  EXPECT_FALSE(second.next.empty());
  EXPECT_GT(second.next, keys[99]);
}

// Encrypted values come over the line, whatever is found in them: a page ends before they take too long, and the next
// one goes on from there.
TEST_F(PostgresSearch, R126_ASearchInEncryptedValuesOverASlowLineGoesOn) {
  constexpr int kEntries = 400;
  const Options options{.ttl_mode = TtlMode::manual, .encryptor = std::make_shared<TurnedEncryptor>("key")};
  std::vector<std::string> keys;
  for (int i = 0; i < kEntries; ++i) keys.push_back("k" + std::to_string(1000 + i));
  const std::string value = std::string(10'000, 'v') + "needle";
  std::vector<Item> items;
  for (const std::string& key : keys) items.push_back({.key = key, .value = value});
  Store::open(url("&durability=unlogged"), options).set_many(items);
  FaultProxy proxy(shared().server());
  const Store store =
      Store::open(proxy.address().url(database()) + "&durability=unlogged&sslmode=disable&timeout=1m", options);
  proxy.set_behaviour({.segment_bytes = 2400, .delay_ms = 2});
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(store.scan({.limit = 64}).entries.size(), 64u);
  // The first entries that a search asks for take a third of the time, four times as many more than there is.
  const Store hurried = store.with_timeout(3 * (std::chrono::steady_clock::now() - start));
  std::string after;
  for (int page = 0; page < 2; ++page) {
    const Page found = hurried.search_values("needle", {.limit = 1000, .after = after});
    EXPECT_FALSE(found.entries.empty());
    EXPECT_GT(found.next, after);
    after = found.next;
  }
}

// Values come back, and are searched, as the server spells them.
TEST_F(PostgresSearch, ADocumentIsSearchedAsItComesBack) {
  const Store store = open("&value_type=jsonb");
  store.set("k", R"({"b":1,"a":"Gr\u00fcn"})");
  EXPECT_EQ(store.search_values(R"("a": "Grün", "b": 1)").entries.size(), 1u);
  EXPECT_EQ(store.search_values(R"("b":1)").entries.size(), 0u);
  EXPECT_EQ(store.search_values("GRün", {.ignore_case = true}).entries.size(), 1u);
  EXPECT_EQ(store.search_values("GRÜN", {.ignore_case = true}).entries.size(), 0u);
  EXPECT_EQ(store.search_values("\xff").entries.size(), 0u);
  EXPECT_EQ(store.search_values("\0"s).entries.size(), 0u);
  EXPECT_EQ(store.search_values("\xc3", {.ignore_case = true}).entries.size(), 1u);  // bytes, not characters
}

}  // namespace
}  // namespace tuskv::test
