#pragma once

// tuskv: a key-value store with one API over an embedded engine and PostgreSQL. This header is all that most programs
// need. Beside it: tuskv/typed.h for values of a type instead of bytes, with tuskv/json.h and tuskv/protobuf.h (each
// includes it), and tuskv/maintenance.h for tools that work on a closed directory.

#if __cplusplus < 202002L
#error "tuskv needs C++20: -std=c++20, or target_compile_features(... cxx_std_20)"
#endif

#include "tuskv/async.h"
#include "tuskv/bytes.h"
#include "tuskv/coordination.h"
#include "tuskv/error.h"
#include "tuskv/operations.h"
#include "tuskv/options.h"
#include "tuskv/store.h"
#include "tuskv/time.h"
#include "tuskv/types.h"
#include "tuskv/version.h"
