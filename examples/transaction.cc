// Moving money between accounts from several threads: every transfer happens whole or not at all, and no money appears
// or disappears.
//
// usage: transaction [URL]
#include <tuskv/tuskv.h>

#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int kAccounts = 4;
constexpr int kThreads = 4;
constexpr int kTransfers = 250;
constexpr std::int64_t kStart = 1000;

std::string account(int number) { return "account:" + std::to_string(number); }

std::int64_t balance(const tuskv::KeyValue& accounts, int number) {
  return std::stoll(accounts.get_or_throw(account(number)));
}

struct NotEnough : std::runtime_error {
  NotEnough() : std::runtime_error("not enough money") {}
};

/// Works inside a transaction and, without its guarantees, on a store.
void move(const tuskv::KeyValue& accounts, int from, int to, std::int64_t amount) {
  const std::int64_t left = balance(accounts, from) - amount;
  accounts.set(account(from), std::to_string(left));
  if (left < 0) throw NotEnough();  // takes back the line above, too
  accounts.set(account(to), std::to_string(balance(accounts, to) + amount));
}

std::int64_t total(const tuskv::Store& store) {
  // Inside a transaction all balances are of one moment.
  return store.transaction([](tuskv::Transaction& tx) {
    std::int64_t sum = 0;
    for (int i = 0; i < kAccounts; ++i) sum += balance(tx, i);
    return sum;
  });
}

/// How many transfers were made.
int transfer_often(const tuskv::Store& store, int thread) {
  int made = 0;
  for (int i = 0; i < kTransfers; ++i) {
    const int from = (thread + i) % kAccounts;
    const int to = (thread + i * 3 + 1) % kAccounts;
    if (from == to) continue;
    try {
      store.transaction([&](tuskv::Transaction& tx) { move(tx, from, to, i % 400); });
      ++made;
    } catch (const NotEnough&) {
      // Rolled back: nothing has changed.
    }
  }
  return made;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const auto store = tuskv::Store::open(argc > 1 ? argv[1] : "memory:");
    for (int i = 0; i < kAccounts; ++i) store.set(account(i), std::to_string(kStart));
    std::vector<int> made(kThreads);
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&store, &made, i] { made[static_cast<std::size_t>(i)] = transfer_often(store, i); });
    }
    for (auto& thread : threads) thread.join();
    int all = 0;
    for (const int count : made) all += count;
    const std::int64_t after = total(store);
    std::cout << all << " transfers by " << kThreads << " threads, " << store.stats().conflicts
              << " run again after a conflict; total before " << kAccounts * kStart << ", after " << after << "\n";
    store.close();
    return after == kAccounts * kStart ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
