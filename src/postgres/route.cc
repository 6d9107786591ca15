#include "postgres/route.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <optional>

#include "postgres/sqlstate.h"

namespace tuskv::postgres {
namespace {

struct Finish {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};

void ignore_notice(void*, const PGresult*) {}

bool is_sqlstate(std::string_view text) {
  return text.size() == 5 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); });
}

/// libpq tells the SQLSTATE of a refused connection only within the verbose text: "FATAL:  53300: sorry, …".
std::string sqlstate_in(std::string_view message) {
  for (std::size_t at = message.find(":  "); at != std::string_view::npos; at = message.find(":  ", at + 1)) {
    const std::string_view code = message.substr(at + 3, 5);
    if (is_sqlstate(code) && message.substr(at + 8, 2) == ": ") return std::string(code);
  }
  return {};
}

Status connect_failure(PGconn* session, const Target& target) {
  std::string message = target.redacted(one_line(PQerrorMessage(session)));
  std::string sqlstate = sqlstate_in(message);
  Failure failure{.code = Code::Connection, .message = "cannot connect: " + message, .sqlstate = sqlstate};
  if (!sqlstate.empty()) {
    failure.code = classify(sqlstate).code;
    if (failure.code == Code::NoSpace || failure.code == Code::Unsupported) failure.code = Code::Connection;
  }
  return Status(std::make_unique<Failure>(std::move(failure)));
}

std::vector<std::string> resolve_name(const std::string& host, const std::string& port) {
  addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return {};
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned(found, &::freeaddrinfo);
  std::vector<std::string> addresses;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    std::array<char, NI_MAXHOST> text = {};
    if (::getnameinfo(each->ai_addr, each->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) == 0) {
      addresses.emplace_back(text.data());
    }
  }
  return addresses;
}

/// What is left, in equal shares.
os::Deadline share_of(os::Deadline deadline, std::size_t parts) {
  return os::deadline_in(0) + os::time_left(deadline) / static_cast<std::int64_t>(parts);
}

/// A refusal that another host would not take back: the request is wrong.
bool is_final(const Failure& failure) { return failure.code != Code::Connection && failure.code != Code::Timeout; }

/// The failures of all hosts as one.
void add_failure(std::optional<Failure>& all, const Failure& next) {
  if (!all) {
    all = next;
    return;
  }
  constexpr std::string_view kStart = "cannot connect: ";
  std::string_view text = next.message;
  if (text.starts_with(kStart)) text.remove_prefix(kStart.size());
  if (all->message.find(text) == std::string::npos) all->message.append("; ").append(text);
  if (all->sqlstate.empty()) all->sqlstate = next.sqlstate;
}

}  // namespace

bool wait_for_socket(int socket, short events, os::Deadline deadline) {
  for (;;) {
    // Rounded up: to wake just before the deadline would be to spin.
    const std::int64_t left_ms = os::time_left_ms(deadline);
    pollfd waited{.fd = socket, .events = events, .revents = 0};
    const int ready = ::poll(&waited, 1, static_cast<int>(std::min<std::int64_t>(left_ms, 60'000)));
    if (ready > 0 || (ready < 0 && errno != EINTR)) return true;
    if (ready == 0 && os::time_left(deadline).count() == 0) return false;
  }
}

std::string one_line(std::string text) {
  if (const std::size_t location = text.find("\nLOCATION:"); location != std::string::npos) text.resize(location);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  std::erase(text, '\t');
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

Route::Route(const Target& target, Resolve resolve) : target_(target), resolve_(std::move(resolve)) {}
Route::Route(const Target& target) : Route(target, resolve_name) {}

Result<PGconn*> Route::connect(const SessionSettings& settings, std::int64_t timeout_ms, os::Deadline deadline) {
  const std::size_t count = target_.hosts().size();
  if (target_.connect_timeout_s() == 0) deadline = std::min(deadline, os::deadline_in(timeout_ms));
  std::size_t first = 0;
  {
    os::MutexLock lock(mutex_);
    first = good_.host;
  }
  std::optional<Failure> failures;
  for (std::size_t i = 0; i < count; ++i) {
    Result<PGconn*> session = connect_to_host((first + i) % count, settings, share_of(deadline, count - i));
    if (session.ok() || is_final(session.failure())) return session;
    add_failure(failures, session.failure());
  }
  return Status(std::make_unique<Failure>(std::move(*failures)));
}

Result<PGconn*> Route::connect_to_host(std::size_t index, const SessionSettings& settings, os::Deadline deadline) {
  Host host = target_.hosts()[index];
  const std::vector<std::string> addresses = addresses_of(host);
  std::optional<Failure> failures;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    host.address = addresses[i];
    os::Deadline end = share_of(deadline, addresses.size() - i);
    if (target_.connect_timeout_s() > 0) end = std::min(end, os::deadline_in(target_.connect_timeout_s() * 1000));
    Result<PGconn*> session = attempt(host, &settings, end);
    // pgbouncer refuses options of the session: "unsupported startup parameter".
    if (!session.ok() && session.failure().sqlstate == "08P01") session = attempt(host, nullptr, end);
    if (session.ok()) {
      os::MutexLock lock(mutex_);
      good_ = {.host = index, .address = host.address};
    }
    if (session.ok() || is_final(session.failure())) return session;
    add_failure(failures, session.failure());
  }
  return Status(std::make_unique<Failure>(std::move(*failures)));
}

/// At least one; an empty one leaves it to libpq to look, and to say what is wrong.
std::vector<std::string> Route::addresses_of(const Host& host) const {
  if (!host.address.empty() || host.name.empty() || host.name.starts_with('/') || host.name.starts_with('@')) {
    return {host.address};
  }
  std::vector<std::string> addresses = resolve_(host.name, host.port);
  if (addresses.empty()) return {std::string()};
  os::MutexLock lock(mutex_);
  const auto good = std::find(addresses.begin(), addresses.end(), good_.address);
  if (good != addresses.end()) std::rotate(addresses.begin(), good, good + 1);
  return addresses;
}

Result<PGconn*> Route::attempt(const Host& host, const SessionSettings* settings, os::Deadline deadline) const {
  const auto given = target_.keywords(host, settings);
  std::vector<const char*> keywords;
  std::vector<const char*> values;
  for (const auto& [keyword, value] : given) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  std::unique_ptr<PGconn, Finish> session(PQconnectStartParams(keywords.data(), values.data(), 0));
  if (!session) return Status(Code::Connection, "cannot connect: out of memory");
  PQsetErrorVerbosity(session.get(), PQERRORS_VERBOSE);
  PQsetNoticeReceiver(session.get(), ignore_notice, nullptr);
  if (PQstatus(session.get()) == CONNECTION_BAD) return connect_failure(session.get(), target_);
  PostgresPollingStatusType next = PGRES_POLLING_WRITING;
  while (next != PGRES_POLLING_OK) {
    if (next == PGRES_POLLING_FAILED) return connect_failure(session.get(), target_);
    if (!wait_for_socket(PQsocket(session.get()), next == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline)) {
      return Status(Code::Connection, "cannot connect: the server" + (host.name.empty() ? "" : " at " + host.name) +
                                          " did not answer in time");
    }
    next = PQconnectPoll(session.get());
  }
  PQsetErrorVerbosity(session.get(), PQERRORS_DEFAULT);
  if (PQsetnonblocking(session.get(), 1) != 0 || PQenterPipelineMode(session.get()) != 1) {
    return Status(Code::Connection, "cannot connect: libpq refuses its pipeline mode");
  }
  return session.release();
}

}  // namespace tuskv::postgres
