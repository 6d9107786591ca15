// What a store finds around it and cannot use: directories that are missing, forbidden or somebody else's, formats of
// another time, too few descriptors, a fork. Each is an error that names the place and the reason, and nothing in the
// directory changes.
#include <dlfcn.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <semaphore>
#include <set>
#include <string>

#include "support/forked.h"
#include "support/temporary_directory.h"
#include "tuskv/tuskv.h"

namespace tuskv::test {
namespace {

/// How many more threads the system has for this process; below 0: as many as it likes.
constinit std::atomic<int> threads_left = -1;

}  // namespace
}  // namespace tuskv::test

/// Takes the place of the system's.
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*run)(void*),
                              void* argument) noexcept {
  static const auto system_create = reinterpret_cast<decltype(&pthread_create)>(::dlsym(RTLD_NEXT, "pthread_create"));
  if (tuskv::test::threads_left == 0) return EAGAIN;
  if (tuskv::test::threads_left > 0) --tuskv::test::threads_left;
  return system_create(thread, attributes, run, argument);
}

namespace tuskv::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const fs::path& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

class BadSurroundings : public testing::Test {
 protected:
  /// Every file below the place of all stores, with its bytes.
  std::map<std::string, std::string> contents() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(place_.path())) {
      files[entry.path().string()] = entry.is_regular_file() ? read_file(entry.path()) : "";
    }
    return files;
  }
  std::string path(const std::string& name) const { return place_.path(name); }
  std::string url(const std::string& name) const { return "file:" + path(name); }

  /// Expects that opening fails with the code and both words, and changes nothing.
  void expect_refused(const std::string& url, Code code, const std::string& word, const std::string& other_word) {
    const auto before = contents();
    try {
      Store::open(url);
      ADD_FAILURE() << url << " opens";
    } catch (const Error& error) {
      EXPECT_EQ(to_string(error.code()), to_string(code)) << error.what();
      EXPECT_EQ(error.outcome(), Outcome::not_applied);
      EXPECT_THAT(error.what(), HasSubstr(word));
      EXPECT_THAT(error.what(), HasSubstr(other_word));
    }
    EXPECT_EQ(contents(), before);
  }

  TemporaryDirectory place_;
};

TEST_F(BadSurroundings, AForeignDirectoryIsLeftAlone) {
  fs::create_directory(path("photos"));
  write_file(path("photos/cat.jpg"), "meow");
  expect_refused(url("photos"), Code::Config, path("photos") + " is not a tuskv store", "cat.jpg");
}

TEST_F(BadSurroundings, AFileIsNoDirectory) {
  write_file(path("file"), "bytes");
  expect_refused(url("file"), Code::Config, path("file"), "is not a directory");
  expect_refused(url("file/below"), Code::Io, path("file/below"), "Not a directory");
}

TEST_F(BadSurroundings, AMissingDirectoryIsMadeOnlyWhereThatIsMeant) {
  expect_refused(url("missing") + "?create=false", Code::Config, path("missing"), "does not exist");
  expect_refused(url("missing/parent"), Code::Io, path("missing/parent"), "No such file or directory");
}

TEST_F(BadSurroundings, E21ANewerFormatIsRefusedByItsVersion) {
  Store::open(url("store")).set("k", "v");
  const std::string manifest = read_file(path("store/MANIFEST"));
  std::string newer = "tuskv manifest 3\n" + manifest.substr(manifest.find('\n') + 1);
  newer.resize(newer.find("checksum "));
  char checksum[32] = {};
  std::snprintf(checksum, sizeof checksum, "checksum %016llx\n",
                static_cast<unsigned long long>(XXH3_64bits(newer.data(), newer.size())));
  write_file(path("store/MANIFEST"), newer + checksum);
  expect_refused(url("store"), Code::Config, path("store/MANIFEST"), "format version 3");
  write_file(path("store/MANIFEST"), manifest);
  EXPECT_EQ(Store::open(url("store")).get("k"), "v");
}

TEST_F(BadSurroundings, AManifestThatIsNoneIsNamed) {
  fs::create_directory(path("store"));
  write_file(path("store/MANIFEST"), "Manifest-Version: 1.0\n");
  expect_refused(url("store"), Code::Config, path("store/MANIFEST"), "is not the manifest of a tuskv store");
  write_file(path("store/MANIFEST"), "");  // of a store, perhaps: that is looked at under its lock
  try {
    Store::open(url("store"));
    ADD_FAILURE() << "an empty manifest opens";
  } catch (const Error& error) {
    EXPECT_EQ(to_string(error.code()), "Corruption");
    EXPECT_THAT(error.what(), HasSubstr(path("store/MANIFEST")));
  }
  EXPECT_EQ(read_file(path("store/MANIFEST")), "");
}

/// Runs `body` in a child process without rights of its own; true when it returned true.
template <class Body>
bool runs_as_nobody(Body body) {
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr uid_t kNobody = 65534;
    const bool changed = ::geteuid() != 0 || (::setgid(kNobody) == 0 && ::setuid(kNobody) == 0);
    ::_exit(changed && body() ? 0 : 1);
  }
  return ended_well(child);
}

/// Whether opening is refused by Io with "Permission denied", naming the path.
bool is_denied(const std::string& url, const std::string& named) {
  try {
    Store::open(url);
  } catch (const Error& error) {
    const std::string text = error.what();
    return error.code() == Code::Io && text.ends_with("Permission denied") && text.find(named) != std::string::npos;
  }
  return false;
}

TEST_F(BadSurroundings, APlaceWithoutPermissionIsNamed) {
  Store::open(url("store")).set("k", "v");
  fs::permissions(place_.path(), fs::perms(0555));  // to look at, not to make anything in
  fs::permissions(path("store"), fs::perms(0500));
  const auto before = contents();
  EXPECT_TRUE(runs_as_nobody([&] { return is_denied(url("new"), path("new")); }));
  if (::geteuid() == 0) {
    EXPECT_TRUE(runs_as_nobody([&] { return is_denied(url("store"), path("store")); }));
  }
  fs::permissions(place_.path(), fs::perms(0700));
  fs::permissions(path("store"), fs::perms(0700));
  EXPECT_EQ(contents(), before);
  EXPECT_EQ(Store::open(url("store")).get("k"), "v");
}

/// The present directory, as long as it lives.
class PresentDirectory final {
 public:
  explicit PresentDirectory(const fs::path& path) { fs::current_path(path); }
  ~PresentDirectory() { fs::current_path(before_); }

 private:
  const fs::path before_ = fs::current_path();
};

TEST_F(BadSurroundings, S2_AStoreStaysWhereItWasOpenedWhateverBecomesOfThePresentDirectory) {
  for (const char* place : {"here", "there"}) fs::create_directory(path(place));
  Store::open(url("there/data")).set("theirs", "v");
  Store::open(url("there/data")).snapshot();
  const auto before = contents();
  {
    const PresentDirectory here(path("here"));
    const Store store = Store::open("file:./data");
    store.set("first", "v");
    const PresentDirectory there(path("there"));
    store.snapshot();
    store.set("large", std::string(2'000'000, 'v'));  // more than is left of its segment
    store.close();
    EXPECT_EQ(Store::open("file:data", {.create = false}).keys().keys, std::vector<std::string>{"theirs"});
  }
  EXPECT_EQ(Store::open(url("here/data")).keys().keys, (std::vector<std::string>{"first", "large"}));
  for (const auto& [name, bytes] : before) {
    if (!name.starts_with(path("there/data/snapshot"))) continue;
    EXPECT_TRUE(fs::exists(name)) << name;
  }
}

// ---- too few descriptors

std::size_t open_descriptors() {
  const auto all = fs::directory_iterator("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// The process can open descriptors below this number only.
class DescriptorLimit final {
 public:
  explicit DescriptorLimit(rlim_t limit) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    struct rlimit lower = before_;
    lower.rlim_cur = limit;
    ::setrlimit(RLIMIT_NOFILE, &lower);
  }
  ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  struct rlimit before_ = {};
};

/// What opening with so many descriptors throws; nothing when it succeeds.
std::optional<Error> open_with_descriptors(const std::string& url, rlim_t limit) {
  const DescriptorLimit lower(limit);
  try {
    Store::open(url).set("opened", std::to_string(limit));
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

// E15: whichever of the opens is the first to fail.
TEST_F(BadSurroundings, E15TooFewDescriptorsAreAnErrorAtEveryOpen) {
  Store::open(url("store")).set("k", "v");
  const std::size_t before = open_descriptors();
  int refused = 0;
  for (rlim_t limit = 3; limit < 64; ++limit) {
    const std::optional<Error> error = open_with_descriptors(url("store"), limit);
    EXPECT_EQ(open_descriptors(), before) << limit;
    if (!error) break;
    ++refused;
    EXPECT_EQ(to_string(error->code()), "Io") << error->what();
    EXPECT_EQ(error->outcome(), Outcome::not_applied) << error->what();
    EXPECT_THAT(error->what(), HasSubstr("Too many open files"));
    EXPECT_THAT(error->what(), HasSubstr(path("store")));
  }
  EXPECT_GT(refused, 2);
  const Store store = Store::open(url("store"));
  EXPECT_EQ(store.get("k"), "v");
  EXPECT_TRUE(store.exists("opened"));
}

TEST_F(BadSurroundings, E15AnOpenStoreGoesOnWithoutMoreDescriptors) {
  const Store store = Store::open(url("store"), {.keep_snapshots = 0});
  store.set("k", "v");
  {
    const DescriptorLimit lower(3);
    store.set("k", "w");
    EXPECT_EQ(store.get("k"), "w");
    try {
      store.snapshot();
      ADD_FAILURE() << "a snapshot without descriptors";
    } catch (const Error& error) {
      EXPECT_EQ(to_string(error.code()), "Io") << error.what();
    }
    store.set("n", "1");
  }
  EXPECT_EQ(store.snapshot().entries, 2u);
  store.close();
  EXPECT_EQ(Store::open(url("store")).get_many({"k", "n"}), (std::vector<std::optional<std::string>>{"w", "1"}));
}

// ---- too few threads

/// What `work` throws when the system gives it so many threads; nothing when it succeeds.
template <class Work>
std::optional<Error> with_threads(int count, Work work) {
  threads_left = count;
  std::optional<Error> thrown;
  try {
    work();
  } catch (const Error& error) {
    thrown = error;
  }
  threads_left = -1;
  return thrown;
}

TEST_F(BadSurroundings, S3_TooFewThreadsAreAnErrorWhicheverIsTheFirstToBeMissing) {
  Store::open(url("store")).set("k", "v");
  const auto before = contents();
  std::set<std::string> refusals;
  for (int count = 0;; ++count) {
    ASSERT_LT(count, 16);
    const std::optional<Error> error = with_threads(count, [&] { Store::open(url("store")); });
    if (!error) break;
    EXPECT_EQ(to_string(error->code()), "Io") << error->what();
    EXPECT_EQ(error->outcome(), Outcome::not_applied) << error->what();
    EXPECT_THAT(error->what(), HasSubstr("cannot start the thread that"));
    EXPECT_EQ(contents(), before) << error->what();
    refusals.insert(error->what());
  }
  EXPECT_EQ(refusals.size(), 4u) << "the log's two, the one that takes snapshots and the sweeper";
  EXPECT_EQ(Store::open(url("store")).get("k"), "v");

  EXPECT_TRUE(with_threads(0, [] { Store::open("memory:"); }));
  const Store store = Store::open("memory:", {.ttl_mode = TtlMode::manual});
  EXPECT_TRUE(with_threads(0, [&] { store.start_sweeper(); }));
  EXPECT_FALSE(with_threads(1, [&] { store.start_sweeper(); })) << "it can be tried again";
}

// ---- fork

// A15: in the child every call is refused and its end touches nothing; the parent's store and its lock are as before.
TEST_F(BadSurroundings, A15AChildOfForkLeavesTheDirectoryAlone) {
  std::optional<Store> store(Store::open(url("store")));
  store->set("k", "1");
  const pid_t child = ::fork();
  if (child == 0) {
    bool refused = false;
    try {
      store->set("k", "child");
    } catch (const Error& error) {
      refused = error.code() == Code::Unsupported;
    }
    store.reset();
    ::_exit(refused ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  store->set("l", "2");
  EXPECT_THROW(Store::open(url("store")), Error);  // still locked
  store.reset();
  EXPECT_EQ(Store::open(url("store")).get_many({"k", "l"}), (std::vector<std::optional<std::string>>{"1", "2"}));
}

// The parent goes on in its log while the child ends the transaction that it was forked in.
TEST_F(BadSurroundings, S130_AChildForkedInATransactionWritesNothing) {
  std::optional<Store> store(Store::open(url("store")));
  EXPECT_TRUE(is_refused_in_child([&](auto fork_here) {
    try {
      store->transaction([&](Transaction& transaction) {
        transaction.set("k", "transaction");
        fork_here();
        ::usleep(100'000);  // behind the parent's writes
      });
    } catch (const Error&) {
      throw;
    } catch (...) {
      for (const char* key : {"a", "b", "c"}) store->set(key, "parent");
      throw;
    }
  }));
  store.reset();
  const std::vector<std::optional<std::string>> parents(3, "parent");
  EXPECT_EQ(Store::open(url("store")).get_many({"a", "b", "c"}), parents);
}

TEST_F(BadSurroundings, A15AChildThatLivesOnDoesNotKeepTheStoreLocked) {
  std::optional<Store> store(Store::open(url("store")));
  store->set("k", "1");
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    ::close(ends[1]);
    ::_exit(static_cast<int>(::read(ends[0], &byte, 1)));  // until the parent is done
  }
  store.reset();
  EXPECT_EQ(Store::open(url("store")).get("k"), "1");
  ::close(ends[0]);
  ::close(ends[1]);
  int status = 1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
}

// ---- the end of the program

/// For a child: makes an unlogged store of so many entries, and lets its last handle go before `then` is called on a
/// thread of the store, which calls it last of all.
template <class Callback>
void leave_last_handle(const std::string& url, int entries, Callback then) {
  static std::binary_semaphore handle_is_gone(0);
  {
    const Store store = Store::open(url);
    for (int i = 0; i < entries; ++i) store.set("k" + std::to_string(i), std::string(100, 'v'));
    store.async().offload([](Store&) { handle_is_gone.acquire(); }).then(then);
  }
  handle_is_gone.release();
}

constexpr int kManyEntries = 50'000;

// A child that is forked while others allocate may find the allocator of a sanitizer locked for good, and is told of
// leaks that are its parent's.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMayForkBesideThreads = false;
#else
constexpr bool kMayForkBesideThreads = true;
#endif

// What is in memory alone is written out by who closes the store, and nobody but exit() is there to wait for him.
TEST_F(BadSurroundings, S140_AProgramThatEndsWaitsForAStoreThatCloses) {
  static std::binary_semaphore told(0);
  const std::string unlogged = url("store") + "?durability=unlogged";
  const pid_t program = ::fork();
  if (program == 0) {
    leave_last_handle(unlogged, kManyEntries, [](std::exception_ptr) { told.release(); });
    told.acquire();
    if (kMayForkBesideThreads) {
      const pid_t child = ::fork();  // it has not the thread that closes the store
      if (child != 0 && !ended_well(child)) ::_exit(1);
    }
    std::exit(0);
  }
  ASSERT_TRUE(ended_well(program));
  EXPECT_EQ(Store::open(unlogged).count(), static_cast<std::size_t>(kManyEntries));
}

// Who closes the store waits for that thread.
TEST_F(BadSurroundings, S140_AProgramThatEndsInACompletionDoesNotWaitForItself) {
  const pid_t program = ::fork();
  if (program == 0) {
    leave_last_handle(url("store"), 1, [](std::exception_ptr) { std::exit(0); });
    for (;;) ::pause();
  }
  EXPECT_TRUE(ended_well(program));
  EXPECT_EQ(Store::open(url("store")).count(), 1u);
}

}  // namespace
}  // namespace tuskv::test
