// What a newer tuskv has written is refused and left alone: nobody here knows what in it is damage.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "status.h"

namespace tuskv::embedded {

inline constexpr std::string_view kNewerWroteIt = ": a newer tuskv has written it";

/// `version` verified, and `highest` is the last that this program reads.
inline Status newer_format(const std::string& path, std::uint64_t version, std::uint64_t highest) {
  return {Code::Config, path + " has format version " + std::to_string(version) + "; this tuskv reads versions up to " +
                            std::to_string(highest) + std::string(kNewerWroteIt)};
}

inline bool is_newer_format(const Failure& failure) {
  return failure.code == Code::Config && failure.message.ends_with(kNewerWroteIt);
}

/// Whether a file that could not be read is damaged.
inline bool is_damage(const Failure& failure) {
  return (failure.code == Code::Corruption || failure.code == Code::Config) && !is_newer_format(failure);
}

}  // namespace tuskv::embedded
