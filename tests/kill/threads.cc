#include "kill/threads.h"

#include <atomic>
#include <cstdio>
#include <exception>
#include <map>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "crash/step.h"
#include "crash/workload.h"
#include "kill/shared_pages.h"
#include "kill/store_client.h"
#include "os/file_system.h"
#include "support/manual_clock.h"
#include "support/random.h"

namespace tuskv::test {
namespace {

constexpr std::size_t kThreads = 4;
constexpr std::uint64_t kSlots = 50;
constexpr std::uint64_t kAccounts = 16;

/// Zeros are a ledger of which nothing has happened yet.
struct Ledger {
  struct alignas(64) Writer {
    std::atomic<std::uint64_t> started;
    std::atomic<std::uint64_t> answered;
    std::atomic<std::uint64_t> secured;  ///< in a snapshot that was answered: what the unlogged level keeps
  };
  Writer writers[kThreads];
};

/// The n-th write of a thread, which follows from n alone: a batch or, every third time, a transfer.
struct Write {
  std::string slot = {};
  std::string value = {};
  bool is_transfer = false;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  std::int64_t amount = 0;
};

std::string name_of(std::size_t thread, const std::string& what) {
  return "thread" + std::to_string(thread) + "/" + what;
}
std::string account(std::uint64_t index) { return "account" + std::to_string(index); }

Write write_of(std::size_t thread, std::uint64_t n) {
  Random random(n * kThreads + thread);
  Write write{.slot = name_of(thread, std::to_string(n % kSlots)), .is_transfer = n % 3 == 0};
  write.value = std::to_string(n) + ":" + std::string(random.below(200), static_cast<char>('a' + n % 26));
  write.from = random.below(kAccounts);
  write.to = (write.from + 1 + random.below(kAccounts - 1)) % kAccounts;
  write.amount = static_cast<std::int64_t>(1 + random.below(20));
  return write;
}

void perform(const Store& store, std::size_t thread, std::uint64_t n) {
  const Write write = write_of(thread, n);
  const std::string count = name_of(thread, "count");
  const std::string number = std::to_string(n);
  if (!write.is_transfer)
    return store.set_many({{.key = count, .value = number}, {.key = write.slot, .value = write.value}});
  store.transaction([&](Transaction& transaction) {
    const auto add = [&](std::uint64_t index, std::int64_t amount) {
      const auto balance = transaction.get(account(index));
      transaction.set(account(index), std::to_string((balance ? std::stoll(*balance) : kAccountStart) + amount));
    };
    add(write.from, -write.amount);
    add(write.to, write.amount);
    transaction.set(count, number);
    transaction.set(write.slot, write.value);
  });
}

void perform_patiently(const Store& store, std::size_t thread, std::uint64_t n) {
  for (;;) {
    try {
      return perform(store, thread, n);
    } catch (const Error& error) {
      if (error.code() != Code::Conflict) throw;
    }
  }
}

using Values = std::map<std::string, std::string>;

/// What must be there when every thread's first `counts` writes are.
Values expected(const std::vector<std::uint64_t>& counts) {
  Values values;
  std::map<std::uint64_t, std::int64_t> balances;
  for (std::size_t thread = 0; thread < kThreads; ++thread) {
    for (std::uint64_t n = 1; n <= counts[thread]; ++n) {
      const Write write = write_of(thread, n);
      values[write.slot] = write.value;
      if (!write.is_transfer) continue;
      balances.try_emplace(write.from, kAccountStart).first->second -= write.amount;
      balances.try_emplace(write.to, kAccountStart).first->second += write.amount;
    }
    if (counts[thread] != 0) values[name_of(thread, "count")] = std::to_string(counts[thread]);
  }
  for (const auto& [index, balance] : balances) values[account(index)] = std::to_string(balance);
  return values;
}

void compare(const Store& store, Ledger& ledger, Durability level) {
  Values found;
  for (const auto& [key, entry] : read_everything(store)) found[key] = entry.value;
  std::vector<std::uint64_t> counts;
  for (std::size_t thread = 0; thread < kThreads; ++thread) {
    Ledger::Writer& writer = ledger.writers[thread];
    const auto count = found.find(name_of(thread, "count"));
    counts.push_back(count == found.end() ? 0 : std::stoull(count->second));
    const std::uint64_t least = level == Durability::unlogged ? writer.secured : writer.answered;
    if (counts.back() < least || counts.back() > writer.started) {
      throw std::runtime_error("thread " + std::to_string(thread) + " shows " + std::to_string(counts.back()) +
                               " writes; at least " + std::to_string(least) + " are promised, and " +
                               std::to_string(writer.started) + " were started");
    }
    writer.started = writer.answered = writer.secured = counts.back();
  }
  const Values wanted = expected(counts);
  for (const auto& [key, value] : wanted) {
    if (found[key] != value) throw std::runtime_error(key + ": " + found[key] + " instead of " + value);
  }
  if (found.size() != wanted.size()) throw std::runtime_error("there are keys nobody wrote");
}

void take_snapshots(const Store& store, Ledger& ledger, const std::atomic<bool>& stopping) {
  while (!stopping) {
    std::vector<std::uint64_t> answered;
    for (const Ledger::Writer& writer : ledger.writers) answered.push_back(writer.answered);
    store.snapshot();
    for (std::size_t i = 0; i < kThreads; ++i) ledger.writers[i].secured = answered[i];
  }
}

void work(const Store& store, Ledger& ledger, std::uint64_t transfers) {
  const auto guarded = [](auto&& body) {
    return std::thread([body] {
      try {
        body();
      } catch (const std::exception& broken) {
        std::fprintf(stderr, "BROKEN: %s\n", broken.what());
        std::_Exit(EXIT_FAILURE);
      }
    });
  };
  std::atomic<bool> stopping = false;
  std::vector<std::thread> writers;
  for (std::size_t i = 0; i < kThreads; ++i) {
    writers.push_back(guarded([&store, &ledger, transfers, i] {
      Ledger::Writer& writer = ledger.writers[i];
      for (std::uint64_t done = 0; done < transfers; ++done) {
        const std::uint64_t n = writer.answered + 1;
        writer.started = n;
        perform_patiently(store, i, n);
        writer.answered = n;
      }
    }));
  }
  std::thread snapshots = guarded([&] { take_snapshots(store, ledger, stopping); });
  for (std::thread& writer : writers) writer.join();
  stopping = true;
  snapshots.join();
}

}  // namespace

void write_until_killed(const ThreadsPlace& place, std::uint64_t transfers) {
  const SharedPages pages(place.ledger, sizeof(Ledger));
  Ledger& ledger = *static_cast<Ledger*>(pages.data());
  const auto files = os::make_posix_file_system();
  const ManualClock clock;
  const Mix mix{.segment_bytes_min = std::uint64_t{64} << 10, .segment_bytes_max = std::uint64_t{256} << 10};
  const Store store =
      open_store_for(mix, place.level, {.directory = place.directory, .file_system = files.get(), .clock = &clock});
  compare(store, ledger, place.level);
  std::uint64_t writes = 0;
  for (const Ledger::Writer& writer : ledger.writers) writes += writer.answered;
  std::printf("open %llu\n", static_cast<unsigned long long>(writes));
  std::fflush(stdout);
  if (transfers != 0) work(store, ledger, transfers);
  store.close();
}

}  // namespace tuskv::test
