#include "stored_range.h"

#include <algorithm>

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

std::string stored_bytes(const View& view, Bytes key) { return view.prefix + std::string(key.view()); }

StoredRange with_prefix(const View& view, std::string_view prefix) {
  StoredRange range{.from = stored_bytes(view, prefix), .to = {}};
  range.to = behind_prefix(range.from);
  return range;
}

/// Leaves what both hold; an empty range begins where it ends.
void narrow(StoredRange& range, const StoredRange& other) {
  range.from = std::max(range.from, other.from);
  range.to = std::max(range.from, std::min(range.to, other.to));
}

}  // namespace

std::string behind_prefix(std::string_view prefix) {
  std::string behind(prefix);
  while (!behind.empty() && behind.back() == '\xff') behind.pop_back();
  if (!behind.empty()) behind.back() = static_cast<char>(static_cast<unsigned char>(behind.back()) + 1);
  return behind;
}

StoredRange stored_range(const View& view, const CountOptions& which) {
  check_fits(view, which.prefix.view(), "a prefix");
  check_fits(view, which.from.view(), "the start of a range");
  if (which.to) check_fits(view, which.to->view(), "the end of a range");
  StoredRange range = with_prefix(view, which.prefix.view());
  if (!which.glob.empty()) narrow(range, with_prefix(view, glob_literal_prefix(which.glob.view())));
  // No key of a view is empty: the entry whose key is the prefix of a typed view is not one of its.
  const std::string_view from = which.from.empty() ? std::string_view("\0", 1) : which.from.view();
  narrow(range, {.from = stored_bytes(view, from), .to = which.to ? stored_bytes(view, *which.to) : range.to});
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
  return stored_bytes(view, after);
}

}  // namespace tuskv
