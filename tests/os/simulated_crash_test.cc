// Shows that each crash mode of the simulated file system leaves what it says: the crash tests rest on it.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>

#include "support/opened_file.h"
#include "support/simulated_file_system.h"

namespace tuskv::test {
namespace {

using os::OpenMode;

constexpr std::uint64_t kSeeds = 300;

/// A file "f" that is durable, with `bytes`.
std::unique_ptr<os::File> durable_file(SimulatedFileSystem& disk, std::string_view bytes) {
  disk.put("f", bytes);
  return open_file(disk, "f", OpenMode::read_write);
}

/// What "f" is after a crash, over many seeds; "(none)" when it is gone.
std::set<std::string> outcomes(const SimulatedFileSystem& disk, CrashMode mode, const std::string& path = "f") {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed)
    seen.insert(disk.crash_image(mode, seed)->content(path).value_or("(none)"));
  return seen;
}

using Outcomes = std::set<std::string>;

// Files

TEST(SimulatedCrash, SyncedBytesAndSizeSurviveEveryMode) {
  SimulatedFileSystem disk;
  const auto file = durable_file(disk, "old");
  ASSERT_TRUE(file->write_at(0, "synced").ok());
  ASSERT_TRUE(file->allocate(8).ok());
  ASSERT_TRUE(file->sync().ok());
  for (const CrashMode mode : kCrashModes)
    EXPECT_EQ(outcomes(disk, mode), Outcomes{std::string("synced\0\0", 8)}) << to_string(mode);
}

TEST(SimulatedCrash, UnsyncedWritesSurviveByMode) {
  SimulatedFileSystem disk;
  const auto file = durable_file(disk, "----");
  for (std::uint64_t i = 0; i < 3; ++i) ASSERT_TRUE(file->write_at(i, std::to_string(i + 1)).ok());
  EXPECT_EQ(outcomes(disk, CrashMode::process), Outcomes{"123-"});
  EXPECT_EQ(outcomes(disk, CrashMode::lose_unsynced), Outcomes{"----"});
  EXPECT_EQ(outcomes(disk, CrashMode::keep_all), Outcomes{"123-"});
  EXPECT_EQ(outcomes(disk, CrashMode::keep_prefix), (Outcomes{"----", "1---", "12--", "123-"}));
  EXPECT_EQ(outcomes(disk, CrashMode::keep_subset),
            (Outcomes{"----", "1---", "-2--", "--3-", "12--", "1-3-", "-23-", "123-"}));
}

TEST(SimulatedCrash, AProcessCrashLeavesUnsyncedBytesUnsynced) {
  SimulatedFileSystem disk;
  const auto file = durable_file(disk, "old");
  ASSERT_TRUE(file->write_at(0, "new").ok());
  const auto after_kill = disk.crash(CrashMode::process, 1);
  EXPECT_EQ(after_kill->content("f"), "new");
  EXPECT_EQ(after_kill->crash(CrashMode::lose_unsynced, 1)->content("f"), "old");
}

TEST(SimulatedCrash, TornWritesMixNewOldZeroAndGarbageUnits) {
  const std::pair<CrashMode, std::size_t> cases[] = {
      {CrashMode::torn_1, 1}, {CrashMode::torn_512, 512}, {CrashMode::torn_4096, 4096}};
  for (const auto& [mode, unit] : cases) {
    SimulatedFileSystem disk;
    const auto file = durable_file(disk, std::string(4 * unit, 'o'));
    ASSERT_TRUE(file->write_at(unit, std::string(2 * unit, 'n')).ok());
    Outcomes kinds;
    for (const std::string& content : outcomes(disk, mode)) {
      ASSERT_EQ(content.size(), 4 * unit);
      EXPECT_EQ(content.substr(0, unit), std::string(unit, 'o')) << "bytes that nobody wrote are never harmed";
      EXPECT_EQ(content.substr(3 * unit), std::string(unit, 'o'));
      for (const std::size_t start : {unit, 2 * unit}) {
        const std::string piece = content.substr(start, unit);
        if (piece == std::string(unit, 'n'))
          kinds.insert("new");
        else if (piece == std::string(unit, 'o'))
          kinds.insert("old");
        else if (piece == std::string(unit, '\0'))
          kinds.insert("zeros");
        else
          kinds.insert("garbage");
      }
    }
    EXPECT_EQ(kinds, (Outcomes{"new", "old", "zeros", "garbage"})) << to_string(mode);
  }
}

TEST(SimulatedCrash, TearsFallOnUnitsOfTheFileNotOfTheWrite) {
  SimulatedFileSystem disk;
  const auto file = durable_file(disk, std::string(1024, 'o'));
  ASSERT_TRUE(file->write_at(500, std::string(24, 'n')).ok());
  Outcomes fates;
  for (const std::string& content : outcomes(disk, CrashMode::torn_512)) {
    const std::string first = content.substr(500, 12);
    const std::string second = content.substr(512, 12);
    if (first == std::string(12, 'n') && second == std::string(12, 'o')) fates.insert("only the first");
    if (first == std::string(12, 'o') && second == std::string(12, 'n')) fates.insert("only the second");
    const auto news = static_cast<std::size_t>(std::count(first.begin(), first.end(), 'n'));
    EXPECT_TRUE(news == 12 || first.find("nn") == std::string::npos) << "a part of a unit came through";
  }
  EXPECT_EQ(fates.size(), 2U);
}

TEST(SimulatedCrash, TheSizeMaySurviveWithoutTheBytesAndTruncationMayBeUndone) {
  SimulatedFileSystem disk;
  const auto file = durable_file(disk, "ab");
  ASSERT_TRUE(file->write_at(2, "cd").ok());
  EXPECT_EQ(outcomes(disk, CrashMode::keep_subset), (Outcomes{"ab", "abcd", std::string("ab\0\0", 4)}));
  ASSERT_TRUE(file->sync().ok());
  ASSERT_TRUE(file->truncate(3).ok());
  ASSERT_TRUE(file->truncate(1).ok());
  EXPECT_EQ(outcomes(disk, CrashMode::keep_subset), (Outcomes{"abcd", "abc", "a"}));
  EXPECT_EQ(outcomes(disk, CrashMode::lose_unsynced), Outcomes{"abcd"});
}

// Names

TEST(SimulatedCrash, ANameSurvivesOnlyASyncOfItsDirectory) {
  SimulatedFileSystem disk;
  const auto file = open_file(disk, "f");
  ASSERT_TRUE(file->write_at(0, "bytes").ok());
  ASSERT_TRUE(file->sync().ok());
  EXPECT_EQ(outcomes(disk, CrashMode::lose_unsynced), Outcomes{"(none)"});
  EXPECT_EQ(outcomes(disk, CrashMode::keep_subset), (Outcomes{"(none)", "bytes"}));
  ASSERT_TRUE(disk.sync_directory("").ok());
  for (const CrashMode mode : kCrashModes) EXPECT_EQ(outcomes(disk, mode), Outcomes{"bytes"}) << to_string(mode);
}

TEST(SimulatedCrash, ASyncedNameOfAnUnsyncedFileIsAnEmptyFile) {
  SimulatedFileSystem disk;
  const auto file = open_file(disk, "f");
  ASSERT_TRUE(file->write_at(0, "bytes").ok());
  ASSERT_TRUE(disk.sync_directory("").ok());
  EXPECT_EQ(outcomes(disk, CrashMode::lose_unsynced), Outcomes{""});
}

TEST(SimulatedCrash, RenameIsAtomicAndUndoneUntilSynced) {
  SimulatedFileSystem disk;
  disk.put("f", "old");
  disk.put("tmp", "new");
  ASSERT_TRUE(disk.rename("tmp", "f").ok());
  EXPECT_EQ(outcomes(disk, CrashMode::lose_unsynced), Outcomes{"old"});
  EXPECT_EQ(outcomes(disk, CrashMode::keep_subset), (Outcomes{"old", "new"}));
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const auto after = disk.crash_image(CrashMode::keep_subset, seed)->contents();
    EXPECT_EQ(after.contains("tmp"), after.at("f") == "old");
  }
  ASSERT_TRUE(disk.sync_directory("").ok());
  for (const CrashMode mode : kCrashModes) EXPECT_EQ(outcomes(disk, mode), Outcomes{"new"}) << to_string(mode);
}

TEST(SimulatedCrash, ARemovalMayBeUndone) {
  SimulatedFileSystem disk;
  disk.put("f", "kept");
  ASSERT_TRUE(disk.remove_file("f").ok());
  EXPECT_EQ(outcomes(disk, CrashMode::lose_unsynced), Outcomes{"kept"});
  EXPECT_EQ(outcomes(disk, CrashMode::keep_subset), (Outcomes{"(none)", "kept"}));
  ASSERT_TRUE(disk.sync_directory("").ok());
  EXPECT_EQ(outcomes(disk, CrashMode::lose_unsynced), Outcomes{"(none)"});
}

TEST(SimulatedCrash, ChangesToOneNameSurviveInOrderOthersInAnyOrder) {
  SimulatedFileSystem disk;
  open_file(disk, "a");
  ASSERT_TRUE(disk.rename("a", "b").ok());
  open_file(disk, "c");
  ASSERT_TRUE(disk.remove_file("b").ok());
  Outcomes seen;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    std::string names;
    for (const auto& [name, bytes] : disk.crash_image(CrashMode::keep_subset, seed)->contents()) names += name;
    seen.insert(names);
  }
  EXPECT_EQ(seen, (Outcomes{"", "a", "b", "c", "ac", "bc"}));
  seen.clear();
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    std::string names;
    for (const auto& [name, bytes] : disk.crash_image(CrashMode::keep_prefix, seed)->contents()) names += name;
    seen.insert(names);
  }
  EXPECT_EQ(seen, (Outcomes{"", "a", "b", "bc", "c"}));
}

TEST(SimulatedCrash, APrefixCutsFilesAndNamesAtOnePoint) {
  SimulatedFileSystem disk;
  const auto file = durable_file(disk, "0");
  ASSERT_TRUE(file->write_at(0, "1").ok());
  open_file(disk, "later");
  ASSERT_TRUE(file->write_at(0, "2").ok());
  Outcomes seen;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const auto after = disk.crash_image(CrashMode::keep_prefix, seed)->contents();
    seen.insert(after.at("f") + (after.contains("later") ? "+" : ""));
  }
  EXPECT_EQ(seen, (Outcomes{"0", "1", "1+", "2+"}));
}

TEST(SimulatedCrash, ARenameBetweenDirectoriesIsDurableOnBothSidesAtOnce) {
  SimulatedFileSystem disk;
  ASSERT_TRUE(disk.make_directory("a").ok());
  ASSERT_TRUE(disk.make_directory("b").ok());
  ASSERT_TRUE(disk.sync_directory("").ok());
  open_file(disk, "a/x");
  ASSERT_TRUE(disk.rename("a/x", "b/x").ok());
  open_file(disk, "a/later");
  ASSERT_TRUE(disk.sync_directory("b").ok());
  const auto after = disk.crash_image(CrashMode::lose_unsynced, 1)->contents();
  EXPECT_EQ(after.size(), 1U);
  EXPECT_TRUE(after.contains("b/x"));
}

TEST(SimulatedCrash, HardLinksStayOneFile) {
  SimulatedFileSystem disk;
  disk.put("f", "one");
  ASSERT_TRUE(disk.link("f", "g").ok());
  ASSERT_TRUE(disk.sync_directory("").ok());
  const auto after = disk.crash(CrashMode::lose_unsynced, 1);
  ASSERT_TRUE(open_file(*after, "g", OpenMode::read_write)->write_at(0, "two").ok());
  EXPECT_EQ(after->content("f"), "two");
}

TEST(SimulatedCrash, TheSameSeedGivesTheSameDisk) {
  SimulatedFileSystem disk;
  const auto file = durable_file(disk, std::string(10'000, 'o'));
  for (std::uint64_t i = 0; i < 20; ++i) {
    ASSERT_TRUE(file->write_at(i * 400, std::string(700, 'n')).ok());
    open_file(disk, "n" + std::to_string(i));
  }
  for (const CrashMode mode : kCrashModes)
    for (std::uint64_t seed = 0; seed < 20; ++seed)
      EXPECT_EQ(disk.crash_image(mode, seed)->contents(), disk.crash_image(mode, seed)->contents()) << to_string(mode);
  EXPECT_GT(outcomes(disk, CrashMode::torn_512).size(), kSeeds / 2);
}

}  // namespace
}  // namespace tuskv::test
