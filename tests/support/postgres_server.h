// PostgreSQL for tests: a private cluster in a temporary directory, and a private pgbouncer in front of it. A server
// that runs already is never touched.
#pragma once

#include <string>
#include <vector>

#include "support/server_home.h"

namespace tuskv::test {

/// Where a server listens; its superuser needs no password there.
struct PostgresAddress {
  std::string host = {};  ///< the directory of a Unix socket, or an IP address
  int port = 5432;

  std::string url(const std::string& database, const std::string& user = "tuskv") const;
};

/// Creates an empty database with a fresh name and returns the name.
std::string create_database(const PostgresAddress& address);

enum class Shutdown { fast, immediate };

class PostgresServer;

struct PostgresSettings {
  std::vector<std::string> lines = {};  ///< of postgresql.conf; later ones win over the tests' own
  bool listens_on_tcp = false;          ///< on 127.0.0.1, at a free port
  /// pg_hba.conf
  std::string access = "local all,replication all trust\nhost all all 127.0.0.1/32 trust\n";
  std::string parent = {};  ///< the directory to make the cluster's in; empty: in memory where there is room
  /// A copy of that server, which follows it. It must outlive the constructor alone.
  const PostgresServer* standby_of = nullptr;
};

/// Not thread-safe, but for address() and url().
class PostgresServer final {
 public:
  /// Creates and starts the cluster (about a second).
  explicit PostgresServer(const PostgresSettings& settings = {});

  /// The directory with the newest PostgreSQL programs of this machine; throws when there is none.
  static std::string program_directory();

  const PostgresAddress& address() const { return address_; }
  const PostgresAddress& tcp_address() const { return tcp_address_; }
  std::string url(const std::string& database) const { return address_.url(database); }

  void start();
  void stop(Shutdown how);
  void restart(Shutdown how);
  /// Makes a standby a server of its own.
  void promote() { control({"promote"}); }
  /// Sends a signal to a process of this server; throws when it is none.
  void signal_backend(int pid, int signal) const;
  /// Appends to postgresql.conf; in force from the next start, or from reload().
  void add_setting(const std::string& line);
  void reload();
  /// Everything the server has logged.
  std::string log() const { return home_.read("log"); }
  const ServerHome& home() const { return home_; }

 private:
  void make_cluster(const PostgresServer* standby_of);
  std::string program(const std::string& name) const { return programs_ + "/" + name; }
  void control(const std::vector<std::string>& arguments) const;

  std::string programs_;
  ServerHome home_;
  PostgresAddress address_;
  PostgresAddress tcp_address_;
  std::string settings_;
};

struct PgBouncerSettings {
  int pool_size = 3;                    ///< server connections for each database
  std::vector<std::string> lines = {};  ///< of the [pgbouncer] section
};

/// In transaction mode: each transaction of a client may run on another server connection. Every database of the server
/// is reached under its name.
class PgBouncer final {
 public:
  explicit PgBouncer(const PostgresAddress& server, const PgBouncerSettings& settings = {});

  const PostgresAddress& address() const { return address_; }
  std::string url(const std::string& database) const { return address_.url(database); }

 private:
  ServerHome home_;
  PostgresAddress address_;
};

}  // namespace tuskv::test
