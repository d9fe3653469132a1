# shellcheck shell=bash
# Owns the small things that the project's own shell programs share: messages, waiting, free ports, secrets. `demo`,
# `check` and the scripts beside this file source it. It starts nothing and changes nothing by being sourced.

# What people read, on stderr, so that a program's output stays its own.
say() {
	printf '%s\n' "$*" >&2
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# A headline between the steps of a long run.
headline() {
	if [[ -t 2 ]]; then
		printf '\n\033[1m%s\033[0m\n' "$*" >&2
	else
		printf '\n== %s\n' "$*" >&2
	fi
}

have() {
	command -v "$1" >/dev/null 2>&1
}

# The system's own Python where there is one: pyenv or conda may come first in PATH, with other packages and a slow
# start.
find_python() {
	if [[ -x /usr/bin/python3 ]]; then
		echo /usr/bin/python3
	else
		command -v python3
	fi
}

# json_get FILE KEY…: prints what stands there in a JSON file; numbers are positions in arrays. null prints nothing,
# and what is not there fails.
json_get() {
	"$(find_python)" -c '
import json, sys
value = json.load(open(sys.argv[1]))
for key in sys.argv[2:]:
    value = value[int(key) if isinstance(value, list) else key]
if value is not None:
    print(value if isinstance(value, str) else json.dumps(value))' "$@"
}

# random_hex BYTES
random_hex() {
	od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'
}

# A TCP port of 127.0.0.1 that nothing used just now. Another program may take it before the caller does: callers that
# start a server look whether it came up.
free_port() {
	"$(find_python)" -c '
import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# Milliseconds since some fixed moment, unaffected by clock changes.
now_ms() {
	local up
	read -r up _ </proc/uptime
	echo "${up/./}0"
}

# wait_for SECONDS COMMAND…: until the command succeeds. Fails when the time is over.
wait_for() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < deadline)) || return 1
		sleep 0.1
	done
}

is_running() {
	! is_gone "$1"
}

# stop_process PID SECONDS: SIGTERM, and SIGKILL when it is not gone in time, in which case it fails. A child's status
# stays there to be waited for.
stop_process() {
	kill -TERM "$1" 2>/dev/null || return 0
	if wait_for "$2" is_gone "$1"; then
		return 0
	fi
	kill -KILL "$1" 2>/dev/null || true
	wait_for 5 is_gone "$1" || true
	return 1
}

# Ended, or ended and not yet waited for.
is_gone() {
	local state
	state=$(ps -o stat= -p "$1" 2>/dev/null) || return 0
	[[ -z $state || $state == Z* ]]
}

# show_log FILE: its end, indented, for a failure's report.
show_log() {
	[[ -s $1 ]] || return 0
	say "--- end of ${1##*/}:"
	tail -n 25 "$1" | cut -c -300 | sed 's/^/    /' >&2
}

# CPUs that this process may use, one per line.
own_cpus() {
	local list
	list=$(taskset -cp $$)
	tr ',' '\n' <<<"${list##*: }" | while IFS=- read -r first last; do
		seq "$first" "${last:-$first}"
	done
}
