#!/usr/bin/env bash
# Compares gatehouse with a bare httputil.ReverseProxy: test/bench/run.sh
#
# One process each, the same load, rounds in turn. The figure is the CPU time of
# the proxy's process for one request, from /proc: it suffers less from other
# work on the machine than latency does, and its minimum over the rounds less
# than its mean. Needs Linux and Go. See README.md for what may be set.
set -euo pipefail
cd "$(dirname "$0")"

ROUNDS=${ROUNDS:-5} SECONDS_EACH=${SECONDS_EACH:-4} CONNECTIONS=${CONNECTIONS:-32} CORES=${CORES:-1}
ulimit -n "$(ulimit -Hn)" # a connection takes two files of the gateway
cache=$PWD/.cache
mkdir -p "$cache"
go build -trimpath -o "$cache/" ../.. ./floor ./load ./upstream

head -c 48 /dev/urandom | base64 > "$cache/hs256.secret"
head -c 32 /dev/urandom | base64 | tr -dc 'A-Za-z0-9' > "$cache/api.key"
openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt > "$cache/es256.key"
chmod 600 "$cache/hs256.secret" "$cache/api.key" "$cache/es256.key"
BENCH_KEY_SHA256=$(sha256sum < "$cache/api.key" | cut -d ' ' -f 1)
export BENCH_KEY_SHA256
declare -A token=([bench]=main [hs256]=sliding-hs256 [es256]=sliding-es256) # of which issuer, by path
for path in "${!token[@]}"; do
  "$cache/gatehouse" token mint --config gateway.yaml --issuer "${token[$path]}" --subject 2f6b1c9e-7d54-4c1f-9b0a-000000000001 \
    --scope bench:read --claim email=firstname.lastname@customers.example.com --expires-in 12h > "$cache/$path.token"
done

# The proxies get one core and everything else the other, where there are two.
proxy_core=() other_core=()
if [ "$CORES" = 1 ] && command -v taskset > /dev/null && [ "$(nproc)" -gt 1 ]; then
  proxy_core=(taskset -c 0) other_core=(taskset -c 1)
fi

pids=()
trap '[ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2> /dev/null || true' EXIT
start() { # start NAME PORT COMMAND...: its process id goes to the variable NAME
  local name=$1 port=$2
  shift 2
  GOMAXPROCS=$CORES "$@" > /dev/null 2> "$cache/$name.log" &
  pids+=($!)
  printf -v "$name" %s $!
  for _ in $(seq 100); do
    (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null && return
    sleep 0.05
  done
  echo "$name does not listen on $port:" >&2
  tail -5 "$cache/$name.log" >&2
  return 1
}
start upstream 18091 "${other_core[@]}" "$cache/upstream" -listen 127.0.0.1:18091
load() { # load PORT PATH LASTING: a line of JSON
  GOMAXPROCS=1 "${other_core[@]}" "$cache/load" -target "127.0.0.1:$1" -path "/$2/ping" -for "$3" -connections "$CONNECTIONS" \
    -api-key-file "$cache/api.key" -token-file "$cache/$2.token"
}
start floor 18090 "${proxy_core[@]}" "$cache/floor" -listen 127.0.0.1:18090
start gatehouse 18092 env GATEHOUSE_LOG_ACCESS=false "${proxy_core[@]}" "$cache/gatehouse" serve --config gateway.yaml
start logging 18094 env GATEHOUSE_LOG_ACCESS=true GATEHOUSE_SERVER_LISTEN=127.0.0.1:18094 GATEHOUSE_ADMIN_LISTEN=127.0.0.1:18095 \
  "${proxy_core[@]}" "$cache/gatehouse" serve --config gateway.yaml

ticks() { # user and system time of a process, in clock ticks (proc_pid_stat(5))
  local stat
  stat=$(< "/proc/$1/stat")
  read -ra stat <<< "${stat##*) }"
  echo $((stat[11] + stat[12]))
}
tick_ns=$((1000000000 / $(getconf CLK_TCK)))

round() { # round NAME LASTING: nanoseconds of CPU for one request
  local process port path pid before out requests
  read -r process port path <<< "${job[$1]}"
  pid=${!process}
  before=$(ticks "$pid")
  out=$(load "$port" "$path" "$2")
  requests=${out#*:} requests=${requests%%,*}
  case $out in *'"not_200":0}') ;; *)
    echo "$1: $out" >&2
    return 1
    ;;
  esac
  echo $((($(ticks "$pid") - before) * tick_ns / requests))
}

names=(floor gatehouse logging hs256 es256)
declare -A job=( # process, port and path
  [floor]="floor 18090 bench" [gatehouse]="gatehouse 18092 bench" [logging]="logging 18094 bench"
  [hs256]="gatehouse 18092 hs256" [es256]="gatehouse 18092 es256"
) least=() all=()
for name in "${names[@]}"; do
  round "$name" 1s > /dev/null # warm up
done
for _ in $(seq "$ROUNDS"); do
  for name in "${names[@]}"; do
    ns=$(round "$name" "${SECONDS_EACH}s")
    all[$name]+=" $((ns / 100))"
    [ -n "${least[$name]:-}" ] && [ "${least[$name]}" -le "$ns" ] || least[$name]=$ns
  done
done

declare -A title=(
  [floor]="bare ReverseProxy" [gatehouse]="gatehouse" [logging]="gatehouse, access log"
  [hs256]="gatehouse, renewing HS256" [es256]="gatehouse, renewing ES256"
)
printf '%-26s %12s %8s   %s\n' proxy 'us/request' ratio 'all rounds, tenths of a us'
for name in "${names[@]}"; do
  awk -v title="${title[$name]}" -v ns="${least[$name]}" -v floor="${least[floor]}" -v all="${all[$name]}" \
    'BEGIN {printf "%-26s %12.1f %8.3f  %s\n", title, ns / 1000, ns / floor, all}'
done
