// Protocol buffers as values of typed views, with messages that come with protobuf itself.
#include <chrono>
#include <optional>
#include <string>

#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/wrappers.pb.h>

#include "contract/contract.h"
#include "tuskv/protobuf.h"

namespace tuskv::test {
namespace {

using google::protobuf::Int64Value;
using google::protobuf::StringValue;
using google::protobuf::Struct;
using google::protobuf::UninterpretedOption;
using std::chrono_literals::operator""ms;

TUSKV_CONTRACT_SUITE(TypedProtobuf);

StringValue text(const std::string& value) {
  StringValue message;
  message.set_value(value);
  return message;
}

TEST_P(TypedProtobuf, ADefaultMessageIsAValue) {
  const auto messages = store().typed<Int64Value>("message:");
  messages.set("default", Int64Value());
  EXPECT_EQ(store().get("message:default"), "");
  ASSERT_TRUE(messages.get("default"));
  EXPECT_EQ(messages.get("default")->value(), 0);
  EXPECT_FALSE(messages.get("missing"));
  const auto found = messages.get_many({"default", "missing"});
  EXPECT_TRUE(found[0].has_value());
  EXPECT_FALSE(found[1].has_value());
  EXPECT_FALSE(messages.set_if_absent("default", Int64Value()));
  EXPECT_FALSE(messages.compare_and_swap("default", std::nullopt, Int64Value()));
  EXPECT_TRUE(messages.compare_and_swap("default", Int64Value(), Int64Value()));
  EXPECT_TRUE(messages.get_and_touch("default", 10ms));
  EXPECT_TRUE(messages.get_and_set("default", Int64Value()));
  EXPECT_TRUE(messages.update("default", [](std::optional<Int64Value> present) -> TypedChange<Int64Value> {
    return present ? *present : Int64Value();
  }));
  EXPECT_EQ(messages.scan().entries.at(0).value.value().value(), 0);
  EXPECT_TRUE(reopen().typed<Int64Value>("message:").get_and_erase("default"));
}

TEST_P(TypedProtobuf, Y16_MessagesAreEqualWhateverTheOrderOfTheirMaps) {
  const auto documents = store().typed<Struct>("document:");
  Struct forward;
  Struct backward;
  for (int i = 0; i < 50; ++i) (*forward.mutable_fields())["f" + std::to_string(i)].set_number_value(i);
  for (int i = 49; i >= 0; --i) (*backward.mutable_fields())["f" + std::to_string(i)].set_number_value(i);
  documents.set("a", forward);
  EXPECT_TRUE(documents.compare_and_swap("a", backward, Struct()));
  EXPECT_FALSE(documents.compare_and_erase("a", forward));
  EXPECT_TRUE(documents.compare_and_erase("a", Struct()));
}

TEST_P(TypedProtobuf, P19_WhatIsNoMessageIsReportedAtItsPosition) {
  const auto messages = store().typed<StringValue>("message:");
  messages.set_many({{"a", text("one")}, {"c", text("two")}});
  store().set("message:b", "\x0a\xff");  // a field of more bytes than there are
  const auto found = messages.get_many({"a", "b", "c"});
  EXPECT_EQ(found[0]->value(), "one");
  EXPECT_THAT(found[1].error(), testing::HasSubstr("message:b"));
  EXPECT_EQ(found[2]->value(), "two");
  expect_refused([&] { return messages.get_and_erase("b").has_value(); }, Code::Serialization, {"message:b"});
  EXPECT_TRUE(store().exists("message:b"));
}

TEST_P(TypedProtobuf, Y16_WhatCouldNotBeReadBackIsRefused) {
  const auto messages = store().typed<StringValue>("message:");
  expect_refused([&] { messages.set("a", text("\xff")); }, Code::Serialization, {"message:a", "encoded"});
  const auto parts = store().typed<UninterpretedOption::NamePart>("part:");  // has required fields
  expect_refused([&] { parts.set("a", {}); }, Code::Serialization, {"part:a", "required"});
  store().set("part:b", "");
  expect_refused([&] { return parts.get("b").has_value(); }, Code::Serialization, {"part:b", "required"});
  EXPECT_EQ(store().count(), 1u);
}

}  // namespace
}  // namespace tuskv::test
