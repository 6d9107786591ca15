// The contract: what every store promises, whatever engine is behind it. Tests use the public API alone and run once
// for each backend; a new engine is one more Backend in backends.cc and no change to any test.
//
// Time is the backend's to move: no test sleeps for expiry. Stores are opened with TtlMode::manual unless a test says
// otherwise, so that an expired entry is still stored, and in the way, when the next call meets it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tuskv/encryption.h"
#include "tuskv/tuskv.h"

namespace tuskv::test {

struct Capabilities {
  bool reopens = false;                  ///< what is stored survives close() and another open()
  bool has_snapshots = false;            ///< snapshot() and its relatives work
  bool clock_goes_back = false;          ///< advance_ms takes negative numbers
  bool clock_stands_still = false;       ///< time passes by advance_ms alone
  bool is_one_process = false;           ///< a second open while the first is open is Busy, or another store (memory)
  bool versions_compare = false;         ///< versions of different keys are of one order
  bool counts_syncs = false;             ///< stats() tells the syncs and the log of this process
  bool syncs = true;                     ///< sync() can make what is stored survive a crash of the machine
  bool keeps_json = false;               ///< values are JSON documents, and come back as such and not byte for byte
  bool is_shared = false;                ///< several processes may have it open at the same time
  std::size_t value_overhead_bytes = 0;  ///< by which what is stored is longer than the value
};

/// One place to keep entries, and its clock. Stores it opened must be gone before it is.
class Backend {
 public:
  virtual ~Backend() = default;
  /// Opens what the backend keeps; the same entries each time where capabilities().reopens.
  virtual Store open(const Options& options) = 0;
  /// Ends the process of the open store, as a kill does or, where its durability promises that much, a loss of power:
  /// what it does from now on is lost. It must still be closed. False where this cannot be simulated.
  virtual bool lose_process() { return false; }
  virtual void advance_ms(std::int64_t by_ms) = 0;
  virtual std::int64_t now_us() const = 0;
  virtual Capabilities capabilities() const = 0;
  /// What Stats::engine says.
  virtual std::string engine() const = 0;
  /// What Stats::durability says.
  virtual Durability durability() const = 0;
};

/// By which AES-256-GCM makes values longer.
inline constexpr std::size_t kEncryptionOverheadBytes = 33;
#if TUSKV_ENCRYPTION
/// That of the kinds with encryption.
std::shared_ptr<const Encryptor> contract_encryptor();
#endif

struct BackendKind {
  const char* name = nullptr;
  std::unique_ptr<Backend> (*make)() = nullptr;
};

/// How failed tests show the parameter.
inline void PrintTo(const BackendKind& kind, std::ostream* out) { *out << kind.name; }

/// Every backend of this build that keeps any bytes.
const std::vector<BackendKind>& backend_kinds();
/// Also those that keep JSON alone: for suites whose values are JSON, spelled as PostgreSQL does ({"a": 1}).
const std::vector<BackendKind>& json_backend_kinds();

class ContractTest : public testing::TestWithParam<BackendKind> {
 protected:
  ContractTest();
  ~ContractTest() override;

  /// The store under test, opened with `options` on first use.
  const Store& store();
  /// Closes the store and opens it again where the backend can; elsewhere the open one goes on.
  const Store& reopen();
  const Store& reopen_with(const Options& changed);
  Backend& backend() { return *backend_; }
  void advance_ms(std::int64_t by_ms) { backend_->advance_ms(by_ms); }
  /// The backend's clock as an argument for expires_at.
  Instant now_plus_ms(std::int64_t ms) const;
  std::optional<std::string> get(Bytes key) { return store().get(key); }
  /// Each to "v".
  void set_all(const std::vector<std::string>& keys);
  /// Sets a key that has expired and is still stored.
  void set_dead(Bytes key, Bytes value = "dead");

  Options options = {.ttl_mode = TtlMode::manual};

 private:
  std::unique_ptr<Backend> backend_;
  std::optional<Store> store_;
};

/// The error that the call throws; a failed expectation when it throws none.
template <class F>
Error error_of(F&& call) {
  try {
    static_cast<void>(call());
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no error was thrown";
  return Error(Code::Internal, Outcome::unknown, "no error was thrown");
}

/// Expects the call to throw the code, with an outcome of not_applied and all of the words in its message.
template <class F>
void expect_refused(F&& call, Code code, std::initializer_list<std::string_view> words = {}) {
  const Error error = error_of(call);
  EXPECT_EQ(to_string(error.code()), to_string(code)) << error.what();
  EXPECT_EQ(error.outcome(), Outcome::not_applied) << error.what();
  for (const std::string_view word : words) EXPECT_THAT(error.what(), testing::HasSubstr(word));
}

/// Every call that takes one key, with its name.
using KeyedCall = std::pair<const char*, std::function<void(const Store&, Bytes)>>;
std::vector<KeyedCall> keyed_calls();

std::string backend_name(const testing::TestParamInfo<BackendKind>& info);

}  // namespace tuskv::test

/// Defines a suite of the contract, for every backend that keeps any bytes.
#define TUSKV_CONTRACT_SUITE(name)                                                              \
  class name : public ::tuskv::test::ContractTest {};                                           \
  INSTANTIATE_TEST_SUITE_P(Backends, name, ::testing::ValuesIn(::tuskv::test::backend_kinds()), \
                           ::tuskv::test::backend_name)

/// The same for every backend; all values its tests set are JSON.
#define TUSKV_JSON_CONTRACT_SUITE(name)                                                              \
  class name : public ::tuskv::test::ContractTest {};                                                \
  INSTANTIATE_TEST_SUITE_P(Backends, name, ::testing::ValuesIn(::tuskv::test::json_backend_kinds()), \
                           ::tuskv::test::backend_name)
