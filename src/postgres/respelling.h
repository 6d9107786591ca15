// A jsonb column gives a document back in a spelling of its own ({"b":1,"a":2} becomes {"a": 2, "b": 1}). Where a value
// is looked at before it has been stored (in a batch by the commands behind it, in a transaction by its own reads) it
// must look as it will then, so the server is asked, which also says which values are no JSON.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "postgres/connection.h"
#include "postgres/rows.h"
#include "postgres/statements.h"

namespace tuskv::postgres {

class Respelling final {
 public:
  /// Adds the question to an exchange; it fails the transaction as storing the values would. Values are lent until
  /// then.
  void add(const Statements& statements, Connection& connection, std::span<const std::string_view> values);
  /// After the exchange.
  void take(Connection& connection);
  /// The value in this place, as it will come back.
  std::string_view operator[](std::size_t index) const;

 private:
  struct Chunk {
    std::size_t place = 0;
    std::size_t first = 0;
    Rows rows = {};
  };
  std::vector<Chunk> chunks_;
};

}  // namespace tuskv::postgres
