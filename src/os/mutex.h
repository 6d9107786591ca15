// The standard mutexes with clang's thread-safety annotations, so that the compiler proves which lock guards which
// field (clang, -Wthread-safety; elsewhere the annotations vanish). Shared fields are declared `T x_
// TUSKV_GUARDED_BY(mutex_)`, functions that need a lock held `TUSKV_REQUIRES(mutex_)`, functions that take it
// themselves `TUSKV_EXCLUDES(mutex_)`. Wait in a loop around CondVar::wait: a predicate lambda would be analysed as a
// function that holds no lock.
#pragma once

#include <pthread.h>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "os/deadline.h"

#if defined(__clang__)
#define TUSKV_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define TUSKV_THREAD_ANNOTATION(x)
#endif

#define TUSKV_CAPABILITY(name) TUSKV_THREAD_ANNOTATION(capability(name))
#define TUSKV_SCOPED_CAPABILITY TUSKV_THREAD_ANNOTATION(scoped_lockable)
#define TUSKV_GUARDED_BY(mutex) TUSKV_THREAD_ANNOTATION(guarded_by(mutex))
#define TUSKV_PT_GUARDED_BY(mutex) TUSKV_THREAD_ANNOTATION(pt_guarded_by(mutex))
#define TUSKV_ACQUIRED_BEFORE(...) TUSKV_THREAD_ANNOTATION(acquired_before(__VA_ARGS__))
#define TUSKV_ACQUIRED_AFTER(...) TUSKV_THREAD_ANNOTATION(acquired_after(__VA_ARGS__))
#define TUSKV_REQUIRES(...) TUSKV_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define TUSKV_REQUIRES_SHARED(...) TUSKV_THREAD_ANNOTATION(requires_shared_capability(__VA_ARGS__))
#define TUSKV_ACQUIRE(...) TUSKV_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define TUSKV_ACQUIRE_SHARED(...) TUSKV_THREAD_ANNOTATION(acquire_shared_capability(__VA_ARGS__))
#define TUSKV_RELEASE(...) TUSKV_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
#define TUSKV_RELEASE_SHARED(...) TUSKV_THREAD_ANNOTATION(release_shared_capability(__VA_ARGS__))
#define TUSKV_RELEASE_GENERIC(...) TUSKV_THREAD_ANNOTATION(release_generic_capability(__VA_ARGS__))
#define TUSKV_TRY_ACQUIRE(...) TUSKV_THREAD_ANNOTATION(try_acquire_capability(__VA_ARGS__))
#define TUSKV_TRY_ACQUIRE_SHARED(...) TUSKV_THREAD_ANNOTATION(try_acquire_shared_capability(__VA_ARGS__))
#define TUSKV_EXCLUDES(...) TUSKV_THREAD_ANNOTATION(locks_excluded(__VA_ARGS__))
#define TUSKV_ASSERT_HELD(...) TUSKV_THREAD_ANNOTATION(assert_capability(__VA_ARGS__))
#define TUSKV_ASSERT_HELD_SHARED(...) TUSKV_THREAD_ANNOTATION(assert_shared_capability(__VA_ARGS__))
#define TUSKV_RETURN_CAPABILITY(mutex) TUSKV_THREAD_ANNOTATION(lock_returned(mutex))
/// For a function whose locking the analysis cannot follow (locks taken in a loop, in key order); say why beside it.
#define TUSKV_NO_THREAD_SAFETY_ANALYSIS TUSKV_THREAD_ANNOTATION(no_thread_safety_analysis)

namespace tuskv::os {

/// Looks for a lock again and again for some microseconds before its caller goes to sleep. Our locks are held for about
/// a microsecond; to be woken costs tens of them.
template <class TryLock>
bool spin_for_lock(const TryLock& try_lock) {
  constexpr int kLooks = 100;
  for (int look = 0; look < kLooks; ++look) {
    if (try_lock()) return true;
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }
  return false;
}

class TUSKV_CAPABILITY("mutex") Mutex final {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() TUSKV_ACQUIRE() {
    if (!spin_for_lock([this] { return mutex_.try_lock(); })) mutex_.lock();
  }
  bool try_lock() TUSKV_TRY_ACQUIRE(true) { return mutex_.try_lock(); }
  void unlock() TUSKV_RELEASE() { mutex_.unlock(); }
  /// Tells the analysis that the lock is held where it cannot see so; checks nothing.
  void assert_held() const TUSKV_ASSERT_HELD() {}

 private:
  friend class CondVar;
  std::mutex mutex_;
};

/// Prefers writers: a steady stream of readers of a hot shard must not keep a writer out for ever, as it can with
/// std::shared_mutex. A thread must not take it shared twice.
class TUSKV_CAPABILITY("shared_mutex") SharedMutex final {
 public:
  SharedMutex() {
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&lock_, &attributes);
    pthread_rwlockattr_destroy(&attributes);
  }
  ~SharedMutex() { pthread_rwlock_destroy(&lock_); }
  SharedMutex(const SharedMutex&) = delete;
  SharedMutex& operator=(const SharedMutex&) = delete;

  void lock() TUSKV_ACQUIRE() {
    if (!spin_for_lock([this] { return pthread_rwlock_trywrlock(&lock_) == 0; })) check(pthread_rwlock_wrlock(&lock_));
  }
  void unlock() TUSKV_RELEASE() { check(pthread_rwlock_unlock(&lock_)); }
  void lock_shared() TUSKV_ACQUIRE_SHARED() {
    if (!spin_for_lock([this] { return pthread_rwlock_tryrdlock(&lock_) == 0; })) check(pthread_rwlock_rdlock(&lock_));
  }
  void unlock_shared() TUSKV_RELEASE_SHARED() { check(pthread_rwlock_unlock(&lock_)); }
  /// Tells the analysis that reading is safe where it cannot see why; checks nothing.
  void assert_held_shared() const TUSKV_ASSERT_HELD_SHARED() {}

 private:
  static void check([[maybe_unused]] int error) { assert(error == 0); }

  pthread_rwlock_t lock_;
};

/// A mutex whose waiters give up in time; the clock is read only when they have to wait.
class TUSKV_CAPABILITY("mutex") TimedMutex final {
 public:
  TimedMutex() = default;
  TimedMutex(const TimedMutex&) = delete;
  TimedMutex& operator=(const TimedMutex&) = delete;

  void lock() TUSKV_ACQUIRE() { mutex_.lock(); }
  bool try_lock() TUSKV_TRY_ACQUIRE(true) { return mutex_.try_lock(); }
  /// False when it could not be had within `left_ms`, from which it takes what it has waited: the next wait of the same
  /// call has the rest.
  bool lock_within(std::int64_t& left_ms) TUSKV_TRY_ACQUIRE(true) {
    if (spin_for_lock([this] { return mutex_.try_lock(); })) return true;
    const auto begin = std::chrono::steady_clock::now();
    const bool held = wait_for_lock(std::chrono::milliseconds(std::min(left_ms, kLongestWaitMs)));
    const auto waited = std::chrono::ceil<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
    left_ms = std::max<std::int64_t>(0, left_ms - waited.count());
    return held;
  }
  void unlock() TUSKV_RELEASE() { mutex_.unlock(); }

 private:
  bool wait_for_lock(std::chrono::milliseconds timeout) {
#if defined(__SANITIZE_THREAD__)
    // The thread sanitizer of g++ 12 does not see the lock taken through the steady clock's call.
    return mutex_.try_lock_until(std::chrono::system_clock::now() + timeout);
#else
    return mutex_.try_lock_for(timeout);
#endif
  }

  std::timed_mutex mutex_;
};

/// Unlocks at the end of its scope, or before, a TimedMutex that is held already.
class TUSKV_SCOPED_CAPABILITY AdoptedLock final {
 public:
  explicit AdoptedLock(TimedMutex& mutex) TUSKV_REQUIRES(mutex) : mutex_(mutex) {}
  ~AdoptedLock() TUSKV_RELEASE() {
    if (held_) mutex_.unlock();
  }
  AdoptedLock(const AdoptedLock&) = delete;
  AdoptedLock& operator=(const AdoptedLock&) = delete;

  void unlock() TUSKV_RELEASE() {
    held_ = false;
    mutex_.unlock();
  }

 private:
  TimedMutex& mutex_;
  bool held_ = true;
};

/// Holds a Mutex or a TimedMutex for its lifetime; may let go of it in between.
template <class AnyMutex>
class TUSKV_SCOPED_CAPABILITY MutexLock final {
 public:
  explicit MutexLock(AnyMutex& mutex) TUSKV_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() TUSKV_RELEASE() {
    if (held_) mutex_.unlock();
  }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  void unlock() TUSKV_RELEASE() {
    held_ = false;
    mutex_.unlock();
  }
  void lock() TUSKV_ACQUIRE() {
    mutex_.lock();
    held_ = true;
  }

 private:
  AnyMutex& mutex_;
  bool held_ = true;
};

class TUSKV_SCOPED_CAPABILITY ReaderLock final {
 public:
  explicit ReaderLock(SharedMutex& mutex) TUSKV_ACQUIRE_SHARED(mutex) : mutex_(mutex) { mutex_.lock_shared(); }
  ~ReaderLock() TUSKV_RELEASE_GENERIC() { mutex_.unlock_shared(); }
  ReaderLock(const ReaderLock&) = delete;
  ReaderLock& operator=(const ReaderLock&) = delete;

 private:
  SharedMutex& mutex_;
};

class TUSKV_SCOPED_CAPABILITY WriterLock final {
 public:
  explicit WriterLock(SharedMutex& mutex) TUSKV_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~WriterLock() TUSKV_RELEASE() { mutex_.unlock(); }
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;

 private:
  SharedMutex& mutex_;
};

/// A condition variable over Mutex. Wake-ups may be spurious, so callers wait in a loop.
class CondVar final {
 public:
  CondVar() = default;
  CondVar(const CondVar&) = delete;
  CondVar& operator=(const CondVar&) = delete;

  void wait(Mutex& mutex) TUSKV_REQUIRES(mutex) {
    std::unique_lock<std::mutex> held(mutex.mutex_, std::adopt_lock);
    condition_.wait(held);
    held.release();
  }
  /// False when `deadline` passed first. The steady clock: a step of the wall clock must not stretch a wait.
  bool wait_until(Mutex& mutex, std::chrono::steady_clock::time_point deadline) TUSKV_REQUIRES(mutex) {
    std::unique_lock<std::mutex> held(mutex.mutex_, std::adopt_lock);
    const std::cv_status status = condition_.wait_until(held, deadline);
    held.release();
    return status == std::cv_status::no_timeout;
  }
  /// False when `duration` passed first.
  bool wait_for(Mutex& mutex, std::chrono::nanoseconds duration) TUSKV_REQUIRES(mutex) {
    std::unique_lock<std::mutex> held(mutex.mutex_, std::adopt_lock);
    const std::cv_status status = condition_.wait_for(held, duration);
    held.release();
    return status == std::cv_status::no_timeout;
  }
  void notify_one() noexcept { condition_.notify_one(); }
  void notify_all() noexcept { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace tuskv::os
