// libpq as a careful program uses it: a connection for each caller, the engine's own statements, prepared once, binary
// parameters, and the settings of the engine's sessions. What is left to differ is what the engine adds.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <libpq-fe.h>

#include "postgres/statements.h"

namespace tuskv::bench {

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using LibpqResult = std::unique_ptr<PGresult, ClearResult>;

/// One parameter in binary form; null data: null.
struct LibpqParameter {
  const char* data = nullptr;
  std::size_t size = 0;
};

/// A key as a row of tuskv's has it, behind the empty name of its namespace.
class RowKey final {
 public:
  /// Valid until the next call.
  LibpqParameter operator()(std::string_view key) {
    bytes_.resize(1);
    bytes_ += key;
    return {.data = bytes_.data(), .size = bytes_.size()};
  }

 private:
  std::string bytes_ = std::string(1, '\0');
};

class LibpqConnection final {
 public:
  LibpqConnection(const std::string& url, bool sync);

  void prepare(const postgres::Statement& statement);
  LibpqResult run(const postgres::Statement& statement, std::span<const LibpqParameter> parameters);
  /// Adds it to a pipeline.
  void send(const postgres::Statement& statement, std::span<const LibpqParameter> parameters);
  /// Throws when a statement failed.
  void check(const PGresult* result) const;
  PGconn* get() const { return connection_.get(); }

 private:
  struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  std::unique_ptr<PGconn, Finish> connection_;
};

/// The statements of a table in the schema `public`.
postgres::Statements libpq_statements(const std::string& table);

}  // namespace tuskv::bench
