// What a statement returned, read in place: libpq's result with typed access. Columns are binary.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include <libpq-fe.h>

#include "postgres/parameters.h"

namespace tuskv::postgres {

class Rows final {
 public:
  Rows() = default;
  explicit Rows(PGresult* result) : result_(result) {}

  int count() const { return result_ ? PQntuples(result_.get()) : 0; }
  bool is_null(int row, int column) const { return PQgetisnull(result_.get(), row, column) != 0; }
  /// Valid as long as the rows.
  std::string_view bytes(int row, int column) const {
    return {PQgetvalue(result_.get(), row, column), static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
  }
  std::int64_t int8(int row, int column) const { return number<std::int64_t>(row, column); }
  std::int32_t int4(int row, int column) const { return number<std::int32_t>(row, column); }
  bool boolean(int row, int column) const { return *PQgetvalue(result_.get(), row, column) != 0; }
  /// Microseconds since 1970; 0 for null.
  std::int64_t time(int row, int column) const {
    return is_null(row, column) ? 0 : from_server_time(int8(row, column));
  }
  std::uint64_t version(int row, int column) const { return static_cast<std::uint64_t>(int8(row, column)); }

 private:
  struct Clear {
    void operator()(PGresult* result) const { PQclear(result); }
  };

  template <class T>
  T number(int row, int column) const {
    std::uint64_t bits = 0;
    for (const char byte : bytes(row, column)) bits = bits << 8 | static_cast<unsigned char>(byte);
    return static_cast<T>(bits);
  }

  std::unique_ptr<PGresult, Clear> result_;
};

}  // namespace tuskv::postgres
