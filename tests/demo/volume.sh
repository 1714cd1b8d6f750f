#!/bin/sh
# The second part of the demonstration: a few hundred megabytes of mixed files go to three tiers; then one
# tier is damaged and another is lost, and what comes back is compared with what there was by find,
# sha256sum and getfattr, which know nothing of ffdr.
#
# FFDR names the program, $1 an empty directory. DEMO_MB is the amount (default 300).
set -eu

ffdr=${FFDR:?names the program}
top=$1
mb=${DEMO_MB:-300}
# shellcheck source=tests/demo/lib.sh
. "$(dirname "$0")/lib.sh"

make_files()
{
	src=$top/data
	mkdir -p "$src/photos" "$src/logs" "$src/many" "$src/odd" "$src/empty"
	# A third does not compress, a third does, the rest is small files, holes and oddities.
	for i in 1 2 3 4; do
		head -c $((mb * 1048576 / 12)) /dev/urandom >"$src/photos/$i.raw"
	done
	seq 1 $((mb * 16000)) | awk '{ print "2026-11-21T02:00:00Z request", $1, "took", $1 % 977, "ms" }' |
		head -c $((mb * 1048576 / 3)) >"$src/logs/access.log"
	head -c $((mb * 1048576 / 4)) /dev/urandom | split -b 100k -a 4 - "$src/many/f"
	truncate -s 64M "$src/odd/a-hole"
	printf 'end' >>"$src/odd/a-hole"
	ln "$src/photos/1.raw" "$src/odd/second-name-of-a-photo"
	ln -s ../photos/2.raw "$src/odd/link"
	ln -s /nowhere "$src/odd/dangling"
	mkfifo "$src/odd/fifo"
	: >"$src/odd/empty-file"
	printf 'x' >"$src/odd/$(printf 'a name\nof two lines \377')"
	chmod 4750 "$src/odd/empty-file"
	touch -d '1999-12-31 23:59:59.123456789' "$src/logs/access.log" "$src/empty"
	setfattr -n user.comment -v 'kept, too' "$src/photos/1.raw" 2>/dev/null || :
	echo "$(find "$src" | wc -l) entries, $(du -sm "$src" | cut -f 1) MB on disk"
}

configure()
{
	mkdir "$top/tier"
	cat >"$top/ffdr.ini" <<INI
[ffdr]
state = $top/state
[keys]
kek     = file:$top/kek
signing = file:$top/signing.pem
escrow  = $top/escrow.pem
[tier local]
url = file://$top/tier/local
[tier regional]
url = file://$top/tier/regional
[tier cross-region]
url = file://$top/tier/cross-region
[volume data]
path  = $top/data
tiers = local, regional, cross-region
INI
	FFDR_CONFIG=$top/ffdr.ini
	export FFDR_CONFIG
	"$ffdr" init || return 1
	echo "local, regional, cross-region; a new repository"
}

change_files()
{
	seq 1 1000 >>"$top/data/logs/access.log"
	printf 'twelve bytes' | dd of="$top/data/photos/3.raw" bs=1 seek=3000000 conv=notrunc
	mv "$top/data/many" "$top/data/moved"
	rm "$top/data/moved/faaaa"
	echo "a log grew, a photo changed in one place, a directory moved, a file went"
}

# What there is, in words that cmp can compare: names, kinds, modes, owners, times, link counts,
# contents, attributes.
describe()
(
	cd "$1"
	find . ! -type d -printf '%P|%y|%m|%U|%G|%s|%T@|%n|%l\0' | sort -z
	find . -type d -printf '%P|%y|%m|%U|%G|%T@\0' | sort -z
	find . -type f -print0 | sort -z | xargs -0 sha256sum -z
	# The mark by which ffdr knows its own restores is the one thing that a restore adds.
	getfattr -R -h -d -m - -e hex . 2>/dev/null | grep -v '^user.ffdr.restored=' |
		awk 'BEGIN { RS = ""; FS = "\n" } NF > 1 { gsub("\n", " "); print }' | sort
)

must_equal()
{
	describe "$top/data" >"$top/before"
	describe "$1" >"$top/after"
	cmp "$top/before" "$top/after" || return 1
	echo "$(tr -cd '\0' <"$top/before" | wc -c) facts compared, all equal"
}

flip_byte()
{
	chmod u+w "$1"
	at=$(($(stat -c %s "$1") / 2))
	old=$(od -An -tu1 -j "$at" -N 1 "$1" | tr -d ' ')
	# shellcheck disable=SC2059 # the format is the byte
	printf "\\$(printf %03o $((old ^ 255)))" | dd of="$1" bs=1 seek="$at" conv=notrunc 2>/dev/null
}

damage()
{
	find "$top/tier/local/pack" -type f | sort | awk 'NR % 4 == 1' >"$top/damaged"
	while read -r pack; do
		flip_byte "$pack"
	done <"$top/damaged"
	echo "one byte turned over in each of $(wc -l <"$top/damaged") packs"
}

lose()
{
	rm -rf "$top/tier/$1"
	echo "rm -rf $1"
}

echo "a volume, one tier damaged and two lost"
echo
step "make files" make_files
step "configure three tiers, make keys" configure
step "first backup, to local" "$ffdr" backup vol.data
step "copy to regional" "$ffdr" copy --to regional
step "copy to cross-region" "$ffdr" copy --to cross-region
step "the files change" change_files
step "second backup" "$ffdr" backup vol.data
step "copy to regional" "$ffdr" copy --to regional
step "copy to cross-region" "$ffdr" copy --to cross-region
step "restore from local" "$ffdr" restore vol.data --to "$top/one"
step "compare" must_equal "$top/one"
step "damage local" damage
step "verify finds it (exit code 4)" must_end 4 "$ffdr" verify --level 2 --tier local
step "lose regional" lose regional
step "restore from what is left" must_end 3 "$ffdr" restore vol.data --to "$top/two"
step "compare" must_equal "$top/two"
step "verify --repair mends local" must_end 3 "$ffdr" verify --level 2 --tier local --repair
step "lose cross-region, too" lose cross-region
step "restore from the mended tier" must_end 3 "$ffdr" restore vol.data --to "$top/three"
step "compare" must_equal "$top/three"
echo
echo "A damaged tier and two lost ones, and every restore was byte-identical."
