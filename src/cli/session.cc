#include "cli/session.h"

#include <strings.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/limits.h"
#include "tuskv/encryption.h"
#include "tuskv/maintenance.h"

namespace tuskv::cli {

namespace {

/// One that is there and empty was meant to say something.
bool is_set(const char* name) {
  const char* const value = ::getenv(name);
  if (value != nullptr && *value == '\0') {
    throw UsageError(std::string(name) + " is set, but empty: unset it, or say what the keys are");
  }
  return value != nullptr;
}

/// Whether a key may stand in it: somebody gave the key instead of the name of its file.
bool may_hold_key(std::string_view path) {
  constexpr std::string_view kSpelling = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
  constexpr std::size_t kLongest = 40;  // a key has 44 characters or more
  while (!path.empty()) {
    const std::size_t end = std::min(path.find_first_not_of(kSpelling), path.size());
    if (end > kLongest) return true;
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return false;
}

/// What the environment says about keys, for stores whose URL says nothing.
std::shared_ptr<const Encryptor> encryptor_of_environment() {
  constexpr const char* kFile = "TUSKV_KEY_FILE";
  constexpr const char* kKeys = "TUSKV_KEYS";
  const bool has_file = is_set(kFile);
  const bool has_keys = is_set(kKeys);
  if (has_file && has_keys) throw UsageError("TUSKV_KEY_FILE and TUSKV_KEYS are both set: one is enough");
  if (has_keys) return aes_256_gcm(KeyRing::from_environment(kKeys));
  if (!has_file) return nullptr;
  const std::string path = ::getenv(kFile);
  try {
    return aes_256_gcm(KeyRing::from_file(path));
  } catch (const Error& error) {
    const std::string name = may_hold_key(path) ? kFile : kFile + ("=" + path);
    throw Error(error.code(), error.outcome(), name + ": " + error.what());
  }
}

bool is_memory(const std::string& url) {
  constexpr std::string_view kMemory = "memory:";
  return ::strncasecmp(url.c_str(), kMemory.data(), kMemory.size()) == 0;
}

/// Not there, or empty but for the file that a store is locked by.
bool holds_nothing(const std::string& directory) {
  std::error_code error;
  if (!std::filesystem::exists(directory, error)) return !error;
  for (const auto& found : std::filesystem::directory_iterator(directory, error)) {
    if (found.path().filename() != "LOCK") return false;
  }
  return !error;
}

}  // namespace

void Warnings::report(const Event& event) {
  // Recoveries and snapshots that went well are in `stats`.
  const bool failed = event.kind == Event::Kind::snapshot_failed || event.kind == Event::Kind::sync_failed ||
                      event.kind == Event::Kind::sweep_failed;
  if (!failed) return;
  const std::scoped_lock lock(mutex_);
  std::string& last = last_[event.kind];
  if (last == event.message) return;
  last = event.message;
  // Its reason alone does not say what was tried.
  const char* what = event.kind == Event::Kind::sweep_failed ? "expired entries are not removed: " : "";
  complain("warning: " + (what + last));
}

Session::Session(std::string url, std::optional<Duration> timeout) : url_(std::move(url)), timeout_(timeout) {}

Store Session::store(Access access) {
  const bool shows_expired = access == Access::show_expired && !is_memory(url_);
  if (shows_expired != shows_expired_) close();
  if (store_) return *store_;
  shows_expired_ = shows_expired;
  if (url_.empty()) throw UsageError("the URL is empty (--store, or TUSKV_STORE): it names no store");
  Options options;
  options.read_only = access == Access::read && !expects_writes_ && has_directory();
  options.create = access == Access::write || options.read_only;  // which makes nothing, and says so in its own words
  if (access == Access::inspect && !expects_writes_) options.ttl_mode = TtlMode::manual;
  if (shows_expired) options.ttl_mode = TtlMode::disabled;
  options.on_event = [](void* warnings, const Event& event) { static_cast<Warnings*>(warnings)->report(event); };
  options.event_context = &warnings_;
  // What the URL says of keys wins, so that the environment's need not even be there.
  if (Store::options_for(url_).encryption_key_file.empty()) options.encryptor = encryptor_of_environment();
  if (timeout_) options.timeout = *timeout_;
  Store store = open(options);
  // The option loses against a timeout in the URL; the user's --timeout wins.
  store_ = timeout_ ? store.with_timeout(*timeout_) : store;
  return *store_;
}

Store Session::open(const Options& options) const {
  try {
    if (!has_directory()) return Store::open(url_, options);
    std::optional<Store> store;
    open_when_free(directory(), timeout_, [&] { store = Store::open(url_, options); });
    return *std::move(store);
  } catch (const Error& error) {
    const bool makes = options.create && !options.read_only;
    if (error.code() != Code::Config || makes) throw;
    const tuskv::Options asked = Store::options_for(url_);  // throws for a wrong option, which is the error then
    if (!asked.create || asked.read_only) throw;            // no verb makes it
    const std::string first = "the first verb that writes, such as set";
    constexpr const char* kUndefinedTable = "42P01";
    if (error.sqlstate() == kUndefinedTable) throw UsageError(error.what() + (", as does " + first));
    if (!has_directory()) throw;
    const std::string directory = directory_of(url_);
    if (!holds_nothing(directory)) throw;
    throw UsageError("there is no store at " + directory + " yet: " + first + ", makes it");
  }
}

std::string Session::directory() const { return directory_of(url_); }

bool Session::has_directory() const {
  try {
    directory();
    return true;
  } catch (const Error&) {
    return false;  // another kind, or none: opening it says which
  }
}

void Session::close() {
  if (!store_) return;
  const Store store = *std::exchange(store_, std::nullopt);
  store.close();
}

void Session::close_directory() {
  if (has_directory()) close();
}

std::string canonical_directory(const std::string& directory) {
  std::error_code error;
  const auto path = std::filesystem::weakly_canonical(std::filesystem::absolute(directory, error), error);
  std::string name = error ? directory : path.string();
  while (name.size() > 1 && name.back() == '/') name.pop_back();
  return name;
}

void open_when_free(const std::string& directory, std::optional<Duration> timeout, const std::function<void()>& open) {
  const std::int64_t wait_ms = std::min(timeout.value_or(kOpenWait).milliseconds(), kOpenWaitMsMax);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(wait_ms);
  while (true) {
    try {
      return open();
    } catch (const Error& error) {
      if (error.code() != Code::Busy || std::chrono::steady_clock::now() >= end) throw;
      const char* const locked = ::getenv(kLockedDirectory);
      if (locked != nullptr && canonical_directory(directory) == locked) {
        throw Error(error.code(), error.outcome(), std::string(error.what()) + ": the lock run above keeps it open");
      }
    }
    stop_when_interrupted();
    std::this_thread::sleep_for(kOpenPause);
  }
}

std::string directory_named(const std::string& url_or_path) {
  try {
    return directory_of(url_or_path);
  } catch (const Error&) {
    if (is_memory(url_or_path)) throw;
    if (url_or_path.find("://") != std::string::npos) throw;
    return url_or_path;
  }
}

}  // namespace tuskv::cli
