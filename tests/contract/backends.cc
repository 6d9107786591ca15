// The backends of this build. Each keeps its own place and a clock that stands still until a test moves it.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "contract/contract.h"
#include "open.h"
#include "support/manual_clock.h"
#include "support/temporary_directory.h"
#if TUSKV_POSTGRES
#include "contract/postgres_backend.h"
#endif

namespace tuskv::test {
namespace {

class EmbeddedBackend final : public Backend {
 public:
  EmbeddedBackend(bool in_memory, Durability durability, std::shared_ptr<const Encryptor> encryptor)
      : in_memory_(in_memory), durability_(durability), encryptor_(std::move(encryptor)) {}

  Store open(const Options& options) override {
    Options with_durability = options;
    with_durability.durability = durability_;
    with_durability.encryptor = encryptor_;
    const std::string url = in_memory_ ? "memory:" : "file:" + directory_.path("store");
    return open_store(url, with_durability, {.clock = &clock_});
  }
  void advance_ms(std::int64_t by_ms) override { clock_.advance_ms(by_ms); }
  std::int64_t now_us() const override { return clock_.now_us(); }
  Capabilities capabilities() const override {
    return {.reopens = !in_memory_,
            .has_snapshots = !in_memory_,
            .clock_goes_back = true,
            .clock_stands_still = true,
            .is_one_process = !in_memory_,
            .versions_compare = true,
            .counts_syncs = true,
            .value_overhead_bytes = encryptor_ == nullptr ? 0 : kEncryptionOverheadBytes};
  }
  std::string engine() const override { return in_memory_ ? "memory" : "file"; }
  Durability durability() const override { return in_memory_ ? Durability::unlogged : durability_; }

 private:
  const bool in_memory_;
  const Durability durability_;
  const std::shared_ptr<const Encryptor> encryptor_;
  TemporaryDirectory directory_;
  ManualClock clock_;
};

template <bool in_memory, Durability durability>
std::unique_ptr<Backend> make_embedded() {
  return std::make_unique<EmbeddedBackend>(in_memory, durability, nullptr);
}

#if TUSKV_ENCRYPTION
template <bool in_memory>
std::unique_ptr<Backend> make_encrypted() {
  return std::make_unique<EmbeddedBackend>(in_memory, Durability::durable, contract_encryptor());
}
#endif

}  // namespace

// Servers cost more time than all the rest, so their kinds cover the levels, partitions and the pooler together and not
// in every combination. jsonb is not among them, as most suites set what is no JSON: "v", any bytes, numbers that are
// spelled wrongly. It has the same statements but for the type of the value; what that changes (spelling, counters,
// comparisons) is in the suites of JSON below, and the model, whose values are all JSON, makes every call on it.
const std::vector<BackendKind>& backend_kinds() {
  static const std::vector<BackendKind> kinds = {
    {"memory", &make_embedded<true, Durability::durable>},
    {"file_durable", &make_embedded<false, Durability::durable>},
    {"file_relaxed", &make_embedded<false, Durability::relaxed>},
    {"file_unlogged", &make_embedded<false, Durability::unlogged>},
#if TUSKV_ENCRYPTION
    {"memory_encrypted", &make_encrypted<true>},
    {"file_durable_encrypted", &make_encrypted<false>},
#endif
#if TUSKV_POSTGRES
    {"postgres_durable", [] { return make_postgres_backend({}); }},
    {"postgres_unlogged", [] { return make_postgres_backend({.durability = Durability::unlogged}); }},
    {"postgres_relaxed_partitioned",
     [] { return make_postgres_backend({.durability = Durability::relaxed, .parameters = "&partitions=4"}); }},
    {"postgres_pooled", [] { return make_postgres_backend({.durability = Durability::unlogged, .is_pooled = true}); }},
#endif
#if TUSKV_POSTGRES && TUSKV_ENCRYPTION
    {"postgres_encrypted",
     [] { return make_postgres_backend({.durability = Durability::relaxed, .encryptor = contract_encryptor()}); }},
#endif
  };
  return kinds;
}

const std::vector<BackendKind>& json_backend_kinds() {
  static const std::vector<BackendKind> kinds = [] {
    std::vector<BackendKind> all = backend_kinds();
#if TUSKV_POSTGRES
    all.push_back({"postgres_json",
                   [] { return make_postgres_backend({.parameters = "&value_type=jsonb", .keeps_json = true}); }});
#endif
    return all;
  }();
  return kinds;
}

}  // namespace tuskv::test
