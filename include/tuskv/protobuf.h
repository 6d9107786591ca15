#pragma once

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/message_lite.h>

#include <concepts>
#include <limits>
#include <string>
#include <string_view>

#include "tuskv/codec.h"
#include "tuskv/typed.h"

// Protocol buffers as values of typed views. Link protobuf (CMake: protobuf::libprotobuf or libprotobuf-lite).

namespace tuskv {
inline namespace v0 {

/// A message in its binary format. A message whose fields all have their default is a value of no bytes. What could not
/// be read back is refused when it is written: a message without its required fields, or text that is not UTF-8.
template <std::derived_from<google::protobuf::MessageLite> T>
struct ProtobufCodec {
  static std::string encode(const T& message) {
    if (!message.IsInitialized()) detail::refuse("required fields of the message are missing");
    std::string bytes;
    {
      // The same message gives the same bytes: without this, maps come in any order.
      google::protobuf::io::StringOutputStream stream(&bytes);
      google::protobuf::io::CodedOutputStream coded(&stream);
      coded.SetSerializationDeterministic(true);
      if (!message.SerializePartialToCodedStream(&coded)) detail::refuse("the message is larger than 2 GiB");
    }
    decode(bytes);
    return bytes;
  }
  static T decode(std::string_view bytes) {
    T message;
    if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
      detail::refuse("the value is larger than 2 GiB");
    }
    if (!message.ParsePartialFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      detail::refuse("it is not a message of this type");
    }
    if (!message.IsInitialized()) detail::refuse("required fields of the message are missing");
    return message;
  }
};

template <std::derived_from<google::protobuf::MessageLite> T>
struct Codec<T> : ProtobufCodec<T> {};

}  // namespace v0
}  // namespace tuskv
