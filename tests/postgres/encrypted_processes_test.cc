// Several processes on one encrypted table, of which one changes the key while the others go on: in the order that the
// README gives, in which each has the new key behind the old one first and then in front of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "postgres/server_test.h"
#include "tuskv/encryption.h"

namespace tuskv::test {
namespace {

using testing::Optional;

const std::string kOld(32, 'o');
const std::string kNew(32, 'n');

constexpr int kWriters = 3;
constexpr int kKeys = 10;    // of each kind: counters, and values that are compared and swapped
constexpr int kRounds = 12;  // in which a writer adds one to each

/// What the processes know of each other.
struct Progress {
  std::atomic<int> passes = 0;        ///< over all entries, by who changes the key
  std::atomic<int> writers_done = 0;  ///< with everything
  std::atomic<std::uint64_t> rewritten = 0;
};

class SharedProgress final {
 public:
  SharedProgress()
      : page_(::mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    if (page_ == MAP_FAILED) throw std::runtime_error("no shared page");
    std::construct_at(static_cast<Progress*>(page_));
  }
  SharedProgress(const SharedProgress&) = delete;
  SharedProgress& operator=(const SharedProgress&) = delete;
  ~SharedProgress() { ::munmap(page_, sizeof(Progress)); }

  Progress& operator*() const { return *static_cast<Progress*>(page_); }

 private:
  void* const page_;
};

/// Runs the work in a process of its own, which ends with 0 unless the work throws.
pid_t start(const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  ::alarm(60);  // whatever happens, none stays
  int status = 0;
  try {
    work();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "a process failed: %s\n", error.what());
    status = 1;
  }
  ::_exit(status);
}

std::string counter(int i) { return "counter" + std::to_string(i); }
std::string swapped(int i) { return "swapped" + std::to_string(i); }

void add_by_swapping(const Store& store, const std::string& key) {
  for (;;) {
    const std::string before = store.get_or_throw(key);
    if (store.compare_and_swap(key, before, std::to_string(std::stoi(before) + 1))) return;
  }
}

void add_one_to_each(const Store& store) {
  for (int i = 0; i < kKeys; ++i) {
    store.increment(counter(i));
    add_by_swapping(store, swapped(i));
  }
}

class PostgresEncryption : public ServerTest {
 protected:
  Store open_with(const KeyRing& keys) const { return Store::open(url(), {.encryptor = aes_256_gcm(keys)}); }
  Store open_old_first() const { return open_with(KeyRing().add(1, kOld).add(2, kNew)); }
  Store open_new_first() const { return open_with(KeyRing().add(2, kNew).add(1, kOld)); }

  void fill() const {
    const Store store = open_with(KeyRing().add(1, kOld));
    for (int i = 0; i < kKeys; ++i) store.set_many({{counter(i), "0"}, {swapped(i), "0"}});
  }

  void write(Progress& progress) const {
    {
      const Store store = open_old_first();
      for (int round = 0; round < kRounds / 2; ++round) {
        // At the latest now everything is under the new key, and goes back under the old one.
        while (round == kRounds / 4 && progress.passes == 0) std::this_thread::yield();
        add_one_to_each(store);
      }
    }
    const Store store = open_new_first();
    for (int round = kRounds / 2; round < kRounds; ++round) add_one_to_each(store);
    ++progress.writers_done;
  }

  void change_key(Progress& progress) const {
    const Store store = open_new_first();
    for (bool is_last = false; !is_last; ++progress.passes) {
      is_last = progress.writers_done == kWriters;
      const ReencryptReport report = store.reencrypt();
      if (report.unreadable != 0) throw std::runtime_error("unreadable: " + report.first_unreadable);
      if (is_last && report.left != 0) throw std::runtime_error("some values stayed under the old key");
      progress.rewritten += report.rewritten;
    }
  }
};

TEST_F(PostgresEncryption, S182_AnOptionForDirectoriesKeepsNoTableFromBeingMarked) {
  Store::open(url(), {.encryptor = aes_256_gcm(KeyRing().add(1, kOld)), .read_only = true}).close();
  EXPECT_THROW(Store::open(url()), Error) << "the table is an encrypted store";
}

TEST_F(PostgresEncryption, AKeyIsChangedWhileOtherProcessesWriteAndNothingIsLost) {
  fill();
  const SharedProgress shared;
  Progress& progress = *shared;
  std::vector<pid_t> processes = {start([&] { change_key(progress); })};
  for (int i = 0; i < kWriters; ++i) processes.push_back(start([&] { write(progress); }));
  for (const pid_t process : processes) {
    int status = 0;
    ASSERT_EQ(::waitpid(process, &status, 0), process);
    EXPECT_EQ(status, 0);
  }
  EXPECT_GT(progress.rewritten, 2u * kKeys) << "the writers did nothing while the key was changed";
  const Store store = open_with(KeyRing().add(2, kNew));
  for (int i = 0; i < kKeys; ++i) {
    EXPECT_THAT(store.get(counter(i)), Optional(std::to_string(kWriters * kRounds)));
    EXPECT_THAT(store.get(swapped(i)), Optional(std::to_string(kWriters * kRounds)));
  }
}

TEST_F(PostgresEncryption, R125_ARowThatSomebodyHoldsIsLeftAndTheOthersChangeTheirKey) {
  fill();
  SqlConnection holder = other_session();
  holder.run("begin; select 1 from tuskv where key = " + stored_key(counter(3)) + " for update");
  const ReencryptReport held = open_new_first().with_timeout(std::chrono::seconds(2)).reencrypt();
  EXPECT_EQ(held.rewritten, 2u * kKeys - 1);
  EXPECT_EQ(held.left, 1u);
  EXPECT_EQ(error_of([&] { return open_with(KeyRing().add(2, kNew)); }).code(), Code::Config);
  holder.run("rollback");
  const ReencryptReport report = open_new_first().reencrypt();
  EXPECT_EQ(report.rewritten, 1u);
  EXPECT_EQ(report.left, 0u);
  EXPECT_THAT(open_with(KeyRing().add(2, kNew)).get(counter(3)), Optional(std::string("0")));
}

}  // namespace
}  // namespace tuskv::test
