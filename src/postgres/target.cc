#include "postgres/target.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <memory>

#include <libpq-fe.h>

#include "postgres/limits.h"

namespace tuskv::postgres {
namespace {

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};

Status unreadable() {
  return Status(Code::Config,
                "the PostgreSQL connection string cannot be read: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE "
                "with the characters / @ : ? # % of a name or password percent-encoded, and only options that libpq or "
                "tuskv knows behind the ?");
}

/// What a host or port can look like. A password that was not encoded ends up there, and libpq would show it.
bool is_plain(std::string_view text, std::string_view others) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           others.find(c) != std::string_view::npos;
  });
}

/// Settings of a direct session. The planner's are there because a generic plan made while the table was young must
/// stay good when it has grown: only index scans and nested loops are, for statements that name their keys.
std::string session_options(const SessionSettings& settings) {
  std::string options =
      "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_bitmapscan=off -c enable_hashjoin=off "
      "-c enable_mergejoin=off -c jit=off -c client_connection_check_interval=1s "
      "-c idle_in_transaction_session_timeout=5s -c default_transaction_isolation=read\\ committed";
  options += " -c lock_timeout=" + std::to_string(kLockTimeoutMs) + "ms";
  options += " -c statement_timeout=" + std::to_string(settings.statement_timeout_ms) + "ms";
  options += " -c standard_conforming_strings=on";
  options += settings.synchronous_commit ? " -c synchronous_commit=on" : " -c synchronous_commit=off";
  return options;
}

}  // namespace

Result<Target> Target::parse(std::string_view conninfo) {
  char* error = nullptr;
  const std::unique_ptr<PQconninfoOption, FreeOptions> options(PQconninfoParse(std::string(conninfo).c_str(), &error));
  if (error != nullptr) PQfreemem(error);
  if (!options) return unreadable();
  Target target;
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) target.given_.emplace_back(option->keyword, option->val);
  }
  TUSKV_RETURN_IF_ERROR(target.check());
  const std::string timeout = target.value_of("connect_timeout");
  std::from_chars(timeout.data(), timeout.data() + timeout.size(), target.connect_timeout_s_);
  return target;
}

Status Target::check() const {
  for (const auto& [keyword, value] : given_) {
    const bool is_host = keyword == "host" || keyword == "hostaddr";
    // A socket's folder may have any name; it starts with a slash, which a password's rest never does.
    if (is_host && !value.starts_with('/') && !is_plain(value, ".-_:,%/")) return unreadable();
    if (keyword == "port" && !is_plain(value, ",")) return unreadable();
    if (keyword == "port" &&
        std::any_of(value.begin(), value.end(), [](char c) { return c != ',' && (c < '0' || c > '9'); })) {
      return unreadable();
    }
    if (keyword == "dbname" && value.find('@') != std::string::npos) return unreadable();
    if (keyword == "connect_timeout" && !is_plain(value, "-")) return unreadable();
  }
  return {};
}

std::string Target::value_of(std::string_view keyword) const {
  const auto found =
      std::find_if(given_.begin(), given_.end(), [&](const auto& option) { return option.first == keyword; });
  return found == given_.end() ? std::string() : found->second;
}

std::vector<std::pair<std::string, std::string>> Target::keywords(const SessionSettings* settings) const {
  std::vector<std::pair<std::string, std::string>> all = given_;
  const auto set = [&all](std::string_view keyword, std::string value) {
    std::erase_if(all, [&](const auto& option) { return option.first == keyword; });
    all.emplace_back(keyword, std::move(value));
  };
  const auto from_environment = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value != nullptr ? value : "");
  };
  set("client_encoding", "UTF8");
  set("fallback_application_name", "tuskv");
  // With several hosts only the one that takes writes will do: a reader must see what a writer of this store wrote.
  std::string hosts = value_of("host") + value_of("hostaddr");
  if (hosts.empty()) hosts = from_environment("PGHOST") + from_environment("PGHOSTADDR");
  if (hosts.find(',') != std::string::npos) set("target_session_attrs", "read-write");
  if (settings != nullptr) {
    std::string options = value_of("options");
    if (options.empty()) options = from_environment("PGOPTIONS");
    if (!options.empty()) options += ' ';
    set("options", options + session_options(*settings));
  }
  return all;
}

std::string Target::redacted(std::string text) const {
  constexpr std::size_t kShortestHidden = 3;  // shorter ones are in every text
  for (const auto& [keyword, value] : given_) {
    if ((keyword != "password" && keyword != "sslpassword") || value.size() < kShortestHidden) continue;
    for (std::size_t at = text.find(value); at != std::string::npos; at = text.find(value, at)) {
      text.replace(at, value.size(), "***");
      at += 3;
    }
  }
  return text;
}

}  // namespace tuskv::postgres
