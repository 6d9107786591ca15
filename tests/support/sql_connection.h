// A connection of the test's own to a PostgreSQL server, beside those of the store under test.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

struct pg_conn;
struct pg_result;

namespace tuskv::test {

class SqlError final : public std::runtime_error {
 public:
  SqlError(const std::string& message, std::string sqlstate)
      : std::runtime_error(message), sqlstate_(std::move(sqlstate)) {}
  const std::string& sqlstate() const { return sqlstate_; }

 private:
  std::string sqlstate_;
};

using SqlRow = std::vector<std::optional<std::string>>;

/// Not thread-safe.
class SqlConnection final {
 public:
  explicit SqlConnection(const std::string& url);
  ~SqlConnection();
  SqlConnection(SqlConnection&& other) noexcept;
  SqlConnection& operator=(SqlConnection&&) = delete;

  /// Runs one or several statements and returns the rows of the last one, as text. Throws SqlError.
  std::vector<SqlRow> run(const std::string& statements);
  /// The only value of the only row.
  std::string value(const std::string& statement);
  /// Sends statements without waiting for them; finish() waits.
  void send(const std::string& statements);
  std::vector<SqlRow> finish();
  /// The server's process that serves this connection.
  int backend_pid() const;

  /// As a literal in a statement, quotes included.
  static std::string quoted(std::string_view text);
  static std::string quoted_name(std::string_view name);

 private:
  pg_conn* connection_;
};

}  // namespace tuskv::test
