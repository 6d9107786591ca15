#!/usr/bin/env bash
# What including tuskv/tuskv.h costs a user, beyond the standard headers it cannot do without: header_weight.sh
# INCLUDE_DIR COMPILER. tools/tidy.py sees what our headers include; this sees what that brings along.
set -uo pipefail

include_dir=$1
compiler=$2
status=0

headers() {
  "$compiler" -std=c++20 -I"$include_dir" -x c++ -M - | tr -s ' ' '\n'
}

reached=$(headers <<<'#include "tuskv/tuskv.h"')
for heavy in functional variant ranges thread mutex iostream future regex filesystem map unordered_map; do
  if grep -q "/$heavy\$" <<<"$reached"; then
    echo "tuskv/tuskv.h reaches <$heavy> with $compiler"
    status=1
  fi
done

# <chrono> is most of the weight and cannot be avoided: durations and time points are in the signatures.
unavoidable='#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>
#include <coroutine>
#include <stdexcept>'
own=$(($(printf '#include "tuskv/tuskv.h"\n' | "$compiler" -std=c++20 -I"$include_dir" -x c++ -E -P - | wc -l) -
  $(printf '%s\n' "$unavoidable" | "$compiler" -std=c++20 -x c++ -E -P - | wc -l)))
echo "tuskv/tuskv.h adds $own lines to the standard headers it needs, with $compiler"
if ((own > 2000)); then
  echo "more than 2000: a heavy header has come in"
  status=1
fi
exit "$status"
