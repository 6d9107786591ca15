#include "postgres/connection.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "postgres/limits.h"
#include "postgres/sqlstate.h"

namespace tuskv::postgres {

// ---- connecting

Connection::Connection(OnlyOpen, PGconn* session, const Options& options, std::uint64_t turns)
    : session_(session), route_(options.route), policy_(options.policy), turns_(turns) {
  PQsetNoticeReceiver(session, take_notice, this);
}

Connection::~Connection() = default;

Result<std::unique_ptr<Connection>> Connection::open(const Options& options, os::Deadline deadline) {
  const std::uint64_t turns = options.route.turns();
  Result<PGconn*> session = options.route.connect(options.settings, options.attempt_timeout_ms, deadline);
  if (!session.ok()) return std::move(session).status();
  auto connection = std::make_unique<Connection>(OnlyOpen(), session.value(), options, turns);
  TUSKV_RETURN_IF_ERROR(connection->ask_facts(deadline).with_outcome(Outcome::not_applied));
  return connection;
}

Status Connection::ask_facts(os::Deadline deadline) {
  const std::size_t place = add_text(
      "select pg_catalog.pg_backend_pid()::int4, pg_catalog.current_setting('plan_cache_mode') = 'force_generic_plan', "
      "pg_catalog.current_setting('server_version_num')::int4, pg_catalog.current_setting('server_encoding'), "
      "pg_catalog.current_setting('default_transaction_isolation') = 'read committed'::text");
  end_transaction();
  TUSKV_RETURN_IF_ERROR(exchange(deadline));
  // A pooler has made up the process that libpq was told of, or has left out our settings.
  facts_.through_pooler = rows(place).int4(0, 0) != PQbackendPID(session_.get()) || !rows(place).boolean(0, 1);
  facts_.server_version = rows(place).int4(0, 2);
  facts_.encoding = rows(place).bytes(0, 3);
  facts_.is_read_committed = rows(place).boolean(0, 4);
  always_read_only_ = is_read_only();
  prepares_ = policy_.prepares(facts_.through_pooler);
  constexpr int kOldestServer = 140000;
  if (facts_.server_version >= kOldestServer) return {};
  return Status(Code::Unsupported, "PostgreSQL before version 14 is not supported");
}

bool Connection::looks_dead() const {
  pollfd looked{.fd = PQsocket(session_.get()), .events = POLLIN, .revents = 0};
  return PQstatus(session_.get()) != CONNECTION_OK || ::poll(&looked, 1, 0) != 0;
}

bool Connection::is_read_only() const {
  const auto is_on = [this](const char* parameter) {
    const char* const value = PQparameterStatus(session_.get(), parameter);
    return value != nullptr && std::string_view(value) == "on";
  };
  return is_on("in_hot_standby") || is_on("default_transaction_read_only");
}

// ---- adding

void Connection::start_over() {
  if (!finished_) return;
  finished_ = false;
  sent_ = false;
  expected_.clear();
  rows_.clear();
  transactions_.clear();
}

std::size_t Connection::add(const Statement& statement, const Parameters& parameters) {
  start_over();
  std::array<const char*, kParametersMax> values = {};
  std::array<int, kParametersMax> lengths = {};
  static constexpr std::array<int, kParametersMax> kBinary = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  parameters.point(values, lengths);
  const auto count = static_cast<int>(parameters.size());
  PGconn* const session = session_.get();
  const std::size_t place = rows_.size();
  rows_.emplace_back();
  bool added = !broken_;
  if (!prepares_ || statement.name.empty()) {
    added = added && PQsendQueryParams(session, statement.text.c_str(), count, statement.types.data(), values.data(),
                                       lengths.data(), kBinary.data(), 1) == 1;
  } else {
    std::uint64_t& prepared = prepared_[statement.index / 64];
    const std::uint64_t bit = std::uint64_t{1} << statement.index % 64;
    if ((prepared & bit) == 0) {
      added = added && PQsendPrepare(session, statement.name.c_str(), statement.text.c_str(), count,
                                     statement.types.data()) == 1;
      prepared |= bit;
      expected_.push_back({.answer = Answer::prepared, .statement = &statement, .place = place});
    }
    added = added && PQsendQueryPrepared(session, statement.name.c_str(), count, values.data(), lengths.data(),
                                         kBinary.data(), 1) == 1;
  }
  broken_ = broken_ || !added;
  expected_.push_back({.answer = Answer::rows, .statement = &statement, .place = place});
  return place;
}

std::size_t Connection::add_text(const std::string& text) {
  start_over();
  const std::size_t place = rows_.size();
  rows_.emplace_back();
  if (broken_ || PQsendQueryParams(session_.get(), text.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 1) != 1) {
    broken_ = true;
  }
  expected_.push_back({.answer = Answer::text, .place = place});
  return place;
}

void Connection::end_transaction() {
  start_over();
  sent_ = true;  // libpq sends with this
  if (broken_ || PQpipelineSync(session_.get()) != 1) broken_ = true;
  expected_.push_back({.answer = Answer::sync});
  transactions_.emplace_back();
}

// ---- exchanging

Status Connection::exchange(os::Deadline deadline) {
  finished_ = true;
  transaction_ = 0;
  if (broken_) return lost("the connection to the server failed");
  TUSKV_RETURN_IF_ERROR(receive(deadline));
  if (always_read_only_) always_read_only_ = is_read_only();
  const Status* first = nullptr;
  for (const Status& status : transactions_) {
    if (status.ok()) continue;
    if (status.failure().outcome == Outcome::unknown) return status.clone();
    if (first == nullptr) first = &status;
  }
  return first == nullptr ? Status() : first->clone();
}

Status Connection::wait(short events, os::Deadline deadline) {
  // The server has a timeout of its own. Its word that nothing was applied is worth a moment.
  const os::Deadline patience = deadline + std::chrono::milliseconds(kAnswerGraceMs);
  if (wait_for_socket(PQsocket(session_.get()), events, patience)) return {};
  broken_ = true;
  return Status(Code::Timeout, "the deadline passed while waiting for the server", Outcome::unknown);
}

Status Connection::receive(os::Deadline deadline) {
  PGconn* const session = session_.get();
  bool statement_open = true;  // libpq ends each statement's results with a null
  for (std::size_t next = 0; next < expected_.size();) {
    // While sending, read too: a server that cannot get rid of its answers reads no more.
    const int unsent = PQflush(session);
    if (unsent < 0) return lost(PQerrorMessage(session));
    if (PQisBusy(session) != 0) {
      TUSKV_RETURN_IF_ERROR(wait(static_cast<short>(POLLIN | (unsent > 0 ? POLLOUT : 0)), deadline));
      if (PQconsumeInput(session) != 1 && PQisBusy(session) != 0) return lost(PQerrorMessage(session));
      continue;
    }
    PGresult* const result = PQgetResult(session);
    if (result == nullptr) {
      if (PQstatus(session) != CONNECTION_OK) return lost(PQerrorMessage(session));
      // An error at commit is the answer to the sync, which itself follows: the null between them ends no statement.
      if (!statement_open && expected_[next].answer != Answer::sync) ++next;
      statement_open = true;
      continue;
    }
    const Expected& expected = expected_[next];
    const bool is_sync = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
    take(expected, result);
    if (PQstatus(session) != CONNECTION_OK) {
      broken_ = true;
      Status& status = transactions_[transaction_];
      if (status.ok()) return lost(PQerrorMessage(session));
      return std::move(status).with_outcome(Outcome::unknown);
    }
    if (is_sync) {
      ++next;
      ++transaction_;
    } else {
      statement_open = false;
    }
  }
  return {};
}

void Connection::take(const Expected& expected, PGresult* result) {
  Rows rows(result);
  switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK: rows_[expected.place] = std::move(rows); return;
    case PGRES_COMMAND_OK:
    case PGRES_PIPELINE_SYNC: return;
    default: break;
  }
  // Whatever failed or was skipped is not prepared, if this was to prepare it.
  if (expected.answer == Answer::prepared) {
    const std::size_t index = expected.statement->index;
    prepared_[index / 64] &= ~(std::uint64_t{1} << index % 64);
  }
  Status& status = transactions_[transaction_];
  if (PQresultStatus(result) != PGRES_PIPELINE_ABORTED && status.ok()) status = failure_of(result);
}

Status Connection::failure_of(const PGresult* result) {
  const auto field = [result](int code) {
    const char* text = PQresultErrorField(result, code);
    return std::string(text != nullptr ? text : "");
  };
  const std::string sqlstate = field(PG_DIAG_SQLSTATE);
  if (sqlstate.empty()) {
    broken_ = true;
    return Status(Code::Connection, "the connection to the server was lost", Outcome::unknown);
  }
  if (sqlstate == "26000" || sqlstate == "42P05") policy_.note_refusal();
  if (sqlstate == "25006") note_refused_write();
  const std::string severity = field(PG_DIAG_SEVERITY_NONLOCALIZED);
  const bool is_fatal = severity == "FATAL" || severity == "PANIC";
  const ErrorClass meaning = is_fatal ? classify_fatal(sqlstate) : classify(sqlstate);
  // A session that has met one of these is not what it should be; so is one whose server is about to go.
  if (meaning.remedy == ErrorClass::Remedy::reconnect || is_fatal) broken_ = true;
  std::string message = "PostgreSQL: " + field(PG_DIAG_MESSAGE_PRIMARY);
  return Status(std::make_unique<Failure>(Failure{.code = meaning.code,
                                                  .outcome = meaning.outcome,
                                                  .message = route_.target().redacted(std::move(message)),
                                                  .sqlstate = sqlstate}));
}

void Connection::note_refused_write() {
  route_.pass_by(session_.get());
  // One that has been read-only all along says nothing new: those beside it are as good as any.
  if (!always_read_only_) route_.note_turn(turns_);
}

/// Of all that servers say in passing one thing matters: a commit has stopped waiting for the standbys it was to be
/// safe on. It is told by a warning alone, whose code others have, too, and whose text is of the server's language; but
/// it names the place in the server's source.
void Connection::take_notice(void* connection, const PGresult* notice) {
  const char* const place = PQresultErrorField(notice, PG_DIAG_SOURCE_FILE);
  if (place == nullptr || !std::string_view(place).ends_with("syncrep.c")) return;
  auto& self = *static_cast<Connection*>(connection);
  if (self.transaction_ >= self.transactions_.size()) return;
  // It comes with its transaction's own answers: those of later ones are behind them.
  Status& status = self.transactions_[self.transaction_];
  if (!status.ok()) return;
  status =
      Status(Code::Connection, "PostgreSQL: the commit stopped waiting for the synchronous standbys", Outcome::unknown);
}

Status Connection::lost(std::string_view what) {
  broken_ = true;
  // The failure that the server announced before it went says more.
  if (transaction_ < transactions_.size() && !transactions_[transaction_].ok()) {
    return std::move(transactions_[transaction_]).with_outcome(Outcome::unknown);
  }
  std::string message = "the connection to the server was lost";
  const std::string detail = one_line(std::string(what));
  if (!detail.empty()) message += ": " + route_.target().redacted(detail);
  return Status(Code::Connection, std::move(message), sent_ ? Outcome::unknown : Outcome::not_applied);
}

}  // namespace tuskv::postgres
