#include "postgres/route.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <numeric>
#include <optional>

#include "postgres/limits.h"
#include "postgres/sqlstate.h"

namespace tuskv::postgres {
namespace {

constexpr std::string_view kCannotConnect = "cannot connect: ";

std::string cannot_connect(std::string_view why) { return std::string(kCannotConnect).append(why); }

/// " at NAME (ADDRESS)"
std::string place_of(const Host& host) {
  if (host.name.empty() && host.address.empty()) return {};
  if (host.name.empty() || host.address.empty() || host.name == host.address) {
    return " at " + (host.name.empty() ? host.address : host.name);
  }
  return " at " + host.name + " (" + host.address + ")";
}

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
  // libpq's words for what we have asked for because there is more than one server, or seems to be.
  if (message.find("session is read-only") != std::string::npos) {
    message += " (target_session_attrs=any in the URL takes it all the same)";
  }
  std::string sqlstate = sqlstate_in(message);
  Failure failure{.code = Code::Connection, .message = cannot_connect(message), .sqlstate = sqlstate};
  if (!sqlstate.empty()) {
    failure.code = classify(sqlstate).code;
    if (failure.code == Code::NoSpace || failure.code == Code::Unsupported) failure.code = Code::Connection;
  }
  return Status(std::make_unique<Failure>(std::move(failure)));
}

/// What is left, in equal shares.
os::Deadline share_of(os::Deadline deadline, std::size_t parts) {
  return os::deadline_in(0) + os::time_left(deadline) / static_cast<std::int64_t>(parts);
}

/// A refusal that another host would not take back: the request is wrong.
bool ends_the_search(const Failure& failure) {
  return failure.code != Code::Connection && failure.code != Code::Timeout;
}

/// A server on a system that tells nothing of lost clients (Windows, before version 15 also macOS) takes no interval,
/// and one before version 14 knows none, which it is told better once there is a session.
bool refuses_client_check(const Failure& failure) {
  return (failure.sqlstate == "22023" || failure.sqlstate == "42704") &&
         failure.message.find(kClientCheck) != std::string::npos;
}

/// The failures of all hosts as one.
void add_failure(std::optional<Failure>& all, const Failure& next) {
  if (!all) {
    all = next;
    return;
  }
  std::string_view text = next.message;
  if (text.starts_with(kCannotConnect)) text.remove_prefix(kCannotConnect.size());
  if (all->message.find(text) == std::string::npos) all->message.append("; ").append(text);
  if (all->sqlstate.empty()) all->sqlstate = next.sqlstate;
  if (all->code != next.code) all->code = Code::Connection;
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

Route::Route(const Target& target, RouteOptions options)
    : target_(target),
      shuffles_(options.shuffles),
      resolver_({.look_up = options.look_up_name ? std::move(options.look_up_name) : os::look_up_name}),
      random_(std::random_device{}()) {}

Result<PGconn*> Route::connect(const SessionSettings& settings, std::int64_t timeout_ms, os::Deadline deadline) {
  if (target_.connect_timeout_s() == 0) deadline = std::min(deadline, os::deadline_in(timeout_ms));
  const std::vector<std::size_t> hosts = hosts_in_order();
  std::optional<Failure> failures;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    Result<PGconn*> session = connect_to_host(hosts[i], settings, share_of(deadline, hosts.size() - i));
    if (session.ok() || ends_the_search(session.failure())) return session;
    add_failure(failures, session.failure());
  }
  return Status(std::make_unique<Failure>(std::move(*failures)));
}

Result<PGconn*> Route::connect_to_host(std::size_t index, const SessionSettings& settings, os::Deadline deadline) {
  Host host = target_.hosts()[index];
  const auto end_of_attempt = [&](std::size_t parts) {
    const os::Deadline end = share_of(deadline, parts);
    const std::int64_t timeout_s = target_.connect_timeout_s();
    return timeout_s > 0 ? std::min(end, os::deadline_in(timeout_s * 1000)) : end;
  };
  const Result<std::vector<std::string>> found = addresses_in_order(host, end_of_attempt(1));
  if (!found.ok() && found.failure().code == Code::Closed) return found.status();
  if (!found.ok()) return Status(found.failure().code, cannot_connect(target_.redacted(found.failure().message)));
  const std::vector<std::string>& addresses = found.value();
  host.is_one_of_several = addresses.size() > 1;
  std::optional<Failure> failures;
  for (std::size_t i = 0; i < addresses.size(); ++i) {
    host.address = addresses[i];
    const os::Deadline end = end_of_attempt(addresses.size() - i);
    Result<PGconn*> session = attempt_with(host, settings, end);
    if (session.ok()) {
      os::MutexLock lock(mutex_);
      good_ = {.host = index, .address = host.address};
      if (is_passed_by(host) && passed_by_->address == host.address) passed_by_.reset();
    }
    if (session.ok() || ends_the_search(session.failure())) return session;
    add_failure(failures, session.failure());
  }
  return Status(std::make_unique<Failure>(std::move(*failures)));
}

std::vector<std::size_t> Route::hosts_in_order() {
  std::vector<std::size_t> order(target_.hosts().size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  os::MutexLock lock(mutex_);
  if (shuffles_) {
    std::shuffle(order.begin(), order.end(), random_);
  } else {
    std::rotate(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(good_.host), order.end());
  }
  for (auto host = order.begin(); host != order.end(); ++host) {
    if (!is_passed_by(target_.hosts()[*host])) continue;
    std::rotate(host, host + 1, order.end());
    break;
  }
  return order;
}

void Route::pass_by(const PGconn* session) {
  os::MutexLock lock(mutex_);
  passed_by_ = Host{.name = PQhost(session), .address = PQhostaddr(session), .port = PQport(session)};
}

void Route::note_turn(std::uint64_t turns) {
  os::MutexLock lock(mutex_);
  if (turns != this->turns() || os::time_left(next_turn_).count() > 0) return;
  next_turn_ = os::deadline_in(kTurnPauseMs);
  turns_.store(turns + 1, std::memory_order_relaxed);
}

/// One of its addresses is.
bool Route::is_passed_by(const Host& host) const {
  return passed_by_ && passed_by_->port == host.port &&
         passed_by_->name == (host.name.empty() ? host.address : host.name);
}

/// At least one; an empty one where there is nothing to look up: a socket, or what libpq takes without a host.
Result<std::vector<std::string>> Route::addresses_in_order(const Host& host, os::Deadline deadline) {
  if (!host.address.empty() || !host.is_machine()) return std::vector{host.address};
  if (std::optional<std::string> address = os::numeric_address(host.name)) return std::vector{*std::move(address)};
  Result<std::vector<std::string>> addresses = resolver_.addresses_of(host.name, deadline);
  if (!addresses.ok()) return addresses;
  std::vector<std::string>& order = addresses.value();
  os::MutexLock lock(mutex_);
  if (shuffles_) {
    std::shuffle(order.begin(), order.end(), random_);
  } else if (const auto good = std::find(order.begin(), order.end(), good_.address); good != order.end()) {
    std::rotate(order.begin(), good, good + 1);
  }
  if (is_passed_by(host)) {
    const auto passed_by = std::find(order.begin(), order.end(), passed_by_->address);
    if (passed_by != order.end()) std::rotate(passed_by, passed_by + 1, order.end());
  }
  return addresses;
}

bool Route::wait(int socket, short events, os::Deadline deadline) const {
  while (!closed_.load(std::memory_order_relaxed)) {
    if (wait_for_socket(socket, events, std::min(deadline, os::deadline_in(kCloseLookMs)))) return true;
    if (os::time_left(deadline).count() == 0) return false;
  }
  return false;
}

/// With as much of the settings as the other end takes.
Result<PGconn*> Route::attempt_with(const Host& host, const SessionSettings& settings, os::Deadline deadline) const {
  Result<PGconn*> session = attempt(host, &settings, deadline);
  if (session.ok()) return session;
  // pgbouncer refuses options of the session: "unsupported startup parameter".
  if (session.failure().sqlstate == "08P01") return attempt(host, nullptr, deadline);
  if (!refuses_client_check(session.failure())) return session;
  SessionSettings fewer = settings;
  fewer.checks_client = false;
  return attempt(host, &fewer, deadline);
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
  if (!session) return Status(Code::Connection, cannot_connect("out of memory"));
  PQsetErrorVerbosity(session.get(), PQERRORS_VERBOSE);
  PQsetNoticeReceiver(session.get(), ignore_notice, nullptr);
  if (PQstatus(session.get()) == CONNECTION_BAD) return connect_failure(session.get(), target_);
  PostgresPollingStatusType next = PGRES_POLLING_WRITING;
  while (next != PGRES_POLLING_OK) {
    if (next == PGRES_POLLING_FAILED) return connect_failure(session.get(), target_);
    if (!wait(PQsocket(session.get()), next == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline)) {
      if (closed_.load(std::memory_order_relaxed)) return closed_status();
      return Status(Code::Connection, cannot_connect("the server" + place_of(host) + " did not answer in time"));
    }
    next = PQconnectPoll(session.get());
  }
  PQsetErrorVerbosity(session.get(), PQERRORS_DEFAULT);
  if (PQsetnonblocking(session.get(), 1) != 0 || PQenterPipelineMode(session.get()) != 1) {
    return Status(Code::Connection, cannot_connect("libpq refuses its pipeline mode"));
  }
  return session.release();
}

}  // namespace tuskv::postgres
