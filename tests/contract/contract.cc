#include "contract/contract.h"

#include <chrono>

namespace tuskv::test {

#if TUSKV_ENCRYPTION
std::shared_ptr<const Encryptor> contract_encryptor() {
  return aes_256_gcm(KeyRing().add(2, std::string(32, 'n')).add(1, std::string(32, 'o')));
}
#endif

ContractTest::ContractTest() : backend_(GetParam().make()) {}

ContractTest::~ContractTest() { store_.reset(); }

const Store& ContractTest::store() {
  if (!store_) store_ = backend_->open(options);
  return *store_;
}

const Store& ContractTest::reopen() { return reopen_with(options); }

const Store& ContractTest::reopen_with(const Options& changed) {
  store();
  if (!backend_->capabilities().reopens) return *store_;
  store_->close();
  store_.reset();
  options = changed;
  return store();
}

Instant ContractTest::now_plus_ms(std::int64_t ms) const {
  return TimePoint(std::chrono::microseconds(backend_->now_us() + ms * 1000));
}

void ContractTest::set_all(const std::vector<std::string>& keys) {
  std::vector<Item> items;
  for (const std::string& key : keys) items.push_back({.key = key, .value = "v"});
  store().set_many(items);
}

void ContractTest::set_dead(Bytes key, Bytes value) {
  store().set(key, value, {.ttl = std::chrono::milliseconds(1)});
  advance_ms(1);
}

std::string backend_name(const testing::TestParamInfo<BackendKind>& info) { return info.param.name; }

}  // namespace tuskv::test
