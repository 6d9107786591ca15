#include "bench/redis_server.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace tuskv::bench {
namespace {

constexpr std::chrono::seconds kStartPatience{10};
constexpr std::size_t kSendBytes = std::size_t{64} << 10;
constexpr std::uint64_t kUnansweredMax = 1000;

/// A path short enough for a unix socket wherever the data lies: relative to the working directory when that helps.
std::string socket_path(const std::string& directory) {
  const std::string absolute = std::filesystem::absolute(directory).string() + "/redis.sock";
  return absolute.size() < sizeof(sockaddr_un::sun_path)
             ? absolute
             : std::filesystem::relative(directory).string() + "/redis.sock";
}

int connect_to(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) throw std::runtime_error("the path of the socket is too long: " + path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const auto deadline = std::chrono::steady_clock::now() + kStartPatience;
  while (std::chrono::steady_clock::now() < deadline) {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return fd;
    close(fd);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  throw std::runtime_error("redis-server did not come up");
}

void append_bulk(std::string& out, std::string_view bytes) {
  out += '$';
  out += std::to_string(bytes.size());
  out += "\r\n";
  out += bytes;
  out += "\r\n";
}

}  // namespace

RedisServer::RedisServer(const std::string& directory)
    : socket_path_(socket_path(directory)),
      process_({"redis-server", "--port", "0", "--unixsocket", socket_path_, "--save", "", "--appendonly", "no",
                "--logfile", "redis.log", "--dir", directory}),
      socket_(connect_to(socket_path_)) {}

RedisServer::~RedisServer() {
  process_.terminate();
  close(socket_);
}

bool RedisServer::available() {
  std::istringstream path(std::getenv("PATH") != nullptr ? std::getenv("PATH") : "");
  for (std::string folder; std::getline(path, folder, ':');) {
    if (access((folder + "/redis-server").c_str(), X_OK) == 0) return true;
  }
  return false;
}

void RedisServer::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0) throw std::system_error(errno, std::generic_category(), "redis: send");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

void RedisServer::fill() {
  std::array<char, 16384> chunk;
  const ssize_t n = recv(socket_, chunk.data(), chunk.size(), 0);
  if (n <= 0) throw std::runtime_error("redis-server closed the connection");
  incoming_.erase(0, consumed_);
  consumed_ = 0;
  incoming_.append(chunk.data(), static_cast<std::size_t>(n));
}

std::string RedisServer::read_line() {
  std::size_t end = std::string::npos;
  while ((end = incoming_.find("\r\n", consumed_)) == std::string::npos) fill();
  std::string line = incoming_.substr(consumed_, end - consumed_);
  consumed_ = end + 2;
  return line;
}

std::string RedisServer::read_bytes(std::size_t count) {
  while (incoming_.size() - consumed_ < count) fill();
  std::string bytes = incoming_.substr(consumed_, count);
  consumed_ += count;
  return bytes;
}

void RedisServer::set(std::string_view key, std::string_view value) {
  outgoing_ += "*3\r\n$3\r\nSET\r\n";
  append_bulk(outgoing_, key);
  append_bulk(outgoing_, value);
  if (++unanswered_ == kUnansweredMax || outgoing_.size() >= kSendBytes) finish_sets();
}

void RedisServer::finish_sets() {
  send(outgoing_);
  outgoing_.clear();
  for (; unanswered_ > 0; --unanswered_) {
    if (const std::string line = read_line(); line != "+OK") throw std::runtime_error("redis answered " + line);
  }
}

void RedisServer::flush_all() {
  send("*1\r\n$8\r\nFLUSHALL\r\n");
  read_line();
}

std::string RedisServer::info(const std::string& field) {
  send("*1\r\n$4\r\nINFO\r\n");
  const std::string header = read_line();
  const std::string text = read_bytes(std::stoull(header.substr(1)) + 2);
  const std::size_t start = text.find("\n" + field + ":");
  if (start == std::string::npos) throw std::runtime_error("redis: INFO has no " + field);
  const std::size_t value = start + field.size() + 2;
  return text.substr(value, text.find_first_of("\r\n", value) - value);
}

}  // namespace tuskv::bench
