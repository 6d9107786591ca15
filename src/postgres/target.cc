#include "postgres/target.h"

#include <algorithm>
#include <charconv>
#include <memory>

#include <libpq-fe.h>

#include "option_table.h"
#include "postgres/limits.h"

namespace tuskv::postgres {
namespace {

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};

bool is_known_to_libpq(std::string_view name) {
  const std::unique_ptr<PQconninfoOption, FreeOptions> options(PQconndefaults());
  for (const PQconninfoOption* option = options.get(); option != nullptr && option->keyword != nullptr; ++option) {
    if (name == option->keyword) return true;
  }
  return false;
}

/// The option of ours that was meant, if one is misspelt. What is written there may be a piece of a password.
std::string_view misspelt_option(std::string_view conninfo) {
  for (std::size_t at = conninfo.find_first_of("?&"); at != std::string_view::npos;) {
    const std::string_view rest = conninfo.substr(at + 1);
    const std::string_view name = rest.substr(0, rest.find_first_of("=?&"));
    const std::string_view meant = near_option(name);
    if (!meant.empty() && !is_known_to_libpq(name)) return meant;
    at = conninfo.find_first_of("?&", at + 1);
  }
  return {};
}

Status unreadable(std::string_view conninfo) {
  std::string message =
      "the PostgreSQL connection string cannot be read: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE "
      "with the characters / @ : ? # % of a name or password percent-encoded, and only options that libpq or "
      "tuskv knows behind the ?";
  const std::string_view meant = misspelt_option(conninfo);
  if (!meant.empty()) message += "; did you mean \"" + std::string(meant) + "\"?";
  return Status(Code::Config, std::move(message));
}

/// What a host or port can look like. A password that was not encoded ends up there, and libpq would show it.
bool is_plain(std::string_view text, std::string_view others) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           others.find(c) != std::string_view::npos;
  });
}

/// Settings of a direct session. The planner's are there because a generic plan made while the table was young must
/// stay good when it has grown: only index scans and nested loops are, for statements that name their keys. A warning
/// alone tells of a commit that stopped waiting for its standbys (Connection::take_notice).
std::string session_options(const SessionSettings& settings) {
  std::string options =
      "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_bitmapscan=off -c enable_hashjoin=off "
      "-c enable_mergejoin=off -c jit=off "
      "-c default_transaction_isolation=read\\ committed -c client_min_messages=warning";
  if (settings.checks_client) options.append(" -c ").append(kClientCheck).append("=1s");
  options += " -c lock_timeout=" + std::to_string(kLockTimeoutMs) + "ms";
  options += " -c statement_timeout=" + std::to_string(settings.statement_timeout_ms) + "ms";
  const std::int64_t idle_ms = std::max(settings.statement_timeout_ms, kIdleInTransactionMsMin);
  options += " -c idle_in_transaction_session_timeout=" + std::to_string(idle_ms) + "ms";
  options += settings.synchronous_commit ? " -c synchronous_commit=on" : " -c synchronous_commit=off";
  return options;
}

}  // namespace

Result<Target> Target::parse(std::string_view conninfo) {
  char* error = nullptr;
  const std::unique_ptr<PQconninfoOption, FreeOptions> options(PQconninfoParse(std::string(conninfo).c_str(), &error));
  if (error != nullptr) PQfreemem(error);
  if (!options) return unreadable(conninfo);
  Target target;
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) target.given_.emplace_back(option->keyword, option->val);
  }
  if (!target.is_readable()) return unreadable(conninfo);
  TUSKV_RETURN_IF_ERROR(target.resolve());
  target.list_hosts();
  const std::string timeout = target.value_of("connect_timeout");
  std::from_chars(timeout.data(), timeout.data() + timeout.size(), target.connect_timeout_s_);
  return target;
}

bool Target::is_readable() const {
  return std::all_of(given_.begin(), given_.end(), [](const auto& option) {
    const auto& [keyword, value] = option;
    // A socket's folder may have any name; it starts with a slash, which a password's rest never does.
    if (keyword == "host" || keyword == "hostaddr") return value.starts_with('/') || is_plain(value, ".-_:,%/");
    if (keyword == "port") return value.find_first_not_of("0123456789,") == std::string::npos;
    if (keyword == "dbname") return value.find('@') == std::string::npos;
    return keyword != "connect_timeout" || is_plain(value, "-");
  });
}

/// libpq alone knows how services, variables and defaults come together. It tells of a session only, so one is begun
/// with a value that libpq refuses after it has filled everything in and before it connects.
Status Target::resolve() {
  std::vector<const char*> keywords = {"target_session_attrs"};
  std::vector<const char*> values = {"none"};
  for (const auto& [keyword, value] : given_) {
    if (keyword == keywords.front()) continue;
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  struct Finish {
    void operator()(PGconn* session) const { PQfinish(session); }
  };
  const std::unique_ptr<PGconn, Finish> session(PQconnectStartParams(keywords.data(), values.data(), 0));
  const std::unique_ptr<PQconninfoOption, FreeOptions> options(PQconninfo(session.get()));
  if (!options) return Status(Code::Config, "the PostgreSQL connection string cannot be read: out of memory");
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) resolved_.emplace_back(option->keyword, option->val);
    if (std::string_view(option->keyword) == "port" && option->compiled != nullptr) default_port_ = option->compiled;
  }
  if (!value_of("port").empty()) return {};  // which has a default
  std::string message = redacted(PQerrorMessage(session.get()));
  while (message.ends_with('\n')) message.pop_back();
  return Status(Code::Config, "the PostgreSQL service cannot be read: " + message);
}

std::string Target::value_of(std::string_view keyword) const {
  const auto found =
      std::find_if(resolved_.begin(), resolved_.end(), [&](const auto& option) { return option.first == keyword; });
  return found == resolved_.end() ? std::string() : found->second;
}

bool Target::is_given(std::string_view keyword) const {
  return std::any_of(given_.begin(), given_.end(), [&](const auto& option) { return option.first == keyword; });
}

void Target::list_hosts() {
  const auto split = [](const std::string& text) {
    std::vector<std::string> parts;
    for (std::size_t from = 0; !text.empty();) {
      const std::size_t comma = text.find(',', from);
      parts.push_back(text.substr(from, comma - from));
      if (comma == std::string::npos) break;
      from = comma + 1;
    }
    return parts;
  };
  const std::vector<std::string> names = split(value_of("host"));
  const std::vector<std::string> addresses = split(value_of("hostaddr"));
  const std::vector<std::string> ports = split(value_of("port"));
  const std::size_t count = std::max(names.size(), addresses.size());
  const auto fits = [count](const std::vector<std::string>& parts, std::size_t few) {
    return parts.size() <= few || parts.size() == count;
  };
  bool is_whole = fits(names, 0) && fits(addresses, 0) && fits(ports, 1);
  for (std::size_t i = 0; is_whole && i < count; ++i) {
    Host host{.name = names.empty() ? "" : names[i],
              .address = addresses.empty() ? "" : addresses[i],
              .port = ports.empty() ? "" : ports[ports.size() == 1 ? 0 : i]};
    if (host.port.empty()) host.port = default_port_;
    // The address of a machine is looked up where it is missing; a socket in its place would need an empty one.
    is_whole = !host.address.empty() || host.is_machine() || (!host.name.empty() && addresses.empty());
    hosts_.push_back(std::move(host));
  }
  // Lists that do not fit each other, or with a hole where a socket would be, are for libpq to refuse or to fill.
  if (!is_whole || count == 0) hosts_.assign(1, {});
}

std::vector<std::pair<std::string, std::string>> Target::keywords(const Host& host,
                                                                  const SessionSettings* settings) const {
  Values all = given_;
  const auto set = [&all](std::string_view keyword, std::string value) {
    std::erase_if(all, [&](const auto& option) { return option.first == keyword; });
    all.emplace_back(keyword, std::move(value));
  };
  set("client_encoding", "UTF8");
  set("fallback_application_name", "tuskv");
  if (!host.name.empty()) set("host", host.name);
  if (!host.address.empty()) set("hostaddr", host.address);
  if (!host.port.empty()) set("port", host.port);
  // Of several servers only one that takes writes will do: a reader must see what a writer of this store wrote. The
  // server says so itself as a session begins, so that this costs nothing.
  const std::string hosts = value_of("host") + value_of("hostaddr");
  const bool are_several = host.is_one_of_several || hosts.find(',') != std::string::npos;
  if (are_several && !is_given("target_session_attrs")) set("target_session_attrs", "read-write");
  // What lies between may forget a connection and say nothing: found out while it is idle, and by a call in its time.
  const auto propose = [&](std::string_view keyword, std::string value) {
    if (value_of(keyword).empty()) set(keyword, std::move(value));
  };
  propose("keepalives_idle", std::to_string(kKeepalivesIdleS));
  propose("keepalives_interval", std::to_string(kKeepalivesIntervalS));
  propose("keepalives_count", std::to_string(kKeepalivesCount));
  if (settings != nullptr) {
    propose("tcp_user_timeout", std::to_string(settings->statement_timeout_ms));
    std::string options = value_of("options");
    if (!options.empty()) options += ' ';
    set("options", options + session_options(*settings));
  }
  return all;
}

std::string Target::redacted(std::string text) const {
  constexpr std::size_t kShortestHidden = 3;  // shorter ones are in every text
  for (const Values* const values : {&given_, &resolved_}) {
    for (const auto& [keyword, value] : *values) {
      if ((keyword != "password" && keyword != "sslpassword") || value.size() < kShortestHidden) continue;
      for (std::size_t at = text.find(value); at != std::string::npos; at = text.find(value, at)) {
        text.replace(at, value.size(), "***");
        at += 3;
      }
    }
  }
  return text;
}

}  // namespace tuskv::postgres
