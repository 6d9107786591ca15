#include "postgres/parameters.h"

#include <cassert>
#include <type_traits>

namespace tuskv::postgres {
namespace {

constexpr std::int64_t kServerEpochUs = 946'684'800'000'000;  // 2000-01-01
constexpr std::int64_t kSecondUs = 1'000'000;

}  // namespace

std::int64_t to_server_time(std::int64_t us) { return us - kServerEpochUs; }

std::int64_t from_server_time(std::int64_t us) {
  std::int64_t result = 0;
  // -infinity and infinity are the ends of the range, and stay so.
  if (us == INT64_MIN || us == INT64_MAX || __builtin_add_overflow(us, kServerEpochUs, &result)) return us;
  return result;
}

std::int32_t expiry_bucket(std::int64_t expires_us) {
  return static_cast<std::int32_t>((expires_us / kSecondUs) >> 8) + 1;
}

template <class T>
void Parameters::append(T value) {
  const auto bits = static_cast<std::make_unsigned_t<T>>(value);
  for (std::size_t shift = sizeof(T) * 8; shift > 0;) {
    shift -= 8;
    owned_ += static_cast<char>(static_cast<unsigned char>(bits >> shift));
  }
}

void Parameters::add_owned(std::size_t offset) {
  assert(count_ < kParametersMax);
  slots_[count_++] = {.lent = nullptr, .offset = offset, .size = owned_.size() - offset, .null = false};
}

void Parameters::add_bytes(std::string_view bytes) {
  assert(count_ < kParametersMax);
  // A null pointer would be a null, an empty value is not.
  slots_[count_++] = {
      .lent = bytes.data() != nullptr ? bytes.data() : "", .offset = 0, .size = bytes.size(), .null = false};
}

void Parameters::add_null() {
  assert(count_ < kParametersMax);
  slots_[count_++] = {.lent = nullptr, .offset = 0, .size = 0, .null = true};
}

void Parameters::add_bool(bool value) {
  owned_ += static_cast<char>(value ? 1 : 0);
  add_owned(owned_.size() - 1);
}

void Parameters::add_int4(std::int32_t value) {
  append(value);
  add_owned(owned_.size() - sizeof value);
}

void Parameters::add_int8(std::int64_t value) {
  append(value);
  add_owned(owned_.size() - sizeof value);
}

void Parameters::begin_array(unsigned element_type, std::size_t count, std::size_t bytes) {
  constexpr std::size_t kHeaderBytes = 20;
  assert(count_ < kParametersMax);
  slots_[count_] = {.lent = nullptr, .offset = owned_.size(), .size = 0, .null = false};
  owned_.reserve(owned_.size() + kHeaderBytes + bytes + count * sizeof(std::int32_t));
  append(std::int32_t{count == 0 ? 0 : 1});  // dimensions
  append(std::int32_t{1});                   // may hold nulls
  append(static_cast<std::int32_t>(element_type));
  if (count == 0) return;
  append(static_cast<std::int32_t>(count));
  append(std::int32_t{1});  // the first index
}

void Parameters::element(std::string_view bytes) {
  append(static_cast<std::int32_t>(bytes.size()));
  owned_ += bytes;
}

void Parameters::element_null() { append(std::int32_t{-1}); }

void Parameters::element_bool(bool value) {
  append(std::int32_t{1});
  owned_ += static_cast<char>(value ? 1 : 0);
}

void Parameters::element_int4(std::int32_t value) {
  append(std::int32_t{sizeof value});
  append(value);
}

void Parameters::element_int8(std::int64_t value) {
  append(std::int32_t{sizeof value});
  append(value);
}

void Parameters::end_array() {
  Slot& slot = slots_[count_++];
  slot.size = owned_.size() - slot.offset;
}

void Parameters::point(std::array<const char*, kParametersMax>& values,
                       std::array<int, kParametersMax>& lengths) const {
  for (std::size_t i = 0; i < count_; ++i) {
    const Slot& slot = slots_[i];
    values[i] = slot.null ? nullptr : slot.lent != nullptr ? slot.lent : owned_.data() + slot.offset;
    lengths[i] = static_cast<int>(slot.size);
  }
}

}  // namespace tuskv::postgres
