// The store a run of the program works on: opened when the first verb needs it, closed at the end with its errors seen.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "tuskv/store.h"

namespace tuskv::cli {

/// What a verb is about to do. To write may make a new store; otherwise a directory that is not there is a mistake to
/// report. Who reads shares a directory with others that do. To inspect is to have it alone and leave even what has
/// expired as it is. With what has expired shown, it is an entry like any; `memory:` hides it all the same.
enum class Access { read, write, inspect, show_expired };

/// What goes wrong in the background, on stderr: once, however often it is tried again. Thread-safe.
class Warnings final {
 public:
  void report(const Event& event);

 private:
  std::mutex mutex_;
  std::map<Event::Kind, std::string> last_;  ///< what was said
};

/// One directory in one spelling, so far as it is there.
std::string canonical_directory(const std::string& directory);

/// Opens something in a directory (or works on it), again while another process has it open, for up to `timeout`; then
/// throws what `open` throws (Busy). Below a `lock run` that has this directory open it does not wait.
void open_when_free(const std::string& directory, std::optional<Duration> timeout, const std::function<void()>& open);

/// In the environment of a program that `lock run` starts: the directory that it keeps open.
inline constexpr const char* kLockedDirectory = "TUSKV_LOCK_DIRECTORY";

class Session final {
 public:
  Session(std::string url, std::optional<Duration> timeout);

  /// Many verbs follow, some of which will write: whoever reads or inspects finds the store open for that, with expired
  /// entries treated as the URL says.
  void expect_writes() noexcept { expects_writes_ = true; }
  /// The store, opened at the first call, and again where expired entries are shown and had not been, or the other way.
  Store store(Access access);
  const std::string& url() const noexcept { return url_; }
  /// The directory of a `file:` URL; a Config error for any other.
  std::string directory() const;
  bool has_directory() const;
  std::optional<Duration> timeout() const noexcept { return timeout_; }
  /// Closes the store if it is open; the next call of store() opens it again.
  void close();
  /// The same before something else is opened that may be in its directory. Where it has none it stays open: all that
  /// is in `memory:` would be lost.
  void close_directory();

 private:
  Store open(const Options& options) const;

  std::string url_;
  std::optional<Duration> timeout_;
  bool expects_writes_ = false;
  bool shows_expired_ = false;
  Warnings warnings_;
  std::optional<Store> store_;
};

/// The directory of a `file:` URL, or the text as it is when it is no URL; a Config error for a URL of another kind.
std::string directory_named(const std::string& url_or_path);

}  // namespace tuskv::cli
