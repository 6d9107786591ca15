// Every limit of the command line that is not an option, in one place.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace tuskv::cli {

/// What one write of import or copy may hold: entries, and bytes of keys and values.
inline constexpr std::uint64_t kBatchEntries = 1000;
inline constexpr std::uint64_t kBatchEntriesMax = 10'000;
inline constexpr std::size_t kBatchBytes = std::size_t{4} << 20;
/// Entries in one page of a listing.
inline constexpr std::size_t kPageEntries = 500;
/// Longest line of import: a value of 100 MiB in which every byte is written as \u00XX.
inline constexpr std::size_t kLineBytesMax = std::size_t{640} << 20;
/// What `-x` reads, and the largest JSON document of import.
inline constexpr std::size_t kInputBytesMax = std::size_t{1} << 30;
/// Arrays and objects inside one another in imported JSON.
inline constexpr int kJsonDepthMax = 256;

inline constexpr std::size_t kOutputBufferBytes = std::size_t{64} << 10;
inline constexpr std::size_t kInputBufferBytes = std::size_t{256} << 10;

/// Lines of the shell's history, and keys offered by completion.
inline constexpr int kHistoryLines = 1000;
inline constexpr std::size_t kCompletions = 100;

/// How long to wait for a directory that another process has open, if --timeout does not say; and between two looks.
inline constexpr std::chrono::seconds kOpenWait{5};
inline constexpr std::chrono::milliseconds kOpenPause{10};
inline constexpr std::int64_t kOpenWaitMsMax = 86'400'000;

/// How long lock run may wait for the lock.
inline constexpr std::int64_t kLockWaitMsMax = 86'400'000;
/// How long a command whose lock is lost may take to end before it is killed.
inline constexpr int kLostLockGraceS = 10;

inline constexpr std::uint64_t kBenchThreadsMax = 256;
inline constexpr std::uint64_t kBenchSecondsMax = 3600;
inline constexpr std::uint64_t kBenchKeysMax = 10'000'000;
inline constexpr std::uint64_t kBenchValueBytesMax = std::uint64_t{16} << 20;

}  // namespace tuskv::cli
