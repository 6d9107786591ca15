// Searching where the server does it: that it says what the matcher says, that an index is used, and that no name or
// value gets into a statement.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "filter.h"
#include "json_member.h"
#include "postgres/field_index.h"
#include "postgres/server_test.h"
#include "postgres/statements.h"
#include "postgres/target.h"
#include "search_filter.h"
#include "support/random.h"
#include "support/random_seed.h"

namespace tuskv::test {
namespace {

using std::chrono_literals::operator""ms;
using std::string_literals::operator""s;
using testing::HasSubstr;
using testing::Not;
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
                                               "1e131072",
                                               "1e-16383",
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

/// A document that jsonb refuses although it is well-formed: for its sizes, or NUL.
bool is_beyond_jsonb(std::string_view document) {
  return document.find("\\u0000") != std::string_view::npos || document.find_first_of("eE") != std::string_view::npos;
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
  for (int i = 0; i < 600; ++i) {
    const std::string key = "c:" + std::to_string(json.below(100'000));
    const std::string document = json.document();
    try {
      documents.set(key, document);
    } catch (const Error&) {
      continue;  // nothing that jsonb takes
    }
    ++stored;
    indexed.set(key, document);
    bytes.set(key, document);
    memory.set(key, document);
  }
  EXPECT_GT(stored, 300u);
  std::size_t found = 0;
  for (int i = 0; i < 400; ++i) {
    std::string value = json.scalar();
    const std::optional<JsonValue> parsed = parse_value(value);
    if (!parsed || (parsed->kind == JsonValue::Kind::number && !canonical_number(value))) continue;
    FindOptions options{.text = i % 2 == 1, .limit = 1 + json.below(60)};
    if (options.text && parsed->kind == JsonValue::Kind::string) value = unescaped(value);
    const auto keys = [&](const Store& store) {
      Names names;
      std::string after;
      do {
        options.after = after;
        Page page = store.find_by_field("c", "f", value, options);
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
  }
  EXPECT_GT(found, 400u);
}

// ---- indexes

/// The plan of a page through an index, in a session like those of a store.
std::string plan_of(SqlConnection& sql, const std::string& table, const std::string& field, const std::string& value,
                    bool or_written_as) {
  const postgres::TableName name{.schema = "public", .table = table};
  const postgres::Statements statements({.table = name.quoted(), .value_type = ValueType::jsonb});
  const postgres::Statement page =
      statements.indexed_page({.field = postgres::escaped_literal(field),
                               .name = postgres::quoted_literal(postgres::index_name(name, field)),
                               .or_written_as = or_written_as});
  const postgres::SessionSettings settings{.synchronous_commit = true, .statement_timeout_ms = 60'000};
  for (const auto& [keyword, options] : postgres::Target::parse("postgresql://").value().keywords(&settings)) {
    if (keyword != "options") continue;
    for (std::size_t at = options.find("-c "); at != std::string::npos; at = options.find("-c ", at + 1)) {
      const std::size_t equal = options.find('=', at);
      std::string setting = options.substr(equal + 1, options.find(" -c ", at) - equal - 1);
      std::erase(setting, '\\');
      sql.run("set " + options.substr(at + 3, equal - at - 3) + " = " + SqlConnection::quoted(setting));
    }
  }
  sql.run("prepare page(bytea, bytea, int8, bool, bool, text" + std::string(or_written_as ? ", text, text" : "") +
          ") as " + page.text);
  std::string plan;
  for (const SqlRow& row :
       sql.run("explain (analyze, timing off, summary off) execute page('\\x00633a', '\\x00633b', 101, false, true, " +
               SqlConnection::quoted(value) + (or_written_as ? ", '7', '7'" : "") + ")")) {
    plan += row.at(0).value() + "\n";
  }
  sql.run("deallocate page");
  return plan;
}

void fill(SqlConnection& sql, const std::string& table, int count) {
  sql.run(
      "insert into " + table +
      "(key, value, created_at, updated_at, version) select '\\x00'::bytea || convert_to('c:' || lpad(i::text, 7, "
      "'0'), 'UTF8'), jsonb_build_object('n', i % 1000, 'half', i % 2 = 0, 'pad', repeat('x', 50)), now(), now(), i "
      "from generate_series(1, " +
      std::to_string(count) + ") i");
}

TEST_F(PostgresSearch, Y11_AnIndexIsUsedWhateverIsKnownOfTheData) {
  const Store store = open("&value_type=jsonb");
  fill(sql(), "tuskv", 20'000);
  ASSERT_TRUE(store.create_index("n"));
  ASSERT_TRUE(store.create_index("half"));
  for (const bool analyzed : {false, true}) {
    if (analyzed) sql().run("analyze tuskv");
    for (const auto& [field, value] :
         {std::pair("n", "7"), std::pair("n", "\"none\""), std::pair("half", "null"), std::pair("half", "true")}) {
      for (const bool or_written_as : {false, true}) {
        const std::string plan = plan_of(sql(), "tuskv", field, value, or_written_as);
        EXPECT_THAT(plan, HasSubstr("tuskv_field_")) << plan;
        EXPECT_THAT(plan, HasSubstr("Index Cond: ((jsonb_hash_extended(")) << plan;
        EXPECT_THAT(plan, Not(HasSubstr("_pkey"))) << plan;
        EXPECT_THAT(plan, Not(HasSubstr("Seq Scan on tuskv"))) << plan;
        EXPECT_EQ(plan.find("Sort") != std::string::npos, or_written_as) << plan;
      }
    }
  }
  // Pages stay in key order.
  Names keys;
  std::string after;
  do {
    Page page = store.find_by_field("c", "n", "7", {.limit = 3, .after = after});
    for (Entry& entry : page.entries) keys.push_back(std::move(entry.key));
    after = std::move(page.next);
  } while (!after.empty());
  EXPECT_EQ(keys.size(), 20u);
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
  EXPECT_EQ(keys.front(), "c:0000007");
  EXPECT_EQ(store.find_by_field("c", "half", "true").entries.size(), 100u);
}

TEST_F(PostgresSearch, AnIndexThatSomebodyDropsIsDoneWithout) {
  const Store store = open("&value_type=jsonb&partitions=4");
  store.set_many({{"c:1", R"({"f": 1})"}, {"c:2", R"({"f": 2})"}, {"c:3", R"({"f": 1.0})"}});
  ASSERT_TRUE(store.create_index("f"));
  const auto find = [&] {
    Names keys;
    for (const Entry& entry : store.find_by_field("c", "f", "1").entries) keys.push_back(entry.key);
    return keys;
  };
  EXPECT_EQ(find(), (Names{"c:1", "c:3"}));
  const postgres::TableName name{.schema = "public", .table = "tuskv"};
  sql().run("drop index " + postgres::index_name(name, "f"));
  EXPECT_EQ(find(), (Names{"c:1", "c:3"}));
  EXPECT_EQ(store.indexes(), Names{});
  EXPECT_FALSE(store.drop_index("f"));
  EXPECT_TRUE(store.create_index("f"));
  EXPECT_EQ(find(), (Names{"c:1", "c:3"}));
  // doctor does not take it for one that somebody added.
  for (const Finding& finding : store.diagnose()) {
    EXPECT_TRUE(finding.topic != "indexes" || finding.severity == Finding::Severity::ok) << finding.value;
  }
}

TEST_F(PostgresSearch, NoNameOfAFieldChangesAStatement) {
  const Store store = open("&value_type=jsonb");
  Names fields = {"'",  "\"", "\\", "f'); drop table tuskv; --", "{T}",
                  "$1", "%s", "\n", "\xc3\xa4\xf0\x9f\x98\x80",  std::string(1023, '\''),
                  "f",  "F"};
  for (const std::string& field : fields) {
    store.set("c:1", "{" + quoted_string(field) + ": 1}");
    EXPECT_TRUE(store.create_index(field)) << field;
    EXPECT_FALSE(store.create_index(field)) << field;
    EXPECT_EQ(store.find_by_field("c", field, "1").entries.size(), 1u) << field;
    EXPECT_EQ(store.find_by_field("c", field, "1", {.text = true}).entries.size(), 1u) << field;
    EXPECT_EQ(store.find_by_field("c", field + "x", "1").entries.size(), 0u) << field;
  }
  std::sort(fields.begin(), fields.end());
  EXPECT_EQ(store.indexes(), fields);
  for (const std::string& field : fields) EXPECT_TRUE(store.drop_index(field)) << field;
  EXPECT_EQ(store.indexes(), Names{});
}

TEST_F(PostgresSearch, WhatIsIndexedMayBeAnything) {
  const Store store = open("&value_type=jsonb");
  ASSERT_TRUE(store.create_index("f"));
  const std::string large(1'000'000, 'x');
  store.set("c:1", R"({"f": ")" + large + R"("})");  // more than an index takes
  store.set("c:2", R"({"f": [1, {"g": ")" + large + R"("}]})");
  store.set("c:3", R"([1])");
  store.set("c:" + std::string(1000, 'k'), R"({"f": 1e131071})");
  EXPECT_EQ(store.find_by_field("c", "f", "1e131071").entries.size(), 1u);
  EXPECT_EQ(store.find_by_field("c", "f", "\"" + large.substr(0, 60'000) + "\"").entries.size(), 0u);
  EXPECT_EQ(store.search_values(large.substr(0, 4096)).entries.size(), 2u);
}

TEST_F(PostgresSearch, P20_ManyMayMakeTheSameIndexAtOnce) {
  const Store store = open("&value_type=jsonb");
  std::atomic<int> made = 0;
  run_threads(8, [&](int) { made += store.create_index("f") ? 1 : 0; });
  EXPECT_EQ(made, 1);
  EXPECT_EQ(store.indexes(), Names{"f"});
}

TEST_F(PostgresSearch, AnIndexIsThereWholeOrNotAtAll) {
  const Store store = open("&value_type=jsonb");
  SqlConnection other = other_session();
  other.run("begin; lock table tuskv in row exclusive mode");  // a writer that does not end
  const Error error = error_of([&] { return store.with_timeout(300ms).create_index("f"); });
  EXPECT_EQ(error.code(), Code::Timeout);
  EXPECT_EQ(error.outcome(), Outcome::not_applied);
  other.run("commit");
  EXPECT_EQ(store.indexes(), Names{});
  EXPECT_TRUE(store.create_index("f"));
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
