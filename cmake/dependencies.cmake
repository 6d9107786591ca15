# What every build of the library needs. Tests, benchmarks and the command-line tool look up their own. What a
# static library passes on to its users stands again in tuskvConfig.cmake.in and tuskv.pc.in; tests/install proves it.
find_program(CCACHE_PROGRAM ccache)
if(PROJECT_IS_TOP_LEVEL AND CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(libxxhash REQUIRED IMPORTED_TARGET libxxhash)

# The PostgreSQL engine, where libpq is.
pkg_check_modules(libpq QUIET IMPORTED_TARGET libpq)
option(TUSKV_POSTGRES "Build the PostgreSQL engine (libpq)" ${libpq_FOUND})
if(TUSKV_POSTGRES AND NOT libpq_FOUND)
  message(FATAL_ERROR "TUSKV_POSTGRES is on, and there is no libpq (Debian: libpq-dev)")
endif()

# Encryption of values, where OpenSSL is.
find_package(OpenSSL 3.0 QUIET COMPONENTS Crypto)
option(TUSKV_ENCRYPTION "Build AES-256-GCM (OpenSSL)" ${OPENSSL_FOUND})
if(TUSKV_ENCRYPTION AND NOT OPENSSL_FOUND)
  message(FATAL_ERROR "TUSKV_ENCRYPTION is on, and there is no OpenSSL 3 (Debian: libssl-dev)")
endif()

# For tests and examples of the optional headers tuskv/json.h, tuskv/protobuf.h and tuskv/asio.h, and for a fuzz target;
# the library needs none. Each is left out where its library is not.
if(TUSKV_TESTS OR TUSKV_EXAMPLES OR TUSKV_FUZZ)
  find_package(nlohmann_json 3.10 QUIET)
  find_package(Protobuf QUIET)
  find_path(ASIO_INCLUDE_DIR asio.hpp)
  if(NOT ASIO_INCLUDE_DIR)
    message(STATUS "No Asio (Debian: libasio-dev): no tests and no example of tuskv/asio.h")
  endif()
endif()
