#!/usr/bin/env bash
# Every public header compiles alone: headers.sh INCLUDE_DIR COMPILER STANDARD [HEADER-TO-LEAVE-OUT]
set -uo pipefail

include_dir=$1
compiler=$2
standard=$3
left_out=${4:-}
status=0
cd "$include_dir" || exit 1
for header in tuskv/*.h; do
  [[ $header != "$left_out" ]] || continue
  # Twice, so that a missing include guard shows.
  printf '#include "%s"\n#include "%s"\n' "$header" "$header" |
    "$compiler" "-std=$standard" -Wall -Wextra -Werror -fsyntax-only -I. -x c++ - ||
    { echo "$header does not compile alone with $compiler -std=$standard"; status=1; }
done
exit "$status"
