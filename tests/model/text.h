// Answers as texts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/draw.h"
#include "tuskv/tuskv.h"

namespace tuskv::test {

/// Makes texts of times as they are `now_us`, in units of `unit_ms`.
class Texts final {
 public:
  Texts(std::int64_t now_us, std::int64_t unit_ms) : now_us_(now_us), unit_us_(unit_ms * 1000) {}
  /// Within a transaction the creation of what it has set is not known yet.
  Texts without_creation() const {
    Texts texts = *this;
    texts.tells_creation_ = false;
    return texts;
  }

  std::string operator()(bool answer) const { return answer ? "yes" : "no"; }
  std::string operator()(std::int64_t number) const { return std::to_string(number); }
  std::string operator()(std::uint64_t number) const { return std::to_string(number); }
  std::string operator()(const std::string& value) const { return shown(value); }
  std::string operator()(const std::optional<std::string>& value) const { return value ? shown(*value) : "absent"; }
  std::string operator()(const std::vector<std::optional<std::string>>& values) const;
  std::string operator()(const Ttl& ttl) const;
  std::string operator()(const CompareResult& result) const;
  std::string operator()(const PersistResult& result) const;
  /// Without the version.
  std::string operator()(const Entry& entry) const;
  std::string operator()(const Error& error) const;

 private:
  std::string units_left(std::int64_t us) const;

  std::int64_t now_us_;
  std::int64_t unit_us_;
  bool tells_creation_ = true;
};

}  // namespace tuskv::test
