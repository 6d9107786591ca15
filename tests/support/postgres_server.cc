#include "support/postgres_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "support/sql_connection.h"

namespace tuskv::test {
namespace {

constexpr int kPort = 5432;  // of the Unix socket, whose directory nobody else uses

/// Nobody has it now; another program could take it before the server does.
int free_port() {
  const os::UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (!socket.valid() || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::system_error(errno, std::generic_category(), "cannot find a free port");
  }
  return ntohs(address.sin_port);
}

/// The tests' own settings: small, quiet, and English, so that messages are the same everywhere.
std::string base_settings(const std::string& directory, int port, bool listens_on_tcp) {
  return "unix_socket_directories = '" + directory + "'\nport = " + std::to_string(port) + "\nlisten_addresses = '" +
         (listens_on_tcp ? "127.0.0.1" : "") +
         "'\nshared_buffers = 16MB\nmax_connections = 200\nlc_messages = 'C'\n"
         "log_min_messages = log\nlog_min_error_statement = panic\nautovacuum_naptime = 1min\n";
}

/// Whether the process is a child of the other.
bool is_child(int pid, int parent) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line == "PPid:\t" + std::to_string(parent)) return true;
  }
  return false;
}

}  // namespace

std::string PostgresAddress::url(const std::string& database, const std::string& user) const {
  return "postgresql:///" + database + "?host=" + host + "&port=" + std::to_string(port) + "&user=" + user;
}

std::string create_database(const PostgresAddress& address) {
  static std::atomic<int> count = 0;
  const std::string name = "test_" + std::to_string(::getpid()) + "_" + std::to_string(++count);
  SqlConnection(address.url("postgres")).run("create database " + name);
  return name;
}

std::string PostgresServer::program_directory() {
  std::string newest;
  int newest_version = 0;
  std::error_code none;  // no such directory: other systems than Debian
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", none)) {
    const int version = std::atoi(entry.path().filename().c_str());
    const std::filesystem::path programs = entry.path() / "bin";
    if (version > newest_version && std::filesystem::exists(programs / "postgres")) {
      newest = programs;
      newest_version = version;
    }
  }
  if (!newest.empty()) return newest;
  std::string programs = run_command({"pg_config", "--bindir"});
  programs.erase(programs.find_last_not_of('\n') + 1);
  if (!std::filesystem::exists(programs + "/postgres")) throw std::runtime_error("there is no PostgreSQL server here");
  return programs;
}

PostgresServer::PostgresServer(const PostgresSettings& settings)
    : programs_(program_directory()), home_(settings.parent) {
  const int port = settings.listens_on_tcp ? free_port() : kPort;
  address_ = {.host = home_.path(), .port = port};
  tcp_address_ = {.host = "127.0.0.1", .port = port};
  make_cluster(settings.standby_of);
  settings_ = base_settings(home_.path(), port, settings.listens_on_tcp);
  for (const std::string& line : settings.lines) settings_ += line + "\n";
  home_.write("data/postgresql.conf", settings_);
  home_.write("data/pg_hba.conf", settings.access);
  start();
}

void PostgresServer::make_cluster(const PostgresServer* standby_of) {
  if (standby_of != nullptr) {
    home_.run({program("pg_basebackup"), "--pgdata=" + home_.path("data"), "--host=" + standby_of->address().host,
               "--port=" + std::to_string(standby_of->address().port), "--username=tuskv", "--checkpoint=fast",
               "--no-sync", "--write-recovery-conf"});
    return;
  }
  home_.run({program("initdb"), "--pgdata=" + home_.path("data"), "--username=tuskv", "--auth=trust", "--no-sync",
             "--no-locale", "--encoding=UTF8"});
}

void PostgresServer::control(const std::vector<std::string>& arguments) const {
  std::vector<std::string> command = {program("pg_ctl"), "--pgdata=" + home_.path("data"), "--wait", "--timeout=60"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  home_.run(command);
}

void PostgresServer::start() { control({"start", "--log=" + home_.path("log")}); }

void PostgresServer::stop(Shutdown how) {
  control({"stop", how == Shutdown::fast ? "--mode=fast" : "--mode=immediate"});
}

void PostgresServer::restart(Shutdown how) {
  stop(how);
  start();
}

void PostgresServer::signal_backend(int pid, int signal) const {
  const int postmaster = std::atoi(home_.read("data/postmaster.pid").c_str());
  if (postmaster <= 0 || !is_child(pid, postmaster)) {
    throw std::runtime_error(std::to_string(pid) + " is no process of this server");
  }
  if (::kill(pid, signal) != 0) throw std::system_error(errno, std::generic_category(), "kill");
}

void PostgresServer::add_setting(const std::string& line) {
  settings_ += line + "\n";
  home_.write("data/postgresql.conf", settings_);
}

void PostgresServer::reload() { control({"reload"}); }

PgBouncer::PgBouncer(const PostgresAddress& server, const PgBouncerSettings& settings)
    : address_{.host = home_.path(), .port = 6432} {
  home_.write("users", "\"tuskv\" \"\"\n");
  std::string configuration = "[databases]\n* = host=" + server.host + " port=" + std::to_string(server.port) +
                              "\n[pgbouncer]\nlisten_addr =\nunix_socket_dir = " + home_.path() +
                              "\nlisten_port = " + std::to_string(address_.port) +
                              "\nauth_type = trust\nauth_file = " + home_.path("users") +
                              "\nadmin_users = tuskv\npool_mode = transaction\nmax_client_conn = 500\n" +
                              "default_pool_size = " + std::to_string(settings.pool_size) +
                              "\nlogfile = " + home_.path("log") + "\npidfile = " + home_.path("pgbouncer.pid") + "\n";
  for (const std::string& line : settings.lines) configuration += line + "\n";
  home_.write("pgbouncer.ini", configuration);
  // Debian puts it where only the superuser's PATH leads.
  home_.run({"/bin/sh", "-c", "PATH=$PATH:/usr/sbin exec pgbouncer --daemon --quiet \"$1\"", "pgbouncer",
             home_.path("pgbouncer.ini")});
}

}  // namespace tuskv::test
