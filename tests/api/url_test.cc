#include "url.h"

#include <gtest/gtest.h>

namespace tuskv {
namespace {

using Scheme = StoreUrl::Scheme;
using Parameters = std::vector<std::pair<std::string, std::string>>;

std::string message(std::string_view url) {
  const Result<StoreUrl> parsed = parse_url(url);
  if (parsed.ok()) return "accepted";
  EXPECT_EQ(parsed.failure().code, Code::Config);
  return parsed.failure().message;
}

std::string directory(std::string_view url) {
  const Result<StoreUrl> parsed = parse_url(url);
  return parsed.ok() ? parsed.value().directory : "refused: " + parsed.failure().message;
}

TEST(Url, Schemes) {
  EXPECT_EQ(parse_url("memory:").value().scheme, Scheme::memory);
  EXPECT_EQ(parse_url("file:data").value().scheme, Scheme::file);
  EXPECT_EQ(parse_url("FILE:data").value().scheme, Scheme::file);
  EXPECT_EQ(parse_url("postgresql://localhost/db?a=b&&#").value().scheme, Scheme::postgresql);
  EXPECT_EQ(parse_url("postgres:").value().scheme, Scheme::postgresql);
  EXPECT_NE(message("redis://localhost").find("scheme \"redis\""), std::string::npos);
  EXPECT_NE(message("memory:name"), "accepted");
  EXPECT_NE(message("memory://"), "accepted");
}

TEST(Url, S90_ASchemeMayHaveCapitals) {
  EXPECT_EQ(parse_url("POSTGRESQL://H/Db?table=t&sslmode=off").value().connection, "postgresql://H/Db?sslmode=off");
  EXPECT_EQ(parse_url("Postgres:").value().connection, "postgres:");
  EXPECT_EQ(directory("File:Data"), "Data");
  EXPECT_EQ(parse_url("MEMORY:").value().scheme, Scheme::memory);
}

TEST(Url, Directories) {
  EXPECT_EQ(directory("file:data"), "data");
  EXPECT_EQ(directory("file:./data/"), "./data/");
  EXPECT_EQ(directory("file:/var/data"), "/var/data");
  EXPECT_EQ(directory("file:///var/data"), "/var/data");
  EXPECT_EQ(directory("file://localhost/var/data"), "/var/data");
  EXPECT_EQ(directory("file:a%20b%3fc%25"), "a b?c%");
  EXPECT_EQ(directory("file:a#b:c&d=e"), "a#b:c&d=e");
  EXPECT_EQ(directory("file:data?create=false"), "data");
  EXPECT_NE(message("file://host/data").find("no host"), std::string::npos);
  for (const char* wrong : {"file:", "file:?create=true", "file://", "file://localhost", "file:a%2", "file:a%zz",
                            "file:a%", "file:a%00b"}) {
    EXPECT_NE(message(wrong), "accepted") << wrong;
  }
}

TEST(Url, Parameters) {
  EXPECT_EQ(parse_url("file:d?a=1&b=x%26y&c=").value().parameters, (Parameters{{"a", "1"}, {"b", "x&y"}, {"c", ""}}));
  EXPECT_EQ(parse_url("memory:?").value().parameters, Parameters{});
  EXPECT_EQ(parse_url("memory:?a=1&").value().parameters, (Parameters{{"a", "1"}}));
  EXPECT_EQ(parse_url("memory:?a=b=c?d").value().parameters, (Parameters{{"a", "b=c?d"}}));
  EXPECT_EQ(message("memory:?a=1&a=2"), "option \"a\" is given twice");
  EXPECT_EQ(message("memory:?a=1&%61=2"), "option \"a\" is given twice");
  for (const char* wrong : {"memory:?a", "memory:?&", "memory:?a=1&&b=2", "memory:?a=%", "memory:?a=%00"}) {
    EXPECT_NE(message(wrong), "accepted") << wrong;
  }
}

/// What is left for libpq.
std::string connection(std::string_view url) {
  const Result<StoreUrl> parsed = parse_url(url);
  return parsed.ok() ? parsed.value().connection : "refused: " + parsed.failure().message;
}

// Our options are taken out with their separators; not a byte of the rest is touched.
TEST(Url, OptionsAreCutOutOfAPostgresUrl) {
  for (const auto& [url, left] : std::vector<std::pair<const char*, const char*>>{
           {"postgresql://", "postgresql://"},
           {"postgres://u:p@h:1/db", "postgres://u:p@h:1/db"},
           {"postgresql://h/db?", "postgresql://h/db"},
           {"postgresql://h/db?timeout=2s", "postgresql://h/db"},
           {"postgresql://h/db?timeout=2s&sslmode=require", "postgresql://h/db?sslmode=require"},
           {"postgresql://h/db?sslmode=require&table=t&host=/x&pool_size=3",
            "postgresql://h/db?sslmode=require&host=/x"},
           {"postgresql://h/db?sslmode=%72equire&time%6Fut=2s", "postgresql://h/db?sslmode=%72equire"},
           {"postgresql://u:p?timeout=2s@h/db?table=t", "postgresql://u:p?timeout=2s@h/db"},
           {"postgresql://a:1,b:2/db?connect_timeout=3&retries=1", "postgresql://a:1,b:2/db?connect_timeout=3"},
           {"postgresql://h/db?unknown=1&&#", "postgresql://h/db?unknown=1&&#"},
           {"postgresql://h?application_name=a@b/c&x=t", "postgresql://h?application_name=a@b/c&x=t"},
           {"host=h dbname=db", "host=h dbname=db"},
           {"  host = h", "  host = h"}}) {
    EXPECT_EQ(connection(url), left);
    EXPECT_EQ(parse_url(url).value().scheme, Scheme::postgresql) << url;
  }
  EXPECT_EQ(parse_url("postgresql://h?table=a%5fb&sslmode=x&retries=2").value().parameters,
            (Parameters{{"table", "a_b"}, {"retries", "2"}}));
  EXPECT_EQ(parse_url("postgresql:db?table=t&user=u").value().connection, "postgresql:db?user=u");
  EXPECT_EQ(message("postgresql://h?table=a&table=b"), "option \"table\" is given twice");
  EXPECT_EQ(message("postgresql://h?table"), "an option in a URL is written name=value");
}

TEST(Url, ABarePathIsCorrected) {
  EXPECT_EQ(message("memory"), "the URL has no scheme: did you mean memory:?");
  EXPECT_EQ(message("./data"), "the URL has no scheme: did you mean file:./data?");
  EXPECT_EQ(message("/var/lib/x"), "the URL has no scheme: did you mean file:/var/lib/x?");
  EXPECT_NE(message("").find("file:./data"), std::string::npos);
}

// P22: a message must not carry a password into a log.
TEST(Url, SecretsAreNeverRepeated) {
  for (const char* url : {"host=db password=s3cret", "//user:s3cret@db/x", "user s3cret", "memory:s3cret",
                          "file://u:s3cret@h/", "file:s3cret%", "memory:?x=s3cret&x=s3cret", "memory:?s3cret"}) {
    EXPECT_EQ(message(url).find("s3cret"), std::string::npos) << url;
  }
}

}  // namespace
}  // namespace tuskv
