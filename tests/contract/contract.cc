#include "contract/contract.h"

#include <chrono>

namespace tuskv::test {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""s;

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

std::vector<KeyedCall> keyed_calls() {
  return {
      {"get", [](const Store& s, Bytes k) { s.get(k); }},
      {"get_or_throw", [](const Store& s, Bytes k) { s.get_or_throw(k); }},
      {"get_entry", [](const Store& s, Bytes k) { s.get_entry(k); }},
      {"get_many",
       [](const Store& s, Bytes k) {
         s.get_many({"valid", k});
       }},
      {"exists", [](const Store& s, Bytes k) { s.exists(k); }},
      {"exists_many", [](const Store& s, Bytes k) { s.exists_many({k}); }},
      {"ttl", [](const Store& s, Bytes k) { s.ttl(k); }},
      {"set", [](const Store& s, Bytes k) { s.set(k, "v"); }},
      {"set_if_absent", [](const Store& s, Bytes k) { s.set_if_absent(k, "v"); }},
      {"set_if_present", [](const Store& s, Bytes k) { s.set_if_present(k, "v"); }},
      {"set_many",
       [](const Store& s, Bytes k) {
         s.set_many({{"valid", "v"}, {k, "v"}});
       }},
      {"set_many_if_absent",
       [](const Store& s, Bytes k) {
         s.set_many_if_absent({{"valid", "v"}, {k, "v"}});
       }},
      {"erase", [](const Store& s, Bytes k) { s.erase(k); }},
      {"erase_many", [](const Store& s, Bytes k) { s.erase_many({k}); }},
      {"increment", [](const Store& s, Bytes k) { s.increment(k); }},
      {"decrement", [](const Store& s, Bytes k) { s.decrement(k); }},
      {"compare_and_swap", [](const Store& s, Bytes k) { s.compare_and_swap(k, std::nullopt, "v"); }},
      {"compare_and_swap by version", [](const Store& s, Bytes k) { s.compare_and_swap(k, Version{1}, "v"); }},
      {"compare_and_erase", [](const Store& s, Bytes k) { s.compare_and_erase(k, "v"); }},
      {"compare_and_erase by version", [](const Store& s, Bytes k) { s.compare_and_erase(k, Version{1}); }},
      {"get_and_set", [](const Store& s, Bytes k) { s.get_and_set(k, "v"); }},
      {"get_and_erase", [](const Store& s, Bytes k) { s.get_and_erase(k); }},
      {"get_and_touch", [](const Store& s, Bytes k) { s.get_and_touch(k, 1s); }},
      {"expire", [](const Store& s, Bytes k) { s.expire(k, 1s); }},
      {"expire_at", [](const Store& s, Bytes k) { s.expire_at(k, std::chrono::system_clock::now() + 1h); }},
      {"persist", [](const Store& s, Bytes k) { s.persist(k); }},
      {"update", [](const Store& s, Bytes k) { s.update(k, [](auto) { return Change("v"); }); }},
      {"get_into",
       [](const Store& s, Bytes k) {
         std::string into;
         s.get_into(k, into);
       }},
  };
}

std::string backend_name(const testing::TestParamInfo<BackendKind>& info) { return info.param.name; }

}  // namespace tuskv::test
