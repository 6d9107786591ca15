#pragma once

#include <string>
#include <string_view>

namespace tuskv {

/// True when all of `text` matches: `*` any run of bytes, `?` one byte, `\` takes the next byte literally (a `\` at the
/// end: itself). Linear in pattern × text at worst, no recursion: safe for hostile patterns of bounded size.
bool glob_matches(std::string_view pattern, std::string_view text);

/// The literal bytes every match starts with, unescaped: turns the leading part of a glob into a key range.
std::string glob_literal_prefix(std::string_view pattern);

}  // namespace tuskv
