#!/bin/bash
# Owns a private Docker Engine: one dockerd with a directory, a bridge and a subnet of its own. `demo`, `check` and
# tests use it where no other engine runs, or where one is to be killed. It touches no other engine, no firewall rule,
# and no kernel setting of the host, and leaves nothing behind but the directory that it was given.
#
#   . scripts/engine.sh; engine_start DIR; …; engine_stop DIR          (or: scripts/engine.sh start|stop|show DIR)
#
# engine_start sets ENGINE_URL (for DOCKER_HOST), ENGINE_GATEWAY (the host's address as its containers see it) and
# ENGINE_PID. If it fails it has cleaned up, and ENGINE_REASON says in a line why. DIR/dockerd.log has the details.

engine_lib_dir=$(dirname -- "${BASH_SOURCE[0]}")
# shellcheck source=lib.sh
. "$engine_lib_dir/lib.sh"

# engine_api URL METHOD PATH [CURL OPTION…]: one call to an engine; fails where the answer is no 2xx.
engine_api() {
	local url=$1 method=$2 path=$3
	shift 3
	case $url in
	unix://*) curl -fsS --noproxy '*' --unix-socket "${url#unix://}" -X "$method" "$@" "http://engine$path" ;;
	tcp://*) curl -fsS -X "$method" "$@" "http://${url#tcp://}$path" ;;
	*) return 2 ;;
	esac
}

engine_answers() {
	[[ $(engine_api "$1" GET /_ping --max-time 5 2>/dev/null) == OK ]]
}

# The address by which containers on an engine's default bridge reach this host; fails where that bridge is not on this
# host (Docker Desktop, a remote engine). The engine does not tell it as IPAM configuration for the default bridge.
engine_gateway_of() {
	local bridge
	bridge=$(engine_api "$1" GET /networks/bridge --max-time 10 2>/dev/null | "$(find_python)" -c '
import json, sys
print(json.load(sys.stdin)["Options"]["com.docker.network.bridge.name"])' 2>/dev/null) || return 1
	engine_address_on "$bridge"
}

engine_address_on() {
	local address
	address=$(ip -4 -o addr show dev "$1" 2>/dev/null | awk '{ sub("/.*", "", $4); print $4; exit }')
	[[ -n $address ]] && echo "$address"
}

# A subnet is free if no route, wider or narrower, knows it, the default route apart.
engine_subnet_is_free() {
	! { ip -4 route show table all root "$1"; ip -4 route show table all match "$1"; } 2>/dev/null |
		grep -qv -e '^default' -e '^unreachable' -e '^$'
}

# engine_make_bridge DIR: a bridge with an address in a free /24 of 172.16.0.0/12, whose name is then in DIR/bridge.
engine_make_bridge() {
	local dir=$1 name net
	name="idm$(random_hex 4)"
	# With a hardware address that is set: else a bridge takes the lowest of its ports', and when a container comes or
	# goes, the others go on sending to the old one for half a minute.
	if ! ip link add "$name" address "02:42:$(random_hex 4 | sed 's/../&:/g; s/:$//')" type bridge 2>"$dir/ip.err"; then
		ENGINE_REASON="cannot make a network bridge: $(head -n 1 "$dir/ip.err")"
		return 1
	fi
	echo "$name" >"$dir/bridge"
	for _ in {1..50}; do
		net=172.$((20 + RANDOM % 11)).$((RANDOM % 256))
		engine_subnet_is_free "$net.0/24" || continue
		ip addr add "$net.1/24" dev "$name"
		ip link set "$name" up
		# Two that start at the same moment may both have found it free.
		if [[ $(ip -4 -o addr show | grep -c -F " $net.1/24 ") == 1 ]]; then
			ENGINE_GATEWAY=$net.1
			return 0
		fi
		ip addr flush dev "$name"
	done
	ENGINE_REASON="found no free subnet for the containers"
	return 1
}

engine_delete_bridge() {
	local name
	name=$(cat "$1/bridge" 2>/dev/null) || return 0
	ip link delete "$name" 2>/dev/null || true
	rm -f "$1/bridge"
}

# A namespace of its own in containerd: where the machine has a containerd, dockerd uses that one, and by default the
# namespace of the machine's own engine.
engine_spawn() {
	local dir=$1 name
	name=$(cat "$dir/bridge")
	setsid dockerd --host "unix://$dir/docker.sock" --data-root "$dir/data" --exec-root "$dir/exec" \
		--pidfile "$dir/dockerd.pid" --config-file "$dir/daemon.json" \
		--bridge "$name" --host-gateway-ip "$ENGINE_GATEWAY" \
		--iptables=false --ip6tables=false --ip-masq=false --ip-forward=false \
		--containerd-namespace "$name" --containerd-plugins-namespace "$name-plugins" \
		>"$dir/dockerd.log" 2>&1 </dev/null &
	ENGINE_PID=$!
}

engine_is_up_or_dead() {
	engine_answers "$ENGINE_URL" || ! is_running "$ENGINE_PID"
}

# The line of dockerd's log that says why it ended.
engine_last_words() {
	grep -v -e 'level=info' -e 'level=warning' "$1/dockerd.log" | tail -n 1 | cut -c -300
}

engine_start() {
	local dir=$1
	ENGINE_REASON="" ENGINE_PID="" ENGINE_GATEWAY=""
	mkdir -p "$dir"
	dir=$(cd "$dir" && pwd)
	ENGINE_URL=unix://$dir/docker.sock
	if [[ $(id -u) != 0 ]]; then
		ENGINE_REASON="a Docker Engine of our own needs root"
		return 1
	elif ! have dockerd || ! have ip; then
		ENGINE_REASON="dockerd or ip is not installed (Debian: docker.io, iproute2)"
		return 1
	elif ((${#ENGINE_URL} > 110)); then
		ENGINE_REASON="the path $dir is too long for a Unix socket"
		return 1
	fi
	# An empty file of its own, or dockerd would read the machine's /etc/docker/daemon.json.
	echo '{}' >"$dir/daemon.json"
	if ! engine_make_bridge "$dir"; then
		engine_delete_bridge "$dir"
		return 1
	fi
	engine_spawn "$dir"
	wait_for 60 engine_is_up_or_dead || true
	if ! engine_answers "$ENGINE_URL"; then
		ENGINE_REASON="dockerd did not start: $(engine_last_words "$dir")"
		engine_stop "$dir"
		return 1
	fi
}

# The pid in DIR/dockerd.pid, if it is still that dockerd and no later process with its number.
engine_pid_of() {
	local pid
	pid=$(cat "$1/dockerd.pid" 2>/dev/null) || return 1
	tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q -F -- "--exec-root $1/exec" || return 1
	echo "$pid"
}

# What is still mounted below DIR, innermost first.
engine_unmount() {
	local mount
	awk -v dir="$1/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r | while read -r mount; do
		umount "$mount" 2>/dev/null || umount -l "$mount" 2>/dev/null || true
	done
}

# What a killed dockerd leaves running: the containers (killing a shim would only orphan them), their shims, and its
# containerd. The shims name the bridge as their containerd namespace, whichever containerd they belong to.
engine_kill_orphans() {
	local dir=$1 name pid path command
	name=$(cat "$dir/bridge" 2>/dev/null) || return 0
	for path in "$dir"/exec/containerd/daemon/*/"$name"/*/init.pid /run/containerd/*/"$name"/*/init.pid; do
		[[ -s $path ]] && kill -KILL "$(cat "$path")" 2>/dev/null
	done
	for path in /proc/[0-9]*; do
		pid=${path#/proc/}
		command=$(tr '\0' ' ' 2>/dev/null <"$path/cmdline") || continue
		case $command in
		*containerd-shim*" -namespace $name "* | containerd*" $dir/exec/"*) stop_process "$pid" 3 || true ;;
		esac
	done
}

# The cgroups of its containers, which only a killed dockerd leaves behind.
engine_delete_cgroups() {
	local container
	for container in "$1"/data/containers/*/; do
		[[ -d $container ]] || continue
		find /sys/fs/cgroup -depth -type d -path "*/docker/$(basename "$container")*" -exec rmdir {} + 2>/dev/null || true
	done
}

engine_remove_containers() {
	local id
	engine_api "$1" GET '/containers/json?all=1' --max-time 10 2>/dev/null |
		"$(find_python)" -c 'import json, sys; [print(c["Id"]) for c in json.load(sys.stdin)]' 2>/dev/null |
		while read -r id; do
			engine_api "$1" DELETE "/containers/$id?force=1&v=1" --max-time 20 >/dev/null 2>&1 || true
		done
}

# Containers first: dockerd would give each ten seconds to stop. Networks too: their bridges would outlive it. Safe to
# call twice, and after a start that failed.
engine_stop() {
	local dir=$1 pid
	[[ -d $dir ]] || return 0
	dir=$(cd "$dir" && pwd)
	if pid=$(engine_pid_of "$dir") || { pid=${ENGINE_PID:-}; [[ -n $pid ]] && is_running "$pid"; }; then
		engine_remove_containers "unix://$dir/docker.sock"
		engine_api "unix://$dir/docker.sock" POST /networks/prune --max-time 20 >/dev/null 2>&1 || true
		stop_process "$pid" 20 || say "dockerd did not end by itself; killed"
		wait "$pid" 2>/dev/null || true
	fi
	ENGINE_PID=
	engine_kill_orphans "$dir"
	engine_delete_cgroups "$dir"
	engine_unmount "$dir"
	engine_delete_bridge "$dir"
	rm -rf "$dir/data" "$dir/exec"
}

# engine_import URL IMAGE [CHANGE…] < TAR: makes an image of a root file system, with Dockerfile instructions applied.
# A 200 is no success yet: an error may stand in the stream that follows.
engine_import() {
	local url=$1 image=$2 change answer query
	shift 2
	query="fromSrc=-&repo=${image%:*}&tag=${image##*:}"
	for change in "$@"; do
		query+="&changes=$("$(find_python)" -c 'import sys, urllib.parse as u; print(u.quote(sys.argv[1]))' "$change")"
	done
	answer=$(engine_api "$url" POST "/images/create?$query" -H 'Content-Type: application/x-tar' -T -) || return 1
	if [[ $answer == *'"error"'* ]]; then
		say "$answer"
		return 1
	fi
	engine_api "$url" GET "/images/$image/json" >/dev/null
}

engine_remove_image() {
	engine_api "$1" DELETE "/images/$2?force=1" >/dev/null 2>&1 || true
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
	set -euo pipefail
	case "${1:-} ${2:-}" in
	"start "?*)
		engine_start "$2" || die "$ENGINE_REASON"
		echo "$ENGINE_URL $ENGINE_GATEWAY"
		;;
	"stop "?*) engine_stop "$2" ;;
	"show "?*) engine_answers "unix://$(cd "$2" && pwd)/docker.sock" && echo "unix://$(cd "$2" && pwd)/docker.sock" ;;
	*) die "usage: engine.sh start|stop|show DIR" ;;
	esac
fi
