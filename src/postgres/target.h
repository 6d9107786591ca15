// Where to connect, from a connection string of libpq's. It holds the password, so nothing here ever shows its text:
// what libpq says of a string it cannot read would repeat parts of it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "status.h"

namespace tuskv::postgres {

struct SessionSettings {
  bool synchronous_commit = true;
  std::int64_t statement_timeout_ms = 5000;
};

class Target final {
 public:
  /// A URL or keyword=value pairs; what it leaves out comes from the environment and the service file, as in psql.
  static Result<Target> parse(std::string_view conninfo);

  /// Keywords and values for libpq; with our settings as options of the session, or without (a pooler refuses them).
  std::vector<std::pair<std::string, std::string>> keywords(const SessionSettings* settings) const;
  /// Seconds given for one attempt (libpq's connect_timeout); 0: none.
  std::int64_t connect_timeout_s() const { return connect_timeout_s_; }
  /// The text without the password, should it hold it.
  std::string redacted(std::string text) const;

 private:
  Status check() const;
  std::string value_of(std::string_view keyword) const;

  std::vector<std::pair<std::string, std::string>> given_;
  std::int64_t connect_timeout_s_ = 0;
};

}  // namespace tuskv::postgres
