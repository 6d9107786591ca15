#!/usr/bin/env bash
# The demonstration that `./dev demo` runs: real data in, reads, scans, expiry, transactions, a kill -9 in the middle of
# writes at full speed, and proof that nothing acknowledged was lost. Fails if anything is not as it says.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=$(realpath "${1:-build/release}") 
tuskv=$build/tuskv
transaction=$build/examples/transaction
iso=/usr/share/iso-codes/json
kill_rounds=3

directory=$(mktemp -d)
writer=
clean_up() {
  [[ -z $writer ]] || kill -KILL "$writer" 2>/dev/null || true
  rm -rf "$directory"
}
trap clean_up EXIT
export TUSKV_STORE=file:$directory/store

fail() {
  echo "demo: $*" >&2
  exit 1
}

# step TITLE FUNCTION: runs it and says how long it took.
step() {
  local start=$EPOCHREALTIME end
  printf '\n== %s\n' "$1"
  "$2"
  end=$EPOCHREALTIME
  printf '   (%d ms)\n' $(((${end/./} - ${start/./}) / 1000))
}

# Shows a command of the tool and runs it.
show() {
  echo "\$ tuskv $*"
  "$tuskv" "$@"
}

import_data() {
  show import "$iso/iso_3166-1.json" --format json --pointer /3166-1 --key alpha_2 --prefix country:
  show import "$iso/iso_3166-2.json" --format json --pointer /3166-2 --key code --prefix region: --value name
  show import "$iso/iso_639-3.json" --format json --pointer /639-3 --key alpha_3 --prefix language: --value name
  show import "$iso/iso_4217.json" --format json --pointer /4217 --key alpha_3 --prefix currency: --value name
  echo "\$ dpkg-query --show | tuskv import --format tsv --prefix package:"
  dpkg-query --show | "$tuskv" import --format tsv --prefix package:
  show count
  local count
  count=$("$tuskv" count)
  ((count > 5000)) || fail "only $count entries were imported"
}

read_data() {
  show get country:BR
  show mget language:que region:FR-75 currency:JPY
  show scan --prefix region:CH- --limit 5
  show scan --prefix package:lib --keys-only --reverse --limit 3
  show count --glob 'package:lib*-dev*'
  [[ $("$tuskv" get currency:JPY) == Yen ]] || fail "currency:JPY is not Yen"
}

set_expiry() {
  show set session:1 secret --ttl 3s  # long enough for a busy machine to start the next
  show get session:1
  show expire country:BR 1h
  show ttl country:BR
  sleep 3
  echo "\$ sleep 3; tuskv get session:1"
  if "$tuskv" get session:1; then fail "session:1 outlived its time"; fi
  echo "[exit 1: it has expired]"
}

run_transactions() {
  echo "\$ examples/transaction    # several threads move money between accounts"
  "$transaction" "$TUSKV_STORE" || fail "money appeared or disappeared"
  show scan --prefix account:
}

# Numbered lines for ever: key, tab, value.
numbers() {
  awk -v round="$1" 'BEGIN { for (i = 1;; ++i) printf "write:%d:%d\tvalue %d of round %d\n", round, i, i, round }'
}

# Starts a writer, kills it after a while, reopens and looks for every write it had acknowledged.
kill_in_the_middle() {
  local round=$1 acknowledged found
  local report=$directory/acknowledged.$round pipe=$directory/pipe.$round
  mkfifo "$pipe"
  "$tuskv" import --format tsv --batch 100 --acknowledge <"$pipe" >"$report" &
  writer=$!
  numbers "$round" >"$pipe" 2>/dev/null &
  until [[ -s $report ]]; do sleep 0.01; done
  sleep "0.$((round * 2))"
  kill -KILL "$writer"
  wait 2>/dev/null || true # for the source, too: its pipe is broken
  writer=
  acknowledged=$(tail -n 1 "$report")
  echo "round $round: killed with SIGKILL after it had acknowledged $acknowledged writes"
  found=$("$tuskv" scan --prefix "write:$round:" |
    awk -F '[:\t]' -v round="$round" -v last="$acknowledged" '
      $4 == "value " $3 " of round " round && $3 <= last { ++found } END { print found + 0 }')
  echo "         reopened: $found of them are there"
  ((found == acknowledged)) || fail "$((acknowledged - found)) acknowledged writes are missing"
}

kill_and_reopen() {
  local round
  for ((round = 1; round <= kill_rounds; ++round)); do kill_in_the_middle "$round"; done
}

check_store() {
  show check
  show stats
}

[[ -d $iso ]] || fail "no $iso: install the package iso-codes"
step "Import real data: countries, regions, languages, currencies and this machine's packages" import_data
step "Read and scan" read_data
step "Let entries expire" set_expiry
step "Transactions" run_transactions
step "Kill it in the middle of writes at full speed, $kill_rounds times, and look for what it had acknowledged" \
  kill_and_reopen
step "Check every byte on the disk" check_store
printf '\nEverything acknowledged was there.\n'
