#include "bench/postgres_server.h"

#include <exception>

#include "bench/machine.h"

namespace tuskv::bench {
namespace {

/// The defaults, but for room: for a connection of every caller, for all data in memory, and no checkpoint or vacuum
/// that falls into the turn of one subject and not of another. What is written is synced as by default, and to a disk:
/// there files outlive a restart of the machine.
test::PostgresSettings settings() {
  return {.lines = {"max_connections = 400", "shared_buffers = 1GB", "max_wal_size = 8GB", "checkpoint_timeout = 1h",
                    "autovacuum = off"},
          .parent = "/var/tmp"};
}

}  // namespace

std::shared_ptr<PostgresServer> PostgresServer::start(std::string& missing) {
  try {
    test::PostgresServer::program_directory();
  } catch (const std::exception& none) {
    missing = none.what();
    return nullptr;
  }
  return std::make_shared<PostgresServer>(settings());
}

PostgresServer::PostgresServer(const test::PostgresSettings& settings)
    : server_(settings), url_(server_.url(test::create_database(server_.address()))), sql_(url_) {}

std::string PostgresServer::file_system() const { return file_system_name(server_.home().path()); }

}  // namespace tuskv::bench
