// The parameters of one execution of a statement, in PostgreSQL's binary form. Bytes are lent: they must stay until
// the statement has been added to an exchange, which copies them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tuskv::postgres {

/// Object identifiers of the types we use; PostgreSQL never changes them.
inline constexpr unsigned kBool = 16;
inline constexpr unsigned kBytea = 17;
inline constexpr unsigned kInt8 = 20;
inline constexpr unsigned kInt4 = 23;
inline constexpr unsigned kText = 25;
inline constexpr unsigned kTimestamptz = 1184;
inline constexpr unsigned kBoolArray = 1000;
inline constexpr unsigned kByteaArray = 1001;
inline constexpr unsigned kInt4Array = 1007;
inline constexpr unsigned kTextArray = 1009;
inline constexpr unsigned kInt8Array = 1016;
inline constexpr unsigned kTimestamptzArray = 1185;

inline constexpr std::size_t kParametersMax = 10;

/// Microseconds since 1970 in a timestamptz, which counts from 2000; 0 (never) has no place there.
std::int64_t to_server_time(std::int64_t us);
std::int64_t from_server_time(std::int64_t us);
/// The bucket of an expiry: the 256 s it lies in, numbered so that the bucket of now or less has passed. An index on
/// it changes rarely, so that a refreshed expiry seldom touches the index.
std::int32_t expiry_bucket(std::int64_t expires_us);

class Parameters final {
 public:
  void add_bytes(std::string_view bytes);
  void add_null();
  void add_bool(bool value);
  void add_int4(std::int32_t value);
  void add_int8(std::int64_t value);
  /// Microseconds since 1970.
  void add_time(std::int64_t us) { add_int8(to_server_time(us)); }

  /// Elements follow, as many as said, each as one of element…().
  void begin_array(unsigned element_type, std::size_t count, std::size_t bytes = 0);
  void element(std::string_view bytes);
  void element_null();
  void element_bool(bool value);
  void element_int4(std::int32_t value);
  void element_int8(std::int64_t value);
  /// Microseconds since 1970.
  void element_time(std::int64_t us) { element_int8(to_server_time(us)); }
  void end_array();

  std::size_t size() const { return count_; }
  /// For libpq: one pointer and one length a parameter.
  void point(std::array<const char*, kParametersMax>& values, std::array<int, kParametersMax>& lengths) const;

 private:
  struct Slot {
    const char* lent = nullptr;
    std::size_t offset = 0;  ///< into owned_, when nothing is lent
    std::size_t size = 0;
    bool null = false;
  };
  template <class T>
  void append(T value);
  void add_owned(std::size_t offset);

  std::array<Slot, kParametersMax> slots_ = {};
  std::size_t count_ = 0;
  std::string owned_;
};

}  // namespace tuskv::postgres
