// The arguments of one random call, all drawn from one seed: the store and the reference get the same. Keys are few, so
// that calls meet; they, and prefixes and globs, are rich in the bytes that bounds are made of.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/random.h"
#include "tuskv/tuskv.h"

namespace tuskv::test {

/// Bytes as they can be read and told apart, long ones shortened.
std::string shown(std::string_view bytes);

/// What arguments depend on, the same on both sides.
struct DrawRules {
  std::int64_t unit_ms = 1;  ///< all times are multiples of it
  std::size_t key_bytes_max = 1024;
  std::size_t value_bytes_max = 65'536;
  bool expiry_disabled = false;
  bool is_json = false;  ///< all values are, in PostgreSQL's spelling
};

class Draw final {
 public:
  /// `notes`: where to write down what is drawn, for people; may be null.
  Draw(std::uint64_t seed, const DrawRules& rules, std::string* notes);

  std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }
  bool chance(std::uint64_t percent) { return random_.chance(percent); }
  std::uint64_t next_seed() { return random_.next(); }
  /// Which call the arguments are for.
  void call(std::string_view name) { note(name); }

  std::string key();
  std::vector<std::string> keys();
  std::string prefix();
  /// The start or the end of a range: any key, or nothing at all.
  std::string bound();
  std::optional<std::string> end();
  std::string glob();
  std::string value();
  /// What values can hold.
  std::string needle();
  /// A value made of the present one and another.
  std::string joined(std::optional<std::string_view> present, const std::string& added) const;
  std::int64_t number();
  /// Within a few units, at times for ever, or wrong.
  Duration ttl();
  Instant instant(std::int64_t now_us);
  SetOptions write_options(std::int64_t now_us);
  std::optional<Duration> item_ttl();
  CounterOptions counter_options();
  std::size_t limit();

 private:
  /// At most one argument of a call breaks a rule, for when two do the contract does not say which is named.
  enum class Mistake { none, key, value, expiry, range };

  void note(std::string_view text);
  bool makes(Mistake mistake, std::uint64_t percent) { return mistake_ == mistake && chance(percent); }
  std::string number_text();
  std::string json();
  Duration wrong_ttl();

  Random random_;
  const DrawRules& rules_;
  std::string* notes_;
  Mistake mistake_ = Mistake::none;
};

}  // namespace tuskv::test
