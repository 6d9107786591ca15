#pragma once

// The version of these headers, for programs that are built with several; a test compares it with the project's.

#define TUSKV_VERSION_MAJOR 0
#define TUSKV_VERSION_MINOR 1
#define TUSKV_VERSION_PATCH 0
