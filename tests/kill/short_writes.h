// A system that takes only a part of each write, as it may at any time. The caller writes the rest with another call,
// and between the two is a moment at which a record lies on the disk by halves.
#pragma once

#include <cstddef>

namespace tuskv::test {

/// From now on, in this whole process: every pwrite of more than one byte takes two calls.
void make_writes_short();
/// How many writes have been cut in two.
std::size_t short_writes();

}  // namespace tuskv::test
