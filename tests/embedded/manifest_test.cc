#include "embedded/manifest.h"

#include <gtest/gtest.h>
#include <xxhash.h>

#include <cstdint>
#include <string>
#include <vector>

#include "embedded/part_file.h"
#include "support/simulated_file_system.h"

namespace tuskv::embedded {
namespace {

using test::CrashMode;
using test::SimulatedFileSystem;

Manifest example() {
  Manifest manifest;
  for (std::size_t i = 0; i < manifest.store_id.size(); ++i) manifest.store_id[i] = static_cast<std::uint8_t>(i * 17);
  manifest.hash_seed = 0xdeadbeef00000001;
  manifest.snapshot = {.ordinal = 3,
                       .start_sequence = 100,
                       .end_sequence = 120,
                       .taken_at_us = -1,
                       .first_delta_ordinal = 5,
                       .delta_count = 2,
                       .parts = {{.size_bytes = 4096, .checksum = 0xabcdef, .entries = 9}, {}}};
  manifest.logged = false;
  manifest.first_log_ordinal = 7;
  manifest.last_log_ordinal = 9;
  manifest.first_log_sequence = 121;
  manifest.durable_sequence = 130;
  manifest.clock_high_us = INT64_MAX;
  return manifest;
}

std::string with_checksum(std::string text) {
  char line[32];
  std::snprintf(line, sizeof line, "checksum %016llx\n",
                static_cast<unsigned long long>(XXH3_64bits(text.data(), text.size())));
  return text + line;
}

TEST(Manifest, TextIsFixed) {
  EXPECT_EQ(encode_manifest(example()), with_checksum("tuskv manifest 1\n"
                                                      "store 00112233445566778899aabbccddeeff\n"
                                                      "hash_seed deadbeef00000001\n"
                                                      "snapshot 3 100 120 -1\n"
                                                      "delta 5 2\n"
                                                      "part 4096 0000000000abcdef 9\n"
                                                      "part 0 0000000000000000 0\n"
                                                      "is_snapshot_folder 0\n"
                                                      "logged 0\n"
                                                      "log 7 9 121\n"
                                                      "durable_sequence 130\n"
                                                      "clock_high_us 9223372036854775807\n"));
}

Manifest encrypted_example() {
  Manifest manifest = example();
  manifest.encrypted = true;
  return manifest;
}

// Of a store that is not encrypted it is what it was before there were others.
TEST(Manifest, S106_ThatOfAnEncryptedStoreSaysSo) {
  std::string plain = encode_manifest(example());
  std::string text = encode_manifest(encrypted_example());
  const std::string_view line = "encrypted 1\n";
  const std::size_t place = text.find(line);
  EXPECT_TRUE(text.starts_with("tuskv manifest 2\n"));
  EXPECT_TRUE(std::string_view(text).substr(0, place).ends_with("\nlogged 0\n"));
  text.erase(place, line.size()).replace(0, 16, "tuskv manifest 1");
  constexpr std::size_t kChecksumLineBytes = 26;
  text.resize(text.size() - kChecksumLineBytes);
  plain.resize(plain.size() - kChecksumLineBytes);
  EXPECT_EQ(text, plain);
  // A version that says otherwise is none.
  text.insert(place, line);
  EXPECT_FALSE(decode_manifest(with_checksum(text), "MANIFEST").ok());
  plain.replace(0, 16, "tuskv manifest 2");
  EXPECT_FALSE(decode_manifest(with_checksum(plain), "MANIFEST").ok());
}

TEST(Manifest, ReadsBackWhatWasWritten) {
  for (const Manifest& manifest : {example(), encrypted_example(), Manifest{}}) {
    const std::string bytes = encode_manifest(manifest);
    Result<Manifest> read = decode_manifest(bytes, "MANIFEST");
    ASSERT_TRUE(read.ok()) << read.failure().message;
    EXPECT_EQ(encode_manifest(read.value()), bytes);
    EXPECT_EQ(read.value().store_id, manifest.store_id);
    EXPECT_EQ(read.value().hash_seed, manifest.hash_seed);
    EXPECT_EQ(read.value().snapshot.parts.size(), manifest.snapshot.parts.size());
    EXPECT_EQ(read.value().clock_high_us, manifest.clock_high_us);
    EXPECT_EQ(read.value().logged, manifest.logged);
    EXPECT_EQ(read.value().encrypted, manifest.encrypted);
  }
}

TEST(Manifest, EveryBitFlipIsSeen) {
  const std::string bytes = encode_manifest(example());
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    Result<Manifest> read = decode_manifest(flipped, "here/MANIFEST");
    ASSERT_FALSE(read.ok()) << "bit " << bit;
    EXPECT_NE(read.failure().message.find("here/MANIFEST"), std::string::npos);
  }
}

TEST(Manifest, EveryTruncationAndExtensionIsCorruption) {
  const std::string bytes = encode_manifest(example());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    Result<Manifest> read = decode_manifest(bytes.substr(0, size), "MANIFEST");
    ASSERT_FALSE(read.ok()) << size;
    EXPECT_EQ(read.failure().code, Code::Corruption) << size;
  }
  EXPECT_FALSE(decode_manifest(bytes + "\n", "MANIFEST").ok());
  EXPECT_FALSE(decode_manifest(bytes + bytes, "MANIFEST").ok());
}

TEST(Manifest, ASecondSpellingIsRefused) {
  std::string bytes = encode_manifest(example());
  bytes.resize(bytes.size() - 26);
  bytes.replace(bytes.find("log 7 9"), 7, "log 07 9");
  Result<Manifest> read = decode_manifest(with_checksum(bytes), "MANIFEST");
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.failure().code, Code::Corruption);
}

// E21: a newer format is refused by its number, whatever it holds.
/// With a right checksum: it finds accidents, and whoever reads must not believe more than the files can bear out.
TEST(Manifest, S37_NumbersThatNoStoreHasAreRefused) {
  const std::vector<void (*)(Manifest&)> changes = {
      [](Manifest& m) { m.snapshot.parts[0].entries = m.snapshot.parts[0].size_bytes / kPartEntryHeaderBytes + 1; },
      [](Manifest& m) { m.snapshot.ordinal = kNumberMax + 1; },
      [](Manifest& m) { m.snapshot.ordinal = 0; },
      [](Manifest& m) { m.snapshot.start_sequence = m.snapshot.end_sequence + 1; },
      [](Manifest& m) { m.snapshot.end_sequence = kNumberMax + 1; },
      [](Manifest& m) { m.snapshot.first_delta_ordinal = kNumberMax + 1; },
      [](Manifest& m) { m.snapshot.delta_count = UINT64_MAX; },
      [](Manifest& m) { m.snapshot.parts.resize(kPartsMax + 1); },
      [](Manifest& m) { m.first_log_ordinal = 0; },
      [](Manifest& m) { m.first_log_ordinal = m.last_log_ordinal + 2; },
      [](Manifest& m) { m.last_log_ordinal = UINT64_MAX; },
      [](Manifest& m) { m.first_log_sequence = 0; },
      [](Manifest& m) { m.durable_sequence = kNumberMax + 1; },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    Manifest manifest = example();
    changes[i](manifest);
    const auto read = decode_manifest(encode_manifest(manifest), "MANIFEST");
    ASSERT_FALSE(read.ok()) << i;
    EXPECT_EQ(read.failure().code, Code::Corruption) << i;
    SimulatedFileSystem disk;
    EXPECT_FALSE(write_manifest(disk, "", manifest).ok()) << i << ": nobody could read it";
    EXPECT_TRUE(disk.contents().empty()) << i;
  }
}

TEST(Manifest, E21NewerVersionIsNamed) {
  Result<Manifest> read = decode_manifest(with_checksum("tuskv manifest 3\nsomething new\n"), "dir/MANIFEST");
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.failure().code, Code::Config);
  EXPECT_NE(read.failure().message.find("version 3"), std::string::npos) << read.failure().message;
}

TEST(Manifest, AnotherFileIsNotAManifest) {
  Result<Manifest> read = decode_manifest("[package]\nname = \"x\"\n", "dir/MANIFEST");
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.failure().code, Code::Config);
}

TEST(Manifest, IsReplacedWholeAtEveryStop) {
  Manifest old = example();
  Manifest next = example();
  next.snapshot.ordinal = 4;
  for (std::uint64_t stop = 1;; ++stop) {
    SimulatedFileSystem disk;
    ASSERT_TRUE(disk.make_directory("d").ok());
    ASSERT_TRUE(write_manifest(disk, "d", old).ok());
    disk.make_all_durable();
    disk.stop_at({.operation = disk.operation_count() + stop, .partly_written = true});
    const bool finished = write_manifest(disk, "d", next).ok();
    for (const CrashMode mode : test::kCrashModes) {
      for (std::uint64_t seed = 0; seed < 10; ++seed) {
        const auto after = disk.crash_image(mode, seed);
        Result<Manifest> read = read_manifest(*after, "d");
        ASSERT_TRUE(read.ok()) << read.failure().message << disk.trace();
        const std::uint64_t ordinal = read.value().snapshot.ordinal;
        ASSERT_TRUE(ordinal == 4 || (ordinal == 3 && !finished)) << disk.trace();
        // The leftover of the interrupted one is in nobody's way.
        ASSERT_TRUE(write_manifest(*after, "d", next).ok());
      }
    }
    if (finished) break;
  }
}

// K16: numbers, not text, and one spelling for each.
TEST(Manifest, K16NamesAreNumbers) {
  EXPECT_EQ(segment_name(12), "log-12.tlog");
  EXPECT_EQ(parse_segment_name("log-12.tlog"), 12);
  EXPECT_EQ(parse_segment_name(segment_name(kNumberMax)), kNumberMax);
  EXPECT_EQ(parse_segment_name(segment_name(kNumberMax + 1)), 0);
  EXPECT_EQ(parse_snapshot_folder_name(snapshot_folder_name(7)), 7);
  for (const char* name : {"log-.tlog", "log-0.tlog", "log-01.tlog", "log-1.tlog.tmp", "log-1", "log--1.tlog",
                           "log-18446744073709551616.tlog", "log-1 .tlog", "LOG-1.tlog", ""}) {
    EXPECT_EQ(parse_segment_name(name), 0) << name;
  }
  EXPECT_EQ(parse_snapshot_folder_name("snapshot-1.tmp"), 0);
  EXPECT_EQ(parse_snapshot_folder_name("snapshot-"), 0);
}

}  // namespace
}  // namespace tuskv::embedded
