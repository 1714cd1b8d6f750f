#!/bin/sh
# Builds a program for tests that comes as a Go module, once, into the cache.
#
#	gobuild.sh NAME MODULE VERSION SUM [FOLDER]
#
# NAME is what it is called there, FOLDER where its main package lies in the module. SUM is the module's checksum as go.sum writes
# it, made of the SHA-256 of every file in it, and the module is built by its own go.sum: so that one sum pins the source of every
# module that takes part. Prints the program's path. Building needs Go, minutes of processor time and, while it lasts, some GB.
set -eu

name=$1 module=$2 version=$3 sum=$4 folder=${5:-.}

if [ "$(id -u)" -eq 0 ]; then
	# The home of root is closed to the servers' user.
	cache=${FFDR_SERVER_CACHE:-/var/cache/ffdr-tests}
else
	cache=${FFDR_SERVER_CACHE:-$HOME/.cache/ffdr-tests}
fi
program=$cache/$name-$version/$name

die()
{
	echo "gobuild.sh: $*" >&2
	exit 1
}

if [ -x "$program" ]; then
	echo "$program"
	exit 0
fi
command -v go >/dev/null || die "$name is built with Go, which is not installed"

mkdir -p "$cache"
# Two at once: the second waits, and has what the first one built.
exec 9>"$cache/$name.lock"
flock 9
if [ -x "$program" ]; then
	echo "$program"
	exit 0
fi

work=$(mktemp -d "$cache/.go-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
# Nothing is left but the program, and nobody's own modules are touched. -modcacherw: else they could not be removed.
export GOMODCACHE="$work/modules" GOCACHE="$work/objects" GOTMPDIR="$work" GOFLAGS='-modcacherw -buildvcs=false'
go mod download -json "$module@$version" >"$work/module" 2>"$work/log" ||
	{ cat "$work/module" "$work/log" >&2; die "$name could not be fetched"; }
grep -qF "\"Sum\": \"$sum\"" "$work/module" || die "$module $version is not what its checksum says: $(grep '"Sum"' "$work/module")"
source=$(sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p' "$work/module")
echo "gobuild.sh: building $name, which takes minutes" >&2
(cd "$source" && nice go build -mod=readonly -trimpath -ldflags '-s -w' -o "$work/$name" "./$folder") >"$work/log" 2>&1 9>&- ||
	{ tail -n 20 "$work/log" >&2; die "$name could not be built"; }
mkdir -p "${program%/*}"
mv "$work/$name" "$program"
chmod -R a+rX "${program%/*}"
echo "$program"
