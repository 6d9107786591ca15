// Threads that start together, work for a while, and are counted.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

namespace tuskv::bench {

/// Makes so many calls.
using Worker = std::function<void(std::uint64_t calls)>;

/// Runs each worker on a thread of its own until `duration` has passed; returns calls per second of all together. A
/// worker's exception ends the measurement and is thrown here.
double throughput(std::vector<Worker>& workers, std::chrono::nanoseconds duration, std::uint64_t calls_per_look);

double seconds_since(std::chrono::steady_clock::time_point start);

/// Keeps the compiler from dropping a computation whose result nobody uses.
template <class T>
void keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

}  // namespace tuskv::bench
