// A PostgreSQL of our own, with its files on a disk. Every subject has a table of its own in it.
#pragma once

#include <memory>
#include <string>

#include "support/postgres_server.h"
#include "support/sql_connection.h"

namespace tuskv::bench {

class PostgresServer final {
 public:
  /// Null, and the reason, when this machine has none.
  static std::shared_ptr<PostgresServer> start(std::string& missing);
  explicit PostgresServer(const test::PostgresSettings& settings);

  const std::string& url() const { return url_; }
  std::string version() { return sql_.value("show server_version"); }
  /// What holds its files.
  std::string file_system() const;

  /// Runs statements as the superuser.
  void run(const std::string& statements) { sql_.run(statements); }
  std::string value(const std::string& statement) { return sql_.value(statement); }
  /// Removes what a turn of writes has left behind, which autovacuum would do in the midst of somebody's turn.
  void vacuum() { sql_.run("vacuum"); }
  void drop_everything() { sql_.run("drop schema if exists public cascade; create schema public"); }

 private:
  test::PostgresServer server_;
  std::string url_;
  test::SqlConnection sql_;
};

}  // namespace tuskv::bench
