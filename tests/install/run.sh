#!/usr/bin/env bash
# Proves that tuskv can be used from outside: run.sh SOURCE_DIR BUILD_DIR SCRATCH_DIR VARIANT
#   static  what BUILD_DIR has built, installed; by find_package with g++ and clang, C++20 and C++23, and by pkg-config
#   shared  add_subdirectory as a shared library, then that installed; by find_package and by pkg-config
#   nested  add_subdirectory as a static library, with the flags of BUILD_DIR and beside it, where paths relative to
#           the place of work are the same, so that the compiler's cache has all of it
set -euo pipefail

source_dir=$1
build_dir=$2
variant=$4
scratch=$3/$variant
prefix=$scratch/prefix
consumer=$source_dir/tests/install
nested=$scratch/nested
[[ $variant != nested ]] || nested=$build_dir-nested
# Built in passing, never debugged: no optimisation, no symbols.
quick=(-G Ninja -DCMAKE_BUILD_TYPE=None "-DCMAKE_CXX_FLAGS=-O0")

rm -rf "$scratch" "$nested"
mkdir -p "$scratch"

say() {
  echo "-- $*"
}

# with_find_package COMPILER STANDARD
with_find_package() {
  say "find_package, $1, C++$2"
  local build=$scratch/$1-$2
  cmake -S "$consumer" -B "$build" "${quick[@]}" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_COMPILER="$1" \
    -DCMAKE_CXX_STANDARD="$2" >"$scratch/log" || { cat "$scratch/log"; exit 1; }
  cmake --build "$build" >"$scratch/log" || { cat "$scratch/log"; exit 1; }
  "$build/consumer"
}

# The headers that need another library. The consumer above has been built without these being looked for.
with_optional_headers() {
  say "find_package, with the optional headers"
  local build=$scratch/optional
  cmake -S "$consumer" -B "$build" "${quick[@]}" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_STANDARD=20 \
    -DOPTIONAL_HEADERS=ON >"$scratch/log" || { cat "$scratch/log"; exit 1; }
  cmake --build "$build" --target optional_headers >"$scratch/log" || { cat "$scratch/log"; exit 1; }
  "$build/optional_headers"
}

# with_pkg_config PKG-CONFIG-ARGUMENTS…: a static tuskv needs packages of others, a shared one its own alone.
with_pkg_config() {
  say "pkg-config $*"
  local folder flags places=PKG_CONFIG_LIBDIR
  [[ $variant != static ]] || places=PKG_CONFIG_PATH
  folder=$(dirname "$(find "$prefix" -name tuskv.pc)")
  env "$places=$folder" pkg-config --validate tuskv
  read -ra flags <<<"$(env "$places=$folder" pkg-config "$@" --cflags --libs tuskv)"
  g++ -std=c++20 "$consumer/consumer.cc" -o "$scratch/with_pkg_config" "${flags[@]}"
  LD_LIBRARY_PATH=$(dirname "$folder") "$scratch/with_pkg_config"
}

# The setting of BUILD_DIR, as an argument for another configuration.
same() {
  echo "-D$1=$(sed -n "s/^$1:[A-Z]*=//p" "$build_dir/CMakeCache.txt")"
}

# with_add_subdirectory CMAKE-ARGUMENTS…
with_add_subdirectory() {
  say "add_subdirectory $*"
  cmake -S "$consumer" -B "$nested" "${quick[@]}" -DTUSKV_SOURCE_DIR="$source_dir" \
    -DCMAKE_CXX_COMPILER_LAUNCHER="$(command -v ccache || true)" "$@" >"$scratch/log" || { cat "$scratch/log"; exit 1; }
  cmake --build "$nested" >"$scratch/log" || { cat "$scratch/log"; exit 1; }
  "$nested/consumer"
}

# Compiles the first program of the README as it stands there, and runs it twice on its own directory.
with_readme_program() {
  say "the program of the README"
  local build=$scratch/readme
  mkdir -p "$build"
  awk '/^```cpp$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' "$source_dir/README.md" >"$build/readme.cc"
  cmake -S "$consumer" -B "$build" "${quick[@]}" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_CXX_STANDARD=20 \
    -DREADME_PROGRAM="$build/readme.cc" >"$scratch/log" || { cat "$scratch/log"; exit 1; }
  cmake --build "$build" --target readme >"$scratch/log" || { cat "$scratch/log"; exit 1; }
  [[ $(cd "$build" && ./readme) == Alice* ]]
  [[ $(cd "$build" && ./readme) == Alice* ]]
}

# What a user must not get: headers of ours outside tuskv/, symbols of ours outside the API.
check_prefix() {
  [[ $(ls "$prefix/include") == tuskv ]]
  diff <(cd "$source_dir/include" && find tuskv -type f | sort) <(cd "$prefix/include" && find tuskv -type f | sort)
}

check_exports() {
  say "exported symbols"
  local library=$1 inner
  inner=$(nm -DC --defined-only "$library" | grep -E ' tuskv::(os|embedded|encryption|postgres|coordination)::' || true)
  [[ -z $inner ]] || { echo "internals are exported: $inner"; exit 1; }
}

# A lookup of a name that hangs returns into it.
check_stays_loaded() {
  readelf -d "$1" | grep -q NODELETE || { echo "$1 may be unloaded"; exit 1; }
}

case $variant in
  static)
    cmake --install "$build_dir" --prefix "$prefix" >/dev/null
    check_prefix
    for compiler in g++ clang++; do
      with_find_package "$compiler" 20
      with_find_package "$compiler" 23
    done
    with_optional_headers
    with_pkg_config --static
    with_readme_program
    ;;
  shared)
    with_add_subdirectory -DBUILD_SHARED_LIBS=ON -DTUSKV_INSTALL=ON -DCMAKE_UNITY_BUILD=ON
    cmake --install "$nested" --prefix "$prefix" >/dev/null
    check_prefix
    check_exports "$(find "$prefix" -name 'libtuskv.so')"
    check_stays_loaded "$(find "$prefix" -name 'libtuskv.so')"
    with_find_package g++ 20
    with_pkg_config
    ;;
  nested)
    with_add_subdirectory "$(same CMAKE_BUILD_TYPE)" "$(same CMAKE_CXX_FLAGS)" \
      "$(same CMAKE_CXX_FLAGS_RELWITHDEBINFO)" \
      "$(same CMAKE_CXX_COMPILER)"
    ! test -e "$nested/tuskv/tests" || { echo "a nested build made tests"; exit 1; }
    ;;
  *)
    echo "no variant $variant" >&2
    exit 2
    ;;
esac
