// Things that take longer to make than to use, and that one caller at a time may use: who has done with one lets it lie
// for the next. There are no locks: a thing lies in one of a few places or is somebody's, and a thread looks first
// where it left its own.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <thread>

namespace tuskv::encryption {

/// `Owner` is a std::unique_ptr. Thread-safe, but for the end.
template <class Owner>
class Spares final {
  using Pointer = typename Owner::pointer;

 public:
  Spares() = default;
  Spares(const Spares&) = delete;
  Spares& operator=(const Spares&) = delete;
  ~Spares() {
    for (Place& place : places_) Owner(place.spare.load()).reset();
  }

  /// Null when there is none: make one.
  Owner take() {
    const std::size_t first = first_place();
    for (std::size_t i = 0; i < places_.size(); ++i) {
      std::atomic<Pointer>& spare = places_[(first + i) % places_.size()].spare;
      if (spare.load(std::memory_order_relaxed) == nullptr) continue;
      if (Pointer const taken = spare.exchange(nullptr, std::memory_order_acquire)) return Owner(taken);
    }
    return nullptr;
  }

  /// One that finds no place dies.
  void leave(Owner left) {
    const std::size_t first = first_place();
    for (std::size_t i = 0; i < places_.size(); ++i) {
      std::atomic<Pointer>& spare = places_[(first + i) % places_.size()].spare;
      Pointer none = spare.load(std::memory_order_relaxed);
      if (none != nullptr) continue;
      if (!spare.compare_exchange_strong(none, left.get(), std::memory_order_release, std::memory_order_relaxed))
        continue;
      static_cast<void>(left.release());
      return;
    }
  }

 private:
  static constexpr std::size_t kPlaces = 16;  // more threads than this encrypt at the same moment: they make their own

  struct alignas(64) Place {
    std::atomic<Pointer> spare = nullptr;
  };

  static std::size_t first_place() { return std::hash<std::thread::id>()(std::this_thread::get_id()) % kPlaces; }

  std::array<Place, kPlaces> places_ = {};
};

}  // namespace tuskv::encryption
