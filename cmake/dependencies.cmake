# What every build of the library needs. Tests, benchmarks and the command-line tool look up their own. What a
# static library passes on to its users stands again in tuskvConfig.cmake.in and install.cmake; tests/install proves it.
find_program(CCACHE_PROGRAM ccache)
if(PROJECT_IS_TOP_LEVEL AND CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

find_package(Threads REQUIRED)
# What a project around this one has brought along is used.
if(NOT TARGET absl::btree)
  find_package(absl REQUIRED)
endif()
find_package(PkgConfig REQUIRED)
if(NOT TARGET PkgConfig::libxxhash)
  pkg_check_modules(libxxhash REQUIRED IMPORTED_TARGET libxxhash)
endif()

# tuskv_part(option found what library): the option becomes ON or OFF, what the user has said. Otherwise the part is
# built where its library is, which is looked for each time, so that one that was installed later is not missed.
function(tuskv_part option found what library)
  set(${option} AUTO CACHE STRING "Build ${what} (${library}): ON, OFF, or AUTO, where the library is")
  set_property(CACHE ${option} PROPERTY STRINGS AUTO ON OFF)
  set(is_built OFF)
  if(found AND ${option})
    set(is_built ON)
  elseif(${option} STREQUAL "AUTO")
    message(STATUS "No ${library}: no ${what} (${option})")
  elseif(${option})
    message(FATAL_ERROR "${option} is ${${option}}, and there is no ${library}")
  endif()
  set(${option} ${is_built} PARENT_SCOPE)
endfunction()

pkg_check_modules(libpq QUIET IMPORTED_TARGET libpq)
tuskv_part(TUSKV_POSTGRES "${libpq_FOUND}" "PostgreSQL engine" "libpq (Debian: libpq-dev)")
find_package(OpenSSL 3.0 QUIET COMPONENTS Crypto)
tuskv_part(TUSKV_ENCRYPTION "${OPENSSL_FOUND}" "AES-256-GCM" "OpenSSL 3 (Debian: libssl-dev)")

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
