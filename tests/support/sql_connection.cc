#include "support/sql_connection.h"

#include <memory>
#include <utility>

#include <libpq-fe.h>

namespace tuskv::test {
namespace {

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using ResultOwner = std::unique_ptr<PGresult, ClearResult>;

std::vector<SqlRow> rows_of(const PGresult* result) {
  std::vector<SqlRow> rows(static_cast<std::size_t>(PQntuples(result)));
  for (int r = 0; r < PQntuples(result); ++r) {
    SqlRow& row = rows[static_cast<std::size_t>(r)];
    for (int c = 0; c < PQnfields(result); ++c) {
      if (PQgetisnull(result, r, c) != 0) {
        row.emplace_back();
      } else {
        row.emplace_back(std::in_place, PQgetvalue(result, r, c), static_cast<std::size_t>(PQgetlength(result, r, c)));
      }
    }
  }
  return rows;
}

std::string quoted_by(char quote, std::string_view text) {
  std::string quoted(1, quote);
  for (const char byte : text) {
    if (byte == quote) quoted += quote;
    quoted += byte;
  }
  return quoted + quote;
}

}  // namespace

SqlConnection::SqlConnection(const std::string& url) : connection_(PQconnectdb(url.c_str())) {
  if (PQstatus(connection_) == CONNECTION_OK) {
    PQsetNoticeProcessor(
        connection_, [](void*, const char*) {}, nullptr);
    return;
  }
  const std::string message = PQerrorMessage(connection_);
  PQfinish(connection_);
  throw SqlError(message, "");
}

SqlConnection::~SqlConnection() { PQfinish(connection_); }

SqlConnection::SqlConnection(SqlConnection&& other) noexcept : connection_(std::exchange(other.connection_, nullptr)) {}

std::vector<SqlRow> SqlConnection::run(const std::string& statements) {
  send(statements);
  return finish();
}

std::string SqlConnection::value(const std::string& statement) {
  const std::vector<SqlRow> rows = run(statement);
  if (rows.size() != 1 || rows.front().size() != 1 || !rows.front().front()) {
    throw SqlError("not one value: " + statement, "");
  }
  return *rows.front().front();
}

void SqlConnection::send(const std::string& statements) {
  if (PQsendQuery(connection_, statements.c_str()) != 1) throw SqlError(PQerrorMessage(connection_), "");
}

std::vector<SqlRow> SqlConnection::finish() {
  std::vector<SqlRow> rows;
  std::optional<SqlError> failure;
  while (const ResultOwner result = ResultOwner(PQgetResult(connection_))) {
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_FATAL_ERROR) {
      const char* sqlstate = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
      failure.emplace(PQresultErrorMessage(result.get()), sqlstate == nullptr ? "" : sqlstate);
    } else {
      rows = rows_of(result.get());
    }
  }
  if (failure) throw SqlError(*failure);
  return rows;
}

int SqlConnection::backend_pid() const { return PQbackendPID(connection_); }

std::string SqlConnection::quoted(std::string_view text) { return quoted_by('\'', text); }

std::string SqlConnection::quoted_name(std::string_view name) { return quoted_by('"', name); }

}  // namespace tuskv::test
