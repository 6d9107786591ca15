#pragma once

/// Marks what a shared library of tuskv exports; everything else is hidden.
#if defined(TUSKV_SHARED)
#define TUSKV_API __attribute__((visibility("default")))
#else
#define TUSKV_API
#endif

/// What is made of this argument must not outlive it: clang warns of what is kept of a temporary (gcc does not).
#if defined(__clang__)
#define TUSKV_LIFETIMEBOUND [[clang::lifetimebound]]
#else
#define TUSKV_LIFETIMEBOUND
#endif
