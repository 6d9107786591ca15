#!/usr/bin/env bash
# Mistakes that must be compile errors, each beside the right form: must_not_compile.sh INCLUDE_DIR COMPILER CASES_FILE
#
# The file holds cases of three lines and a blank one: `name`, the mistake, the right form. Each form is put into a
# function with a `store`, an `async` and a `tx`; the right ones must compile, and each mistake must not, which proves
# that it fails for what it says and not for a typing error. Compiling costs, so all mistakes go into one file, where
# each has its own name for its lines; one that no error names is looked at alone, since a compiler may report an error
# of a template only where it meets it first. A name that ends with `[says: words]` wants these words in an error of
# the mistake alone, and `[clang]` is for what clang alone sees.
set -uo pipefail

include_dir=$1
compiler=$2
cases_file=$3
status=0
every_error=-fmax-errors=0
is_clang=false
if [[ $("$compiler" --version) == *clang* ]]; then
  is_clang=true
  every_error=-ferror-limit=0
fi

compile() {
  "$compiler" -std=c++20 "$every_error" -Wall -Wextra -Werror -Wno-unused-variable \
    -fsyntax-only -I"$include_dir" -x c++ - <<END
#include <map>
#include <string>
#include <utility>
#include <vector>
#include "tuskv/json.h"
#include "tuskv/tuskv.h"
#include "tuskv/typed.h"
using namespace std::chrono_literals;
using namespace std::string_literals;
/// A range that makes each element when it is asked for.
template <class T>
struct Generated {
  struct Iterator {
    int position;
    T operator*() const { return T("k"); }
    Iterator& operator++() { ++position; return *this; }
    bool operator==(const Iterator&) const = default;
  };
  Iterator begin() const { return {0}; }
  Iterator end() const { return {1}; }
};
/// A value that has no codec of its own.
struct Point { int x = 0; int y = 0; };
$1
END
}

# A function around the statements $2, with what they use. $1 makes its name.
use() {
  cat <<END
[[maybe_unused]] static void use_$1([[maybe_unused]] const tuskv::Store& store,
    [[maybe_unused]] const tuskv::AsyncStore& async, [[maybe_unused]] tuskv::Transaction& tx) {
#line 1 "mistake_$1"
  $2
#line 1 "around"
}
END
}

names=() mistakes=() rights=()
while read -r name; do
  [[ -z $name || $name == \#* ]] && continue
  read -r mistake
  read -r right
  [[ $name != *'[clang]' ]] || $is_clang || continue
  names+=("$name") mistakes+=("$mistake") rights+=("$right")
done <"$cases_file"

all_rights=$(for i in "${!rights[@]}"; do use "$i" "${rights[i]}"; done)
if ! errors=$(compile "$all_rights" 2>&1); then
  printf 'a right form does not compile:\n%s\n' "$errors"
  status=1
fi
all_mistakes=$(for i in "${!mistakes[@]}"; do use "$i" "${mistakes[i]}"; done)
errors=$(LC_ALL=C compile "$all_mistakes" 2>&1)
for i in "${!mistakes[@]}"; do
  if [[ ${names[i]} =~ \[says:\ (.*)\]$ ]]; then
    said=$(LC_ALL=C compile "$(use "$i" "${mistakes[i]}")" 2>&1)
    grep -E "error:" <<<"$said" | grep -qF "${BASH_REMATCH[1]}" && continue
    printf '%s: it does not; it says\n%s\n' "${names[i]}" "$(head -n 20 <<<"$said")"
    status=1
  fi
  grep -Eq "^mistake_$i:1:([0-9]+:)? +(fatal )?error:" <<<"$errors" && continue
  if compile "$(use 0 "${mistakes[i]}")" >/dev/null 2>&1; then
    printf '%s: compiles: %s\n' "${names[i]}" "${mistakes[i]}"
    status=1
  fi
done

echo "${#names[@]} cases with $compiler"
((${#names[@]} > 0)) || status=1
exit "$status"
