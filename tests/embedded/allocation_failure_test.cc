// Memory that runs out in the middle of a write. Before the record is in the log nothing has happened and the program
// gets std::bad_alloc; behind it the process ends, as ARCHITECTURE promises, and the log has the write. Never is an
// entry in one index of a shard and not in the others. Also, since a test can wait in an allocation: who can go on
// while a large value is copied, or much is freed.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <future>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "embedded/embedded_engine.h"
#include "support/manual_clock.h"
#include "support/temporary_directory.h"

namespace {

constexpr long kNever = -1;
/// How many allocations of this thread still succeed.
thread_local long allocations_left = kNever;
/// Of this thread, less what it has freed.
thread_local long allocations_held = 0;

constexpr std::size_t kLargeBytes = 1 << 20;
/// Called once by the first allocation of this thread that is so large.
thread_local const std::function<void()>* at_large_allocation = nullptr;
/// Called once so many deletes of this thread have been.
thread_local const std::function<void()>* at_delete = nullptr;
thread_local long deletes_left = 0;

}  // namespace

void* operator new(std::size_t size) {
  if (allocations_left == 0) {
    allocations_left = kNever;
    throw std::bad_alloc();
  }
  if (allocations_left > 0) --allocations_left;
  if (size >= kLargeBytes && at_large_allocation != nullptr) (*std::exchange(at_large_allocation, nullptr))();
  void* memory = std::malloc(size != 0 ? size : 1);
  if (memory == nullptr) throw std::bad_alloc();
  ++allocations_held;
  return memory;
}

// Of those who can do without.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  try {
    return operator new(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void operator delete(void* memory) noexcept {
  if (memory != nullptr) --allocations_held;
  std::free(memory);
  if (deletes_left > 0 && --deletes_left == 0) (*at_delete)();
}
void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }

namespace tuskv::embedded {
namespace {

constexpr int kKeys = 1000;
/// Written before the first failure, so that buffers and the log's segment are there.
constexpr int kWarmKeys = 200;
constexpr long kAllocationsMax = 4;
constexpr int kConsistent = 0;
constexpr int kInconsistent = 3;

/// On real files, which outlive the process that writes them.
struct FileStore {
  explicit FileStore(const std::string& directory, Durability durability = Durability::relaxed)
      : engine(
            EmbeddedEngine::open({.directory = directory, .options = {.durability = durability}}, *file_system, clock)
                .value()) {}

  /// The allocation behind the next `allocations` ones fails.
  void run(std::vector<Command>& commands, long allocations) const {
    Unit unit{.commands = commands};
    allocations_left = allocations;
    engine->execute(std::span(&unit, 1));
    allocations_left = kNever;
  }
  bool found(const std::string& key) const {
    std::vector<Command> commands{Read{.key = key, .want = Want::meta}};
    run(commands, kNever);
    return std::get<Read>(commands[0]).seen.found;
  }
  bool listed(const std::string& key) const {
    const std::string end = key + '\0';
    std::vector<Command> commands{Count{.range = {.from = key, .to = end}}};
    run(commands, kNever);
    return std::get<Count>(commands[0]).count == 1;
  }

  std::unique_ptr<os::FileSystem> file_system = os::make_posix_file_system();
  test::ManualClock clock;
  std::unique_ptr<Engine> engine;
};

std::string key_of(int number) { return "key" + std::to_string(number); }

/// The child: writes until the allocation fails. With a TTL the write has one index more to go into.
int write_until_it_fails(const std::string& directory, long allocations, bool expires, volatile int& writing) {
  const rlimit no_core = {};
  ::setrlimit(RLIMIT_CORE, &no_core);
  const FileStore store(directory);
  for (int i = 0; i < kKeys; ++i) {
    const std::string key = key_of(i);
    std::vector<Command> commands{Put{.key = key, .value = "v"}};
    if (expires) std::get<Put>(commands[0]).expiry = {.kind = Expiry::Kind::after, .value = 60'000};
    writing = i;
    try {
      store.run(commands, i < kWarmKeys ? kNever : allocations);
    } catch (const std::bad_alloc&) {
      return !store.found(key) && !store.listed(key) ? kConsistent : kInconsistent;
    }
  }
  return kConsistent;
}

TEST(AllocationFailure, S10_BehindTheLogItEndsTheProcessAndBeforeItNothingHasHappened) {
  auto* writing =
      static_cast<int*>(::mmap(nullptr, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(writing, MAP_FAILED);
  int ended = 0;
  for (const bool expires : {false, true}) {
    for (long allocations = 0; allocations < kAllocationsMax; ++allocations) {
      SCOPED_TRACE(std::to_string(allocations) + " allocations succeed, expires: " + std::to_string(expires));
      const test::TemporaryDirectory directory;
      const pid_t child = ::fork();
      ASSERT_GE(child, 0);
      if (child == 0) ::_exit(write_until_it_fails(directory.path("d"), allocations, expires, *writing));
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      if (WIFEXITED(status)) {
        EXPECT_EQ(WEXITSTATUS(status), kConsistent);
        continue;
      }
      EXPECT_EQ(WTERMSIG(status), SIGABRT);
      ++ended;
      const FileStore store(directory.path("d"));
      EXPECT_TRUE(store.found(key_of(*writing)));
      EXPECT_TRUE(store.listed(key_of(*writing)));
    }
  }
  EXPECT_GT(ended, 0) << "no allocation behind the log failed: the test has lost its subject";
  ::munmap(writing, sizeof(int));
}

/// What a child that fails again and again tells its parent.
struct FailureNotes {
  long failed = 0;  ///< allocations, one in each write
  bool has_leaked = false;
  bool has_changed = false;
};

/// The child: the same writes, of which the first allocation fails, then the second, and so on, until one behind the
/// log ends the process or none fails.
void fail_at_every_allocation(const std::string& directory, std::vector<Command>& commands, FailureNotes& notes) {
  const rlimit no_core = {};
  ::setrlimit(RLIMIT_CORE, &no_core);
  const FileStore store(directory);
  // Gives back the buffer of the record that came to nothing.
  std::vector<Command> small{Put{.key = std::get<Put>(commands[0]).key, .value = "v"}};
  store.run(small, kNever);
  store.run(small, kNever);
  const long held = allocations_held;
  for (long allocations = 0;; ++allocations) {
    try {
      store.run(commands, allocations);
      return;
    } catch (const std::bad_alloc&) {
    }
    store.run(small, kNever);
    notes.failed = allocations + 1;
    notes.has_leaked = notes.has_leaked || allocations_held != held;
    notes.has_changed = notes.has_changed || store.engine->stats(1000).value().entries != 1;
  }
}

TEST(AllocationFailure, S71_BeforeTheLogNothingLeaks) {
  void* shared = ::mmap(nullptr, sizeof(FailureNotes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  constexpr std::size_t kBatch = 100;
  const std::string value(3'000, 'v');
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < kBatch; ++i) keys.push_back(key_of(static_cast<int>(i)));
  for (const std::size_t puts : {std::size_t{1}, kBatch}) {
    SCOPED_TRACE(puts);
    // The record of a single one is as large: too large for a buffer that is kept.
    const std::string all_values(value.size() * kBatch / puts, 'v');
    std::vector<Command> commands;
    for (std::size_t i = 0; i < puts; ++i) commands.emplace_back(Put{.key = keys[i], .value = all_values});
    const auto& notes = *::new (shared) FailureNotes;
    const test::TemporaryDirectory directory;
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      fail_at_every_allocation(directory.path("d"), commands, *static_cast<FailureNotes*>(shared));
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status) ? WTERMSIG(status) == SIGABRT : WEXITSTATUS(status) == 0);
    EXPECT_GT(notes.failed, static_cast<long>(puts)) << "the entries and the record";
    EXPECT_FALSE(notes.has_leaked);
    EXPECT_FALSE(notes.has_changed);
  }
  ::munmap(shared, sizeof(FailureNotes));
}

/// A write, executed or handed over, of which some allocation fails.
class DurableWrite final : private Submission {
 public:
  DurableWrite(const FileStore& store, std::vector<Command>& commands) : store_(store) {
    unit.commands = commands;
    done = [](Submission& ended) noexcept { static_cast<DurableWrite&>(ended).told_.set_value(); };
  }
  /// False: it threw.
  bool run(bool is_submitted, long allocations) {
    std::future<void> told = told_.get_future();
    allocations_left = allocations;
    try {
      if (is_submitted) {
        store_.engine->submit(*this);
      } else {
        store_.engine->execute(std::span(&unit, 1));
      }
    } catch (const std::bad_alloc&) {
      return false;
    }
    allocations_left = kNever;
    if (is_submitted) told.wait();
    return true;
  }

 private:
  const FileStore& store_;
  std::promise<void> told_ = {};
};

/// The child.
int write_durably(const std::string& directory, bool is_submitted, long allocations) {
  const rlimit no_core = {};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::alarm(20);  // nobody must wait for a sync that has failed so
  const FileStore store(directory, Durability::durable);
  std::vector<Command> warm{Put{.key = "warm", .value = "v"}};
  store.run(warm, kNever);
  std::vector<Command> commands{Put{.key = "k", .value = "v"}};
  const bool is_made = DurableWrite(store, commands).run(is_submitted, allocations);
  return store.found("k") == is_made ? kConsistent : kInconsistent;
}

/// Also where it is the sync that finds no memory: others would wait for its end.
TEST(AllocationFailure, S84_ADurableWriteThatThrowsHasNotHappened) {
  int ended = 0;
  int thrown_or_made = 0;
  for (const bool is_submitted : {false, true}) {
    for (long allocations = 0; allocations < 2 * kAllocationsMax; ++allocations) {
      SCOPED_TRACE(std::to_string(allocations) + " allocations succeed, submitted: " + std::to_string(is_submitted));
      const test::TemporaryDirectory directory;
      const pid_t child = ::fork();
      ASSERT_GE(child, 0);
      if (child == 0) ::_exit(write_durably(directory.path("d"), is_submitted, allocations));
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      if (WIFEXITED(status)) {
        EXPECT_EQ(WEXITSTATUS(status), kConsistent);
        ++thrown_or_made;
        continue;
      }
      EXPECT_EQ(WTERMSIG(status), SIGABRT);
      ++ended;
      EXPECT_TRUE(FileStore(directory.path("d")).found("k")) << "the log had it";
    }
  }
  EXPECT_GT(ended, 0) << "no allocation behind the log failed: the test has lost its subject";
  EXPECT_GT(thrown_or_made, 0);
}

/// The child: snapshots whose first allocation fails, then the second, and so on; in between there must be writing.
int take_snapshots_until_it_fails(const std::string& directory) {
  const rlimit no_core = {};
  ::setrlimit(RLIMIT_CORE, &no_core);
  const FileStore& store = *new FileStore(directory);
  std::vector<Command> put{Put{.key = "k", .value = "v"}};
  for (long allocations = 0;; ++allocations) {
    Unit unit{.commands = put, .timeout_ms = 2'000};
    store.engine->execute(std::span(&unit, 1));
    if (unit.failure != nullptr) return kInconsistent;
    try {
      allocations_left = allocations;
      static_cast<void>(store.engine->snapshot().ok());
      allocations_left = kNever;
      return kConsistent;
    } catch (const std::bad_alloc&) {
    }
  }
}

TEST(AllocationFailure, S74_ASnapshotWithoutMemoryHoldsUpNoWriter) {
  const test::TemporaryDirectory directory;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(take_snapshots_until_it_fails(directory.path("d")));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
  EXPECT_EQ(WTERMSIG(status), SIGABRT);
}

/// In memory, where expired entries stay; used by several threads.
struct MemoryStore {
  void run(std::vector<Command>& commands) const {
    Unit unit{.commands = commands};
    engine->execute(std::span(&unit, 1));
    EXPECT_EQ(unit.failure, nullptr);
  }

  const std::unique_ptr<os::FileSystem> no_files = os::make_posix_file_system();
  test::ManualClock clock;
  const std::unique_ptr<Engine> engine =
      EmbeddedEngine::open({.options = {.ttl_mode = TtlMode::manual}}, *no_files, clock).value();
};

/// Who reads a large value gets what it was, while others replace it.
TEST(LargeValue, S28_NobodyWaitsWhileItIsCopied) {
  const MemoryStore store;
  const std::string large(kLargeBytes, 'v');
  const auto reads = [&](std::vector<Command> commands) {
    std::vector<Command> before{Put{.key = "k", .value = large}};
    store.run(before);
    std::future<void> replaced;
    const std::function<void()> replace = [&] {
      replaced = std::async(std::launch::async, [&] {
        std::vector<Command> after{Put{.key = "k", .value = "new"}};
        store.run(after);
      });
      EXPECT_EQ(replaced.wait_for(std::chrono::seconds(10)), std::future_status::ready);
    };
    at_large_allocation = &replace;
    store.run(commands);
    EXPECT_EQ(std::exchange(at_large_allocation, nullptr), nullptr) << "nothing was copied";
    if (replaced.valid()) replaced.wait();
    return commands;
  };
  std::string value;
  std::string other;
  reads({Read{.key = "k", .into = &value}});
  EXPECT_EQ(value, large);
  std::string among_others;
  reads({Read{.key = "other", .into = &other}, Read{.key = "k", .into = &among_others}});
  EXPECT_EQ(among_others, large);
  std::vector<Command> page = reads({Scan{.range = {.from = "k", .to = "l"}, .limit = 10, .want = Want::value}});
  ASSERT_EQ(std::get<Scan>(page[0]).entries.size(), 1U);
  EXPECT_EQ(std::get<Scan>(page[0]).entries[0].value, large);
}

TEST(ClearedStore, S29_NobodyWaitsWhileWhatWasErasedIsFreed) {
  MemoryStore store;
  const auto run = [&](std::vector<Command> commands) {
    store.run(commands);
    return commands;
  };
  constexpr int kMany = 5000;
  constexpr int kDead = 100;
  for (int i = 0; i < kMany; ++i) {
    const std::string key = key_of(i);
    const Expiry expiry{.kind = i < kDead ? Expiry::Kind::after : Expiry::Kind::never, .value = 1000};
    run({Put{.key = key, .value = "v", .expiry = expiry}});
  }
  store.clock.advance_ms(1000);
  std::future<void> written;
  const std::function<void()> write = [&] {
    written = std::async(std::launch::async, [&] { run({Put{.key = "new", .value = "v"}}); });
    EXPECT_EQ(written.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  };
  at_delete = &write;
  deletes_left = kMany / 2;
  const std::vector<Command> cleared = run({EraseRange{}});
  deletes_left = 0;
  EXPECT_EQ(std::get<EraseRange>(cleared[0]).erased, kMany - kDead);
  ASSERT_TRUE(written.valid()) << "nothing was freed";
  written.wait();
  EXPECT_EQ(std::get<Count>(run({Count{}})[0]).count, 1U);
  const Stats stats = store.engine->stats(1000).value();
  EXPECT_EQ(stats.entries, 1U);
  EXPECT_EQ(stats.key_bytes, 3U);
}

/// Of a large batch the keys leave the indexes when they are gone for everybody, a few at a time.
TEST(ErasedBatch, S70_ReadersGoOnWhileItsKeysLeave) {
  const MemoryStore store;
  std::vector<std::string> keys;
  for (int i = 0; i < kKeys; ++i) keys.push_back(key_of(i));
  std::vector<Command> puts;
  for (const std::string& key : keys) puts.emplace_back(Put{.key = key, .value = "v"});
  store.run(puts);
  constexpr std::size_t kReaders = 8;  // not all of them in the shard where a few keys are leaving
  std::vector<std::future<bool>> found;
  bool has_read = false;
  const std::function<void()> read = [&] {
    for (std::size_t i = 0; i < kReaders; ++i) {
      found.push_back(std::async(std::launch::async, [&, i] {
        std::vector<Command> commands{Read{.key = keys[i], .want = Want::meta}};
        store.run(commands);
        return std::get<Read>(commands[0]).seen.found;
      }));
    }
    const auto is_ready = [](const std::future<bool>& one) {
      return one.wait_for(std::chrono::milliseconds(1)) == std::future_status::ready;
    };
    for (int i = 0; i < 1'000 && !has_read; ++i) has_read = std::any_of(found.begin(), found.end(), is_ready);
  };
  std::vector<Command> erases;
  for (const std::string& key : keys) erases.emplace_back(Erase{.key = key});
  at_delete = &read;
  deletes_left = kKeys / 2;
  store.run(erases);
  EXPECT_TRUE(has_read) << "in time";
  ASSERT_EQ(found.size(), kReaders) << "nothing was freed";
  for (std::future<bool>& one : found) EXPECT_FALSE(one.get());
}

}  // namespace
}  // namespace tuskv::embedded
