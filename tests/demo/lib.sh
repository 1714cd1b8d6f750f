# shellcheck shell=sh
# What both parts of the demonstration need. The caller has set top (a directory of its own) and ffdr.

# shellcheck disable=SC2154 # set by the caller
log=$top/log

now_ms()
{
	echo $(($(date +%s%N) / 1000000))
}

# seconds MS: with one digit behind the point
seconds()
{
	echo "$(($1 / 1000)).$(($1 % 1000 / 100))"
}

fail()
{
	printf '\nthe demonstration failed: %s\n' "$1" >&2
	sed 's/^/  /' "$log" >&2 2>/dev/null || :
	exit 1
}

# step "what happens" command...: runs it, shows how long it took and its last line. Behind `||` the
# shell forgets -e: what must hold in a function that is called here ends with `|| return 1`.
step()
{
	title=$1
	shift
	printf '%-46s' "$title"
	begun=$(now_ms)
	"$@" >"$log" 2>&1 || fail "'$*' ended with $?"
	printf '%6s s  %s\n' "$(seconds $(($(now_ms) - begun)))" "$(last_line)"
}

# Lines that begin with a blank only explain the one above them.
last_line()
{
	grep -v '^ ' "$log" | tail -n 1 | sed "s|$top/||g" | cut -c 1-120
}

# must_end CODE command...: for what has to fail.
must_end()
{
	wanted=$1
	shift
	code=0
	"$@" || code=$?
	[ "$code" -eq "$wanted" ]
}
