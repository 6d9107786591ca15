#pragma once

/// Marks what a shared library of tuskv exports; everything else is hidden.
#if defined(TUSKV_SHARED)
#define TUSKV_API __attribute__((visibility("default")))
#else
#define TUSKV_API
#endif
