#!/usr/bin/env bash
# Sees to the programs that tests start: test/services.sh PROGRAM...
#
# What is missing is installed where that needs no question: as root on Debian.
# Elsewhere the missing ones are named and the script ends well, because tests
# skip what they cannot run; with GATEHOUSE_TEST_REQUIRE_SERVICES set it fails.
set -euo pipefail

declare -A packages=( # where the package is not called as the program
  [cc]="gcc libc6-dev"
  [initdb]="postgresql"
)

missing() {
  local program
  for program; do
    command -v "$program" > /dev/null || echo "$program"
  done
}

# Debian keeps PostgreSQL's programs beside the PATH.
search() { (PATH=$PATH:/usr/sbin:$(printf '%s:' /usr/lib/postgresql/*/bin) && missing "$@"); }

wanted=$(search "$@")
[ -n "$wanted" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null; then
  names=()
  for program in $wanted; do
    read -ra name <<< "${packages[$program]:-$program}"
    names+=("${name[@]}")
  done
  echo "installing ${names[*]}"
  # RUNLEVEL=1 keeps the packages from starting their services: tests start
  # their own, on free ports.
  export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
  apt-get update -qq < /dev/null && apt-get install -y -qq --no-install-recommends "${names[@]}" < /dev/null || true
  wanted=$(search "$@")
fi

[ -n "$wanted" ] || exit 0
echo "missing:" $wanted "(on Debian: apt-get install" $(for p in $wanted; do echo "${packages[$p]:-$p}"; done)")" >&2
[ -z "${GATEHOUSE_TEST_REQUIRE_SERVICES:-}" ]
