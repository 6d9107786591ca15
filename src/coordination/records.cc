#include "coordination/records.h"

#include "key_text.h"
#include "plan.h"
#include "throw.h"

namespace tuskv::coordination {
namespace {

constexpr std::string_view kBegin = "\"1 ";
constexpr std::string_view kEnd = "\"";
constexpr std::string_view kUpperHex = "0123456789ABCDEF";

bool is_plain(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
         std::string_view("-._~:/@+").find(byte) != std::string_view::npos;
}

void append_owner(std::string& record, std::string_view owner) {
  for (const char byte : owner) {
    if (is_plain(byte)) {
      record += byte;
    } else {
      const auto value = static_cast<unsigned char>(byte);
      record += {'%', kUpperHex[value >> 4], kUpperHex[value & 15]};
    }
  }
}

std::optional<std::string> parse_owner(std::string_view text) {
  std::string owner;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_plain(text[i])) {
      owner += text[i];
      continue;
    }
    if (text[i] != '%' || text.size() - i < 3) return std::nullopt;
    const std::size_t high = kUpperHex.find(text[i + 1]);
    const std::size_t low = kUpperHex.find(text[i + 2]);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    const char byte = static_cast<char>(high << 4 | low);
    if (is_plain(byte)) return std::nullopt;  // one owner has one spelling
    owner += byte;
    i += 2;
  }
  if (owner.empty()) return std::nullopt;
  return owner;
}

/// What stands between the marks of version 1; nothing when they are not there.
std::optional<std::string_view> body_of(std::string_view record) {
  if (!record.starts_with(kBegin) || !record.ends_with(kEnd) || record.size() <= kBegin.size()) return std::nullopt;
  return record.substr(kBegin.size(), record.size() - kBegin.size() - kEnd.size());
}

}  // namespace

std::string encode_lock(std::uint64_t token, std::string_view owner) {
  std::string record(kBegin);
  record += std::to_string(token);
  record += ' ';
  append_owner(record, owner);
  return record += kEnd;
}

std::optional<LockRecord> decode_lock(std::string_view record) {
  const auto body = body_of(record);
  if (!body) return std::nullopt;
  const std::size_t space = body->find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  const auto token = decode_number(body->substr(0, space));
  auto owner = parse_owner(body->substr(space + 1));
  if (!token || !owner) return std::nullopt;
  return LockRecord{.token = static_cast<std::uint64_t>(*token), .owner = *std::move(owner)};
}

std::string encode_claim(std::string_view owner) {
  std::string record(kBegin);
  append_owner(record, owner);
  return record += kEnd;
}

std::optional<std::string> decode_claim(std::string_view record) {
  const auto body = body_of(record);
  return body ? parse_owner(*body) : std::nullopt;
}

std::optional<std::int64_t> decode_number(std::string_view record) {
  std::int64_t number = 0;
  if (!parse_counter(record, number) || number < 0) return std::nullopt;
  return number;
}

void throw_unknown_record(std::string_view what, std::string_view stored_key) {
  throw_refused(Code::Serialization, "what is stored for the " + std::string(what) + " " + quoted_key(stored_key) +
                                         " is not in a format that this version of tuskv knows");
}

}  // namespace tuskv::coordination
