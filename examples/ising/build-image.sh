#!/bin/bash
# Compiles the Ising worker into one static program and makes an image of nothing else. People and `demo` call it:
# build-image.sh IMAGE, or build-image.sh --worker FILE for the program alone. It needs no registry and no base image,
# and talks to the engine at $DOCKER_HOST, or at /var/run/docker.sock.
set -euo pipefail

here=$(cd "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../../scripts/engine.sh
. "$here/../../scripts/engine.sh"

usage() {
	say "usage: build-image.sh IMAGE[:TAG] | --worker FILE"
	exit 2
}

# The linker warns that a static getaddrinfo may want shared libraries for exotic name services. In the image there are
# none to configure, and /etc/hosts and DNS are built in: so its text is shown only where something failed.
compile() {
	local log
	log=$(mktemp)
	if ! "${CC:-gcc}" -std=c17 -D_GNU_SOURCE -Wall -Wextra -Werror -O2 -static -s -o "$1" "$here"/*.c \
		-lhiredis -ljansson -lm >"$log" 2>&1; then
		cat "$log" >&2
		rm -f "$log"
		die "the worker does not compile (it needs gcc, libhiredis-dev and libjansson-dev)"
	fi
	rm -f "$log"
}

main() {
	case ${1:-} in
	--worker) [[ $# == 2 ]] || usage ;;
	'' | -*) usage ;;
	*) [[ $# == 1 ]] || usage ;;
	esac
	if [[ $1 == --worker ]]; then
		compile "$2"
		exit
	fi

	local image=$1 engine=${DOCKER_HOST:-unix:///var/run/docker.sock} root
	[[ ${image##*/} == *:* ]] || image+=:latest
	engine_answers "$engine" || die "no Docker Engine answers at $engine"
	root=$(mktemp -d)
	# shellcheck disable=SC2064 # expanded now: the variable is gone when the trap runs
	trap "rm -rf '$root'" EXIT
	compile "$root/worker"
	tar -c -C "$root" --owner=0 --group=0 worker |
		engine_import "$engine" "$image" 'ENTRYPOINT ["/worker"]' 'USER 65534:65534' ||
		die "the engine did not take the image"
	say "made $image: $(stat -c %s "$root/worker") bytes, one file"
}

main "$@"
