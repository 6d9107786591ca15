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
  /// The server looks now and then whether its client is there while it works for it. Not every server can.
  bool checks_client = true;
};

inline constexpr std::string_view kClientCheck = "client_connection_check_interval";

/// One of the servers of a list. What is empty is left to libpq.
struct Host {
  /// A machine's, not the folder of a socket (or its name without one).
  bool is_machine() const { return !name.empty() && !name.starts_with('/') && !name.starts_with('@'); }

  std::string name = {};     ///< or the folder of a socket
  std::string address = {};  ///< numeric
  std::string port = {};
  bool is_one_of_several = false;  ///< servers that the connection string may mean
};

class Target final {
 public:
  /// A URL or keyword=value pairs; what it leaves out comes from the environment and the service file, as in psql.
  static Result<Target> parse(std::string_view conninfo);

  /// At least one.
  const std::vector<Host>& hosts() const { return hosts_; }
  /// Keywords and values for libpq; with our settings as options of the session, or without (a pooler refuses them).
  std::vector<std::pair<std::string, std::string>> keywords(const Host& host, const SessionSettings* settings) const;
  /// Sessions are to be spread over the hosts (load_balance_hosts, which libpq has since version 16).
  bool shuffles_hosts() const { return value_of("load_balance_hosts") == "random"; }
  /// Seconds given for one attempt (libpq's connect_timeout); 0: none.
  std::int64_t connect_timeout_s() const { return connect_timeout_s_; }
  /// The text without the password, should it hold it.
  std::string redacted(std::string text) const;

 private:
  using Values = std::vector<std::pair<std::string, std::string>>;

  /// False when a part of it cannot be what it stands for, such as a password that was not encoded.
  bool is_readable() const;
  Status resolve();
  void list_hosts();
  std::string value_of(std::string_view keyword) const;
  bool is_given(std::string_view keyword) const;

  Values given_;
  Values resolved_;           ///< what libpq makes of them with the environment, the service file and its defaults
  std::string default_port_;  ///< whatever the environment says
  std::vector<Host> hosts_;
  std::int64_t connect_timeout_s_ = 0;
};

}  // namespace tuskv::postgres
