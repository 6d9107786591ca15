// A Redis server of our own, reached by its unix socket, keeping nothing on disk.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "bench/child_process.h"

namespace tuskv::bench {

class RedisServer final {
 public:
  /// Starts it in `directory`; throws when it does not come up.
  explicit RedisServer(const std::string& directory);
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  /// Whether there is a redis-server in PATH.
  static bool available();

  const std::string& socket() const { return socket_path_; }

  /// Sends a SET without waiting for its answer; answers are read from time to time.
  void set(std::string_view key, std::string_view value);
  /// Reads the answers of all sets; throws when one failed.
  void finish_sets();
  void flush_all();
  /// The value of a field of INFO.
  std::string info(const std::string& field);

 private:
  void send(std::string_view bytes);
  std::string read_line();
  std::string read_bytes(std::size_t count);
  void fill();

  std::string socket_path_;
  ChildProcess process_;
  int socket_ = -1;
  std::string outgoing_ = {};
  std::uint64_t unanswered_ = 0;
  std::string incoming_ = {};
  std::size_t consumed_ = 0;
};

}  // namespace tuskv::bench
