#!/bin/bash
# Compiles the Ising program into one static file and makes an image of nothing else. People and `demo` call it:
# build-image.sh IMAGE, or build-image.sh --program FILE for the program alone. It needs no registry and no base image,
# and talks to the engine at $DOCKER_HOST, or at /var/run/docker.sock.
set -euo pipefail

here=$(cd "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../../scripts/engine.sh
. "$here/../../scripts/engine.sh"

usage() {
	say "usage: build-image.sh IMAGE[:TAG] | --program FILE"
	exit 2
}

compile() {
	"${CC:-gcc}" -std=c17 -D_GNU_SOURCE -Wall -Wextra -Werror -O2 -static -s -o "$1" "$here"/*.c -lm ||
		die "the program does not compile (it needs gcc and libc6-dev)"
}

main() {
	case ${1:-} in
	--program) [[ $# == 2 ]] || usage ;;
	'' | -*) usage ;;
	*) [[ $# == 1 ]] || usage ;;
	esac
	if [[ $1 == --program ]]; then
		compile "$2"
		exit
	fi

	local image=$1 engine=${DOCKER_HOST:-unix:///var/run/docker.sock} root
	[[ ${image##*/} == *:* ]] || image+=:latest
	engine_answers "$engine" || die "no Docker Engine answers at $engine"
	root=$(mktemp -d)
	# shellcheck disable=SC2064 # expanded now: the variable is gone when the trap runs
	trap "rm -rf '$root'" EXIT
	compile "$root/ising"
	tar -c -C "$root" --owner=0 --group=0 ising |
		engine_import "$engine" "$image" 'ENTRYPOINT ["/ising"]' 'USER 65534:65534' ||
		die "the engine did not take the image"
	say "made $image: $(stat -c %s "$root/ising") bytes, one file"
}

main "$@"
