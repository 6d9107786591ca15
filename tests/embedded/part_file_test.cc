#include "embedded/part_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "embedded/byte_order.h"
#include "support/simulated_file_system.h"

namespace tuskv::embedded {
namespace {

using test::Fault;
using test::Operation;
using test::SimulatedFileSystem;

using Stored = std::tuple<std::string, std::string, std::uint64_t, std::int64_t, std::int64_t, std::int64_t>;

class Collector final : public EntrySink {
 public:
  void entry(const Change& put, std::uint64_t sequence) override {
    EXPECT_EQ(put.op, ChangeOp::put);
    entries.emplace_back(put.key, put.value, sequence, put.expires_us, put.created_us, put.updated_us);
  }
  std::vector<Stored> entries = {};
};

EntryView view_of(const Stored& stored) {
  return {.key = std::get<0>(stored),
          .value = std::get<1>(stored),
          .sequence = std::get<2>(stored),
          .expires_us = std::get<3>(stored),
          .created_us = std::get<4>(stored),
          .updated_us = std::get<5>(stored)};
}

PartHeader tiny_header() {
  PartHeader header{.snapshot_ordinal = 7, .part_index = 2, .part_count = 16, .start_sequence = 300};
  for (std::size_t i = 0; i < header.store_id.size(); ++i) header.store_id[i] = static_cast<std::uint8_t>(i);
  return header;
}

constexpr const char* kPath = "/d/part-2";

PartInfo write(SimulatedFileSystem& disk, const PartHeader& header, const std::vector<Stored>& entries,
               std::size_t entries_per_block) {
  disk.put("d/other", "");
  auto writer = PartWriter::create(disk, kPath, header);
  EXPECT_TRUE(writer.ok());
  std::size_t in_block = 0;
  for (const Stored& stored : entries) {
    writer.value()->add(view_of(stored));
    if (++in_block % entries_per_block == 0) {
      EXPECT_TRUE(writer.value()->flush().ok());
    }
  }
  auto info = writer.value()->finish();
  EXPECT_TRUE(info.ok());
  return info.value();
}

std::vector<Stored> some_entries(std::size_t count) {
  std::vector<Stored> entries;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string number = std::to_string(1000 + i);
    entries.emplace_back("key" + number, std::string(i % 5, 'v'), i + 1, i % 3 == 0 ? 0 : 50 + i, 10 + i, 20 + i);
  }
  return entries;
}

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    constexpr const char* kDigits = "0123456789abcdef";
    text += kDigits[static_cast<unsigned char>(byte) >> 4U];
    text += kDigits[static_cast<unsigned char>(byte) & 15U];
  }
  return text;
}

TEST(PartFile, HasTheseBytes) {
  SimulatedFileSystem disk;
  const PartInfo info = write(disk, tiny_header(), {{"k", "vv", 5, 1, 2, 3}}, 100);
  const std::string bytes = disk.content("d/part-2").value();
  EXPECT_EQ(info.size_bytes, bytes.size());
  EXPECT_EQ(info.entries, 1U);
  EXPECT_EQ(hex(bytes.substr(0, 56)),
            "5455534b50415254"  // TUSKPART
            "01000000"
            "40000000"                          // version, header size
            "000102030405060708090a0b0c0d0e0f"  // store
            "0700000000000000"                  // snapshot
            "02000000"
            "10000000"            // part, parts
            "2c01000000000000");  // start sequence
  EXPECT_EQ(hex(bytes.substr(64 + 8, 8 + 48)),
            "30000000"
            "01000000"          // length, count
            "0500000000000000"  // sequence
            "02000000"
            "0100"
            "0000"  // value size, key size
            "0100000000000000"
            "0200000000000000"
            "0300000000000000"
            "6b"
            "7676"
            "0000000000");  // key, value, padding
  EXPECT_EQ(hex(bytes.substr(128 + 8, 24)),
            "0000000000000000"
            "0100000000000000"
            "8000000000000000");
  // The checksums, so that a change of seed or coverage is a change of format.
  EXPECT_EQ(hex(bytes.substr(56, 8)), "eb088ceee2f8c8c3");
  EXPECT_EQ(hex(bytes.substr(64, 8)), "94a703e146496558");
  EXPECT_EQ(hex(bytes.substr(128, 8)), "2432a8c86771500e");
  EXPECT_EQ(hex(bytes.substr(160)), "3c3589fa5f91b1b9");
  EXPECT_EQ(info.checksum, load_integer<std::uint64_t>(bytes, 128));
}

TEST(PartFile, RoundTrips) {
  for (const std::size_t count : {0U, 1U, 2U, 300U}) {
    for (const std::size_t per_block : {1U, 7U, 1000U}) {
      SimulatedFileSystem disk;
      std::vector<Stored> entries = some_entries(count);
      if (count > 1) std::get<1>(entries[1]) = std::string(1'000'001, 'x');  // larger than a block and than one read
      const PartInfo info = write(disk, tiny_header(), entries, per_block);
      EXPECT_TRUE(verify_part_ends(disk, kPath, tiny_header(), info).ok());
      Collector read;
      const Status status = read_part_file(disk, kPath, tiny_header(), info, read);
      ASSERT_TRUE(status.ok()) << status.failure().message;
      EXPECT_EQ(read.entries, entries);
      Collector salvaged;
      auto damage = salvage_part_file(disk, kPath, tiny_header(), &info, salvaged);
      ASSERT_TRUE(damage.ok());
      EXPECT_TRUE(damage.value().empty());
      EXPECT_EQ(salvaged.entries, entries);
    }
  }
}

TEST(PartFile, EveryFlippedBitIsFound) {
  SimulatedFileSystem disk;
  const std::vector<Stored> entries = some_entries(9);
  const PartInfo info = write(disk, tiny_header(), entries, 3);
  for (std::uint64_t bit = 0; bit < info.size_bytes * 8; ++bit) {
    ASSERT_TRUE(disk.flip_bit("d/part-2", bit));
    Collector read;
    const Status status = read_part_file(disk, kPath, tiny_header(), info, read);
    ASSERT_FALSE(status.ok()) << "bit " << bit;
    EXPECT_EQ(status.failure().code, Code::Corruption);
    EXPECT_NE(status.failure().message.find("/d/part-2 is damaged at offset "), std::string::npos);
    Collector salvaged;
    auto damage = salvage_part_file(disk, kPath, tiny_header(), &info, salvaged);
    ASSERT_TRUE(damage.ok());
    EXPECT_FALSE(damage.value().empty()) << "bit " << bit;
    // One block at most is lost, and nothing is made up.
    EXPECT_GE(salvaged.entries.size(), entries.size() - 3) << "bit " << bit;
    for (const Stored& stored : salvaged.entries) EXPECT_EQ(std::count(entries.begin(), entries.end(), stored), 1);
    disk.flip_bit("d/part-2", bit);
  }
}

TEST(PartFile, EveryTruncationAndAnAppendedByteAreFound) {
  SimulatedFileSystem disk;
  const PartInfo info = write(disk, tiny_header(), some_entries(9), 3);
  const std::string bytes = disk.content("d/part-2").value();
  for (std::size_t size = 0; size <= bytes.size() + 1; ++size) {
    disk.put("d/part-2", size <= bytes.size() ? bytes.substr(0, size) : bytes + '\0');
    Collector read;
    const Status status = read_part_file(disk, kPath, tiny_header(), info, read);
    EXPECT_EQ(status.ok(), size == bytes.size()) << size;
    EXPECT_EQ(verify_part_ends(disk, kPath, tiny_header(), info).ok(), size == bytes.size()) << size;
    Collector salvaged;
    auto damage = salvage_part_file(disk, kPath, tiny_header(), &info, salvaged);
    ASSERT_TRUE(damage.ok());
    EXPECT_EQ(damage.value().empty(), size == bytes.size()) << size;
  }
}

TEST(PartFile, BelongsToOneStoreSnapshotAndPlace) {
  SimulatedFileSystem disk;
  const PartInfo info = write(disk, tiny_header(), some_entries(3), 3);
  std::vector<PartHeader> others(5, tiny_header());
  others[0].store_id[3] ^= 1;
  others[1].snapshot_ordinal = 8;
  others[2].part_index = 3;
  others[3].part_count = 32;
  others[4].start_sequence = 301;
  for (const PartHeader& other : others) {
    Collector read;
    EXPECT_FALSE(read_part_file(disk, kPath, other, info, read).ok());
    EXPECT_FALSE(verify_part_ends(disk, kPath, other, info).ok());
  }
  auto header = read_part_header(disk, kPath);
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(header.value().snapshot_ordinal, 7U);
  EXPECT_EQ(header.value().part_count, 16U);
}

TEST(PartFile, BlocksCannotChangePlaces) {
  SimulatedFileSystem disk;
  std::vector<Stored> entries = {{"a", "1", 1, 0, 1, 1}, {"b", "2", 2, 0, 1, 1}};
  const PartInfo info = write(disk, tiny_header(), entries, 1);
  const std::string bytes = disk.content("d/part-2").value();
  const std::size_t block = (bytes.size() - kPartHeaderBytes - kPartFooterBytes) / 2;
  disk.overwrite("d/part-2", kPartHeaderBytes, bytes.substr(kPartHeaderBytes + block, block));
  disk.overwrite("d/part-2", kPartHeaderBytes + block, bytes.substr(kPartHeaderBytes, block));
  Collector read;
  EXPECT_FALSE(read_part_file(disk, kPath, tiny_header(), info, read).ok());
  EXPECT_TRUE(read.entries.empty());
}

TEST(PartFile, KeysOutOfOrderAreRefused) {
  SimulatedFileSystem disk;
  const PartInfo info = write(disk, tiny_header(), {{"b", "1", 1, 0, 1, 1}, {"a", "2", 2, 0, 1, 1}}, 1);
  Collector read;
  EXPECT_FALSE(read_part_file(disk, kPath, tiny_header(), info, read).ok());
  SimulatedFileSystem second;
  const PartInfo repeated = write(second, tiny_header(), {{"a", "1", 1, 0, 1, 1}, {"a", "2", 2, 0, 1, 1}}, 2);
  EXPECT_FALSE(read_part_file(second, kPath, tiny_header(), repeated, read).ok());
}

// K5: every result of the writing side is looked at.
TEST(PartFile, EachFailedCallFailsTheWriter) {
  for (const Operation operation : {Operation::create, Operation::write, Operation::sync}) {
    for (std::uint64_t nth = 1; nth <= 5; ++nth) {
      SimulatedFileSystem disk;
      disk.put("d/other", "");
      disk.inject({.operation = operation, .nth = nth, .error = ENOSPC});
      auto writer = PartWriter::create(disk, kPath, tiny_header());
      bool failed = !writer.ok();
      for (int i = 0; i < 3 && !failed; ++i) {
        const std::string key(1, static_cast<char>('a' + i));
        writer.value()->add({.key = key, .value = "v", .sequence = 1});
        failed = !writer.value()->flush().ok();
      }
      if (!failed) failed = !writer.value()->finish().ok();
      EXPECT_EQ(failed, disk.faults_met() == 1) << to_string(operation) << nth;
    }
  }
}

}  // namespace
}  // namespace tuskv::embedded
