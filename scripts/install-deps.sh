#!/bin/bash
# Owns which Debian packages the project needs. `demo`, `check` and people call it: install-deps.sh [SET]…, with the
# sets build, run, demo and test; all of them if none is named. It installs only what is missing and starts no service.
set -euo pipefail

# shellcheck source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# "a|b" is the first of several names that this release knows.
declare -A packages=(
	[build]="build-essential pkg-config meson ninja-build libuv1-dev libmicrohttpd-dev libgnutls28-dev libcurl4-openssl-dev
		libhiredis-dev libssl-dev libjansson-dev libsqlite3-dev libtomlplusplus-dev uthash-dev"
	[run]="docker.io iptables iproute2 redis-server redis-tools curl procps util-linux"
	[demo]="gnuplot-nox python3 fonts-dejavu-core"
	[test]="clang clang-tidy dbus docker-registry groff-base libclang-rt-14-dev|libclang-rt-dev libcmocka-dev
		nginx-light|nginx nodejs npm openssl parallel python3 python3-pytest python3-pytest-timeout python3-pytest-xdist python3-redis
		busybox-static netpbm spin sqlite3 systemd systemd-container valgrind zsh"
)

usage() {
	cat <<-EOF
	usage: scripts/install-deps.sh [--list] [build|run|demo|test]…

	Installs the Debian packages that are missing for building, running, the demo, or the tests; for all of them
	if nothing is named. Needs root or sudo only if something is missing. --list only tells what is missing.
	EOF
}

# A nodejs that is not Debian's has npm in itself, and goes with no package of that name.
is_installed() {
	[[ $1 != npm ]] || ! have npm || return 0
	[[ $(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

is_known() {
	[[ $(apt-cache policy "$1" 2>/dev/null) == *"Candidate: "[0-9]* ]]
}

# Prints what is missing of the sets; of alternatives nothing if one is installed, else all names.
list_missing() {
	local set package name
	for set; do
		for package in ${packages[$set]}; do
			for name in ${package//|/ }; do
				is_installed "$name" && continue 2
			done
			echo "$package"
		done
	done | sort -u
}

choose_names() {
	local package name
	for package; do
		for name in ${package//|/ }; do
			if is_known "$name"; then
				echo "$name"
				continue 2
			fi
		done
		die "this release has no package ${package//|/ or }; install what stands for it by hand"
	done
}

# Debian's packages start their daemons when they are installed: nobody asked for a redis-server on port 6379. Exit
# status 101 is "not allowed". A policy of the machine's own stays, and decides.
policy=/usr/sbin/policy-rc.d
forbid_services() {
	[[ -e $policy ]] && return
	local draft
	draft=$(mktemp)
	printf '#!/bin/sh\n# idm-gridcore install-deps %s\nexit 101\n' "$$" >"$draft"
	chmod 755 "$draft"
	# A link is made by one of two that run at once, and by neither over a file that is there.
	"${as_root[@]}" cp "$draft" "$policy.$$"
	"${as_root[@]}" ln "$policy.$$" "$policy" 2>/dev/null || true
	"${as_root[@]}" rm -f "$policy.$$"
	rm -f "$draft"
}

# Only the one that this very run made.
allow_services() {
	grep -qs "^# idm-gridcore install-deps $$\$" "$policy" && "${as_root[@]}" rm -f "$policy"
	return 0
}

apt_get() {
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -q "$@" >&2 9<&-
}

install_packages() {
	local names
	trap allow_services EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	apt_get update || say "apt-get update failed; going on with the package lists that are there"
	names=$(choose_names "$@")
	forbid_services
	# shellcheck disable=SC2086 # one word per package
	apt_get install -y --no-install-recommends $names
}

main() {
	local list_only='' set missing
	local -a sets=()
	for set; do
		case $set in
		build | run | demo | test) sets+=("$set") ;;
		--list) list_only=1 ;;
		-h | --help) usage && exit ;;
		*) usage >&2 && exit 2 ;;
		esac
	done
	((${#sets[@]})) || sets=(build run demo test)
	have apt-get ||
		die "this machine has no apt-get; install by hand what stands for: $(list_missing "${sets[@]}" | xargs)"

	# One at a time: the second finds everything installed, and no policy file is taken away under anybody's hands. A
	# directory can be locked too, and this one is on every Debian.
	exec 9</var/lib/dpkg
	flock -w 900 9 || die "another install-deps.sh has been running for 15 minutes"

	missing=$(list_missing "${sets[@]}")
	[[ -n $missing ]] || exit 0
	if [[ -n $list_only ]]; then
		echo "$missing"
		exit
	fi

	as_root=()
	if [[ $(id -u) != 0 ]]; then
		have sudo || die "missing packages: $(xargs <<<"$missing"). Become root and run this again (there is no sudo)"
		as_root=(sudo)
	fi
	say "installing: $(xargs <<<"$missing")"
	# shellcheck disable=SC2086 # one word per package
	install_packages $missing
}

main "$@"
