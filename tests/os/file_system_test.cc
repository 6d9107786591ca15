// What os::FileSystem promises, shown on the real file system and on the simulated one: tests that pass on the
// simulation mean something only as far as the two agree.
#include "os/file_system.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "support/opened_file.h"
#include "support/random.h"
#include "support/simulated_file_system.h"
#include "support/temporary_directory.h"

namespace tuskv::os {
namespace {

using test::Random;
using test::read_all;
using test::SimulatedFileSystem;
using test::TemporaryDirectory;

std::string message_of(const Status& status) { return status.ok() ? "ok" : status.failure().message; }

template <class T>
std::string message_of(const Result<T>& result) {
  return result.ok() ? "ok" : result.failure().message;
}

#define EXPECT_OK(expression) EXPECT_EQ(message_of(expression), "ok")
#define ASSERT_OK(expression) ASSERT_EQ(message_of(expression), "ok")

enum class Kind { posix, simulated };

class FileSystemTest : public testing::TestWithParam<Kind> {
 protected:
  FileSystemTest() {
    if (GetParam() == Kind::posix) {
      directory_ = std::make_unique<TemporaryDirectory>();
      root_ = directory_->path();
      system_ = make_posix_file_system();
    } else {
      root_ = "data";
      system_ = std::make_unique<SimulatedFileSystem>();
      EXPECT_TRUE(system_->make_directory(root_).ok());
    }
  }

  FileSystem& system() { return *system_; }
  const std::string& root() const { return root_; }
  std::string path(const std::string& name) const { return root_ + "/" + name; }

  std::unique_ptr<File> create(const std::string& name, std::string_view bytes = {}) {
    auto file = system_->open(path(name), OpenMode::create);
    EXPECT_OK(file);
    EXPECT_OK(file.value()->write_at(0, bytes));
    return std::move(file).value();
  }
  std::unique_ptr<File> open(const std::string& name, OpenMode mode = OpenMode::read) {
    auto file = system_->open(path(name), mode);
    EXPECT_OK(file);
    return std::move(file).value();
  }
  std::string content(const std::string& name) { return read_all(*open(name)); }

 private:
  std::unique_ptr<TemporaryDirectory> directory_;
  std::string root_;
  std::unique_ptr<FileSystem> system_;
};

INSTANTIATE_TEST_SUITE_P(Both, FileSystemTest, testing::Values(Kind::posix, Kind::simulated),
                         [](const auto& kind) { return kind.param == Kind::posix ? "Posix" : "Simulated"; });

TEST_P(FileSystemTest, WhatIsWrittenIsRead) {
  auto file = create("a", "hello");
  EXPECT_OK(file->write_at(3, "p me"));
  EXPECT_EQ(read_all(*file), "help me");
  EXPECT_EQ(content("a"), "help me");
  EXPECT_EQ(file->path(), path("a"));
  EXPECT_OK(file->sync());
}

TEST_P(FileSystemTest, ReadsEndAtTheEndOfTheFile) {
  const auto file = create("a", "hello");
  char buffer[10] = {};
  EXPECT_EQ(file->read_at(2, buffer, sizeof buffer).value(), 3U);
  EXPECT_EQ(std::string(buffer, 3), "llo");
  EXPECT_EQ(file->read_at(5, buffer, sizeof buffer).value(), 0U);
  EXPECT_EQ(file->read_at(500, buffer, sizeof buffer).value(), 0U);
  EXPECT_EQ(file->read_at(0, buffer, 0).value(), 0U);
}

TEST_P(FileSystemTest, AHoleReadsAsZeros) {
  const auto file = create("a", "x");
  EXPECT_OK(file->write_at(4, "y"));
  EXPECT_EQ(read_all(*file), std::string("x\0\0\0y", 5));
}

TEST_P(FileSystemTest, TruncateCutsAndExtendsWithZeros) {
  const auto file = create("a", "hello");
  EXPECT_OK(file->truncate(2));
  EXPECT_EQ(read_all(*file), "he");
  EXPECT_OK(file->truncate(4));
  EXPECT_EQ(read_all(*file), std::string("he\0\0", 4));
}

TEST_P(FileSystemTest, AllocateGrowsAndNeverShrinks) {
  const auto file = create("a", "hello");
  const auto reserved = file->allocate(8);
  ASSERT_OK(reserved);
  if (!reserved.value()) GTEST_SKIP() << "the file system of the temporary directory cannot reserve space";
  EXPECT_EQ(read_all(*file), std::string("hello\0\0\0", 8));
  EXPECT_TRUE(file->allocate(3).value());
  EXPECT_TRUE(file->allocate(0).value());
  EXPECT_EQ(file->size().value(), 8U);
}

TEST_P(FileSystemTest, CreateRefusesATakenName) {
  create("a", "kept");
  EXPECT_EQ(message_of(system().open(path("a"), OpenMode::create)), "create " + path("a") + ": File exists");
  EXPECT_EQ(content("a"), "kept");
}

TEST_P(FileSystemTest, OpenRefusesWhatIsMissingOrNoFile) {
  const auto missing = system().open(path("a"), OpenMode::read_write);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.failure().code, Code::Io);
  EXPECT_EQ(missing.failure().outcome, Outcome::not_applied);
  EXPECT_EQ(missing.failure().message, "open " + path("a") + ": No such file or directory");
  EXPECT_EQ(message_of(system().open(root(), OpenMode::read)), "open " + root() + ": Is a directory");
  EXPECT_EQ(message_of(system().open(root(), OpenMode::read_write)), "open " + root() + ": Is a directory");
  create("f");
  EXPECT_EQ(message_of(system().open(path("f/a"), OpenMode::create)), "create " + path("f/a") + ": Not a directory");
}

TEST_P(FileSystemTest, AReadOnlyFileCannotBeChanged) {
  create("a", "kept");
  const auto file = open("a");
  EXPECT_EQ(message_of(file->write_at(1, "x")), "write " + path("a") + " at 1: Bad file descriptor");
  EXPECT_FALSE(file->truncate(0).ok());
  EXPECT_FALSE(file->allocate(100).ok());
  EXPECT_EQ(content("a"), "kept");
}

TEST_P(FileSystemTest, KindTellsWhatStandsThere) {
  create("f");
  EXPECT_EQ(system().kind(root()).value(), FileKind::directory);
  EXPECT_EQ(system().kind(path("f")).value(), FileKind::file);
  EXPECT_EQ(system().kind(path("none")).value(), FileKind::missing);
  EXPECT_EQ(system().kind(path("none/below")).value(), FileKind::missing);
  EXPECT_EQ(message_of(system().kind(path("f/below"))), "examine " + path("f/below") + ": Not a directory");
}

TEST_P(FileSystemTest, ListsAreSortedBytewise) {
  for (const char* name : {"b", "B", "a-10", "a-9", "\xc3\xa9"}) create(name);
  ASSERT_OK(system().make_directory(path("c")));
  std::vector<std::string> names;
  const auto entries = system().list(root());
  ASSERT_OK(entries);
  for (const DirectoryEntry& entry : entries.value()) {
    names.push_back(entry.name);
    EXPECT_EQ(entry.kind, entry.name == "c" ? FileKind::directory : FileKind::file) << entry.name;
  }
  EXPECT_EQ(names, (std::vector<std::string>{"B", "a-10", "a-9", "b", "c", "\xc3\xa9"}));
  EXPECT_EQ(message_of(system().list(path("b"))), "list " + path("b") + ": Not a directory");
  EXPECT_EQ(message_of(system().list(path("none"))), "list " + path("none") + ": No such file or directory");
}

TEST_P(FileSystemTest, RenameReplaces) {
  create("new", "new content");
  create("old", "old content");
  const auto reader = open("old");
  EXPECT_OK(system().rename(path("new"), path("old")));
  EXPECT_EQ(content("old"), "new content");
  EXPECT_EQ(read_all(*reader), "old content");
  EXPECT_EQ(system().kind(path("new")).value(), FileKind::missing);
  EXPECT_EQ(message_of(system().rename(path("new"), path("x"))),
            "rename " + path("new") + " to " + path("x") + ": No such file or directory");
}

TEST_P(FileSystemTest, ALinkIsASecondName) {
  const auto file = create("a", "one");
  EXPECT_OK(system().link(path("a"), path("b")));
  EXPECT_OK(system().remove_file(path("a")));
  EXPECT_OK(file->write_at(0, "two"));
  EXPECT_EQ(content("b"), "two");
  create("c");
  EXPECT_EQ(message_of(system().link(path("b"), path("c"))),
            "link " + path("b") + " to " + path("c") + ": File exists");
}

TEST_P(FileSystemTest, ARemovedFileLivesWhileOpen) {
  const auto file = create("a", "still here");
  EXPECT_OK(system().remove_file(path("a")));
  EXPECT_EQ(read_all(*file), "still here");
  EXPECT_OK(file->write_at(0, "x"));
  EXPECT_OK(file->sync());
  EXPECT_EQ(message_of(system().remove_file(path("a"))), "remove " + path("a") + ": No such file or directory");
}

TEST_P(FileSystemTest, ADirectoryIsRemovedOnlyWhenEmpty) {
  ASSERT_OK(system().make_directory(path("d")));
  create("d/a");
  EXPECT_EQ(message_of(system().remove_directory(path("d"))),
            "remove directory " + path("d") + ": Directory not empty");
  EXPECT_EQ(message_of(system().remove_file(path("d"))), "remove " + path("d") + ": Is a directory");
  EXPECT_EQ(message_of(system().remove_directory(path("d/a"))),
            "remove directory " + path("d/a") + ": Not a directory");
  EXPECT_OK(system().remove_file(path("d/a")));
  EXPECT_OK(system().remove_directory(path("d")));
  EXPECT_EQ(system().kind(path("d")).value(), FileKind::missing);
}

TEST_P(FileSystemTest, DirectoriesCanBeSynced) {
  create("f");
  EXPECT_OK(system().sync_directory(root()));
  EXPECT_FALSE(system().sync_directory(path("none")).ok());
  EXPECT_EQ(message_of(system().sync_directory(path("f"))), "sync directory " + path("f") + ": Not a directory");
}

TEST_P(FileSystemTest, FreeBytesAreTold) {
  EXPECT_GT(system().free_bytes(root()).value(), 0U);
  EXPECT_EQ(message_of(system().free_bytes(path("none"))),
            "examine free space of " + path("none") + ": No such file or directory");
}

TEST_P(FileSystemTest, ALockExcludesUntilReleased) {
  auto held = system().lock(root());
  ASSERT_OK(held);
  EXPECT_EQ(content("LOCK"), std::to_string(::getpid()) + "\n");
  const auto refused = system().lock(root());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.failure().code, Code::Busy);
  EXPECT_EQ(refused.failure().message, root() + " is open in process " + std::to_string(::getpid()) + " (this one)");
  ASSERT_OK(system().make_directory(path("d")));
  EXPECT_FALSE(system().lock(path("d/..")).ok()) << "another path to the same directory";
  EXPECT_OK(system().lock(path("d"))) << "another directory";
  held.value().reset();
  EXPECT_OK(system().lock(root()));
  EXPECT_EQ(system().kind(path("LOCK")).value(), FileKind::file) << "the lock file stays";
  EXPECT_EQ(message_of(system().lock(path("none"))), "lock " + path("none") + "/LOCK: No such file or directory");
}

TEST_P(FileSystemTest, ADirectoryCanBeWrittenOrNot) {
  EXPECT_TRUE(system().is_writable(root()).value());
  EXPECT_EQ(message_of(system().is_writable(path("none"))), "examine " + path("none") + ": No such file or directory");
}

TEST_P(FileSystemTest, ALockIsSharedByReaders) {
  {
    const auto first = system().lock_shared(root());
    const auto second = system().lock_shared(root());
    ASSERT_OK(first);
    ASSERT_OK(second);
    EXPECT_TRUE(system().list(root()).value().empty()) << "readers write nothing";
    const auto refused = system().lock(root());
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.failure().code, Code::Busy);
    EXPECT_EQ(refused.failure().message, root() + " is being read, such as by tuskv check");
    EXPECT_TRUE(system().list(root()).value().empty()) << "nor does who is refused";
  }
  const auto held = system().lock(root());
  ASSERT_OK(held);
  EXPECT_EQ(message_of(system().lock_shared(root())),
            root() + " is open in process " + std::to_string(::getpid()) + " (this one)");
  EXPECT_EQ(message_of(system().lock_shared(path("none"))),
            "lock " + path("none") + "/LOCK: No such file or directory");
}

/// It invites to be removed by those who think that it is a leftover.
TEST_P(FileSystemTest, S36_RemovingTheLockFileLetsNobodyIn) {
  auto held = system().lock(root());
  ASSERT_OK(held);
  ASSERT_OK(system().remove_file(path("LOCK")));
  for (int i = 0; i < 2; ++i) {
    const auto refused = system().lock(root());
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.failure().code, Code::Busy);
    EXPECT_EQ(system().lock_shared(root()).failure().code, Code::Busy);
  }
  held.value().reset();
  EXPECT_OK(system().lock(root()));
}

// The differential test: the same random operations on both, and every answer, message and byte must be the same.

class Both final {
 public:
  Both() : real_(make_posix_file_system()) { EXPECT_OK(simulated_.make_directory(kSimulatedRoot)); }

  void step(Random& random) {
    switch (random.below(14)) {
      case 0:
      case 1: return open(random, OpenMode::create);
      case 2: return open(random, random.chance(50) ? OpenMode::read : OpenMode::read_write);
      case 3: return twice(random, &FileSystem::rename);
      case 4: return twice(random, &FileSystem::link);
      case 5: return once(random, &FileSystem::remove_file);
      case 6: return once(random, &FileSystem::remove_directory);
      case 7: return once(random, &FileSystem::make_directory);
      case 8: return once(random, &FileSystem::sync_directory);
      case 9: return once(random, &FileSystem::kind);
      case 10: return list(random);
      default: return use_file(random);
    }
  }
  const std::string& history() const { return history_; }

 private:
  static constexpr const char* kSimulatedRoot = "data";

  struct OpenPair {
    std::unique_ptr<File> real;
    std::unique_ptr<File> simulated;
  };

  std::string draw_name(Random& random) {
    static constexpr const char* kNames[] = {"a", "b", "c", "d/a", "d/b", "d", "d/e", "d/e/f", "d/../b", "none/x"};
    return std::string("/") + kNames[random.below(std::size(kNames))];
  }
  std::string without_root(std::string message) const {
    for (const std::string& root : {directory_.path(), std::string(kSimulatedRoot)})
      for (std::size_t at = message.find(root + "/"); at != std::string::npos; at = message.find(root + "/"))
        message.replace(at, root.size() + 1, ":");
    return message;
  }
  void compare(const std::string& what, const std::string& real, const std::string& simulated) {
    history_ += what + " -> " + without_root(real) + "\n";
    EXPECT_EQ(without_root(real), without_root(simulated)) << history_;
  }
  static std::string text(const Status& status) { return message_of(status); }
  static std::string text(const Result<FileKind>& kind) {
    return kind.ok() ? std::to_string(static_cast<int>(kind.value())) : message_of(kind);
  }

  template <class Method>
  void once(Random& random, Method method) {
    const std::string name = draw_name(random);
    const std::string real = text((*real_.*method)(directory_.path() + name));
    compare("one-path call on " + name, real, text((simulated_.*method)(kSimulatedRoot + name)));
  }
  template <class Method>
  void twice(Random& random, Method method) {
    const std::string from = draw_name(random);
    const std::string to = draw_name(random);
    const std::string real = text((*real_.*method)(directory_.path() + from, directory_.path() + to));
    compare("two-path call " + from + " " + to, real,
            text((simulated_.*method)(kSimulatedRoot + from, kSimulatedRoot + to)));
  }
  void open(Random& random, OpenMode mode) {
    const std::string name = draw_name(random);
    auto real = real_->open(directory_.path() + name, mode);
    auto simulated = simulated_.open(kSimulatedRoot + name, mode);
    compare("open " + name, message_of(real), message_of(simulated));
    if (!real.ok() || !simulated.ok()) return;
    if (files_.size() == 8) files_.erase(files_.begin());
    files_.push_back({.real = std::move(real).value(), .simulated = std::move(simulated).value()});
  }
  void list(Random& random) {
    const std::string name = draw_name(random);
    const auto describe = [](const Result<std::vector<DirectoryEntry>>& entries) {
      if (!entries.ok()) return message_of(entries);
      std::string all;
      for (const auto& entry : entries.value())
        all += entry.name + "," + std::to_string(static_cast<int>(entry.kind)) + ";";
      return all;
    };
    compare("list " + name, describe(real_->list(directory_.path() + name)),
            describe(simulated_.list(kSimulatedRoot + name)));
  }
  void use_file(Random& random) {
    if (files_.empty()) return;
    OpenPair& pair = files_[random.below(files_.size())];
    const std::uint64_t place = random.below(6000);
    const std::uint64_t choice = random.below(5);
    const std::string bytes = random.bytes(random.below(5000));
    const auto act = [&](File& file) -> std::string {
      switch (choice) {
        case 0: return message_of(file.truncate(place));
        case 1: return message_of(file.allocate(place));
        case 2: return message_of(file.sync());
        default: return message_of(file.write_at(place, bytes));
      }
    };
    compare("use of a file", act(*pair.real), act(*pair.simulated));
    pair.simulated->drop_cached_pages();
    EXPECT_EQ(read_all(*pair.real), read_all(*pair.simulated)) << history_;
  }

  TemporaryDirectory directory_;
  std::unique_ptr<FileSystem> real_;
  SimulatedFileSystem simulated_;
  std::vector<OpenPair> files_;
  std::string history_;
};

TEST(FileSystemAgreement, RandomOperationsGiveTheSameAnswers) {
  for (std::uint64_t seed = 1; seed <= 150 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    Both both;
    for (int step = 0; step < 200 && !testing::Test::HasFailure(); ++step) both.step(random);
  }
}

}  // namespace
}  // namespace tuskv::os
