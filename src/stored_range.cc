#include "stored_range.h"

#include "glob.h"
#include "named_limits.h"
#include "throw.h"

namespace tuskv {
namespace {

void check_fits(const View& view, std::string_view bytes, const char* what) {
  if (view.prefix.size() + bytes.size() <= kStoredKeyBytesMax) return;
  throw_refused(Code::InvalidArgument,
                std::string(what) + " of " + std::to_string(bytes.size()) + " bytes is longer than any key");
}

}  // namespace

std::string behind_prefix(std::string_view prefix) {
  std::string behind(prefix);
  while (!behind.empty() && behind.back() == '\xff') behind.pop_back();
  if (!behind.empty()) behind.back() = static_cast<char>(static_cast<unsigned char>(behind.back()) + 1);
  return behind;
}

StoredRange stored_range(const View& view, Bytes prefix, Bytes glob) {
  check_fits(view, prefix.view(), "a prefix");
  StoredRange range{.from = view.prefix, .to = {}};
  range.from += prefix.view();
  if (!glob.empty()) {
    const std::string literal = glob_literal_prefix(glob.view());
    if (literal.starts_with(prefix.view())) {
      range.from = view.prefix + literal;
    } else if (!prefix.view().starts_with(literal)) {
      range.to = range.from;  // no key has both
      return range;
    }
  }
  range.to = behind_prefix(range.from);
  return range;
}

Filter checked_filter(Bytes glob) {
  if (glob.empty()) return {};
  if (glob.size() > kGlobBytesMax) {
    throw_refused(Code::InvalidArgument, "a glob of " + std::to_string(glob.size()) + " bytes is over the limit of " +
                                             std::to_string(kGlobBytesMax));
  }
  return {.kind = Filter::Kind::glob, .pattern = glob.view()};
}

std::string stored_cursor(const View& view, Bytes after) {
  if (after.empty()) return {};
  check_fits(view, after.view(), "a cursor");
  return view.prefix + std::string(after.view());
}

}  // namespace tuskv
