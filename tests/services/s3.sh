#!/bin/sh
# Servers that speak S3, for tests: real ones, on loopback, in a directory of the caller's, ended by pid.
#
#	s3.sh kinds			which are there: radosgw minio minio4 versitygw moto
#	s3.sh install KIND...		brings what is missing into the cache; radosgw comes with Debian's packages
#	s3.sh start KIND DIR		prints "endpoint URL", "access-key KEY", "secret-key SECRET"; where a server of that kind was
#					stopped in DIR it starts again there, on the same port, with what it stored
#	s3.sh stop DIR [kill]		kill is kill -9 of all of it
#	s3.sh admin DIR ARGUMENT...	radosgw-admin
#
# minio4 is a MinIO of four drives, DIR/d1 to DIR/d4, of which two may be lost. versitygw keeps objects as plain files,
# DIR/data/BUCKET/KEY. moto checks no signature, and is the one with archive classes.
#
# Environment: FFDR_S3_TLS=DIR with public.crt and private.key makes the endpoint https. FFDR_OWNER=PID ends the server when that
# process is gone, however it went. No server runs as root: root runs it as nobody, and DIR becomes that user's.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
# Names of buckets may stand before it: BUCKET.localhost.
domain=localhost
access_key=FFDRKEY
secret_key=FFDRSECRETffdrsecret
start_seconds=30

if [ "$(id -u)" -eq 0 ]; then
	cache=${FFDR_SERVER_CACHE:-/var/cache/ffdr-tests}
	run_as=nobody
else
	cache=${FFDR_SERVER_CACHE:-$HOME/.cache/ffdr-tests}
	run_as=
fi

minio_version=v0.0.0-20260212201848-7aac2a2c5b7c
minio_sum=h1:/qdoYujxF5MBLDMVLeiYJ/7fBa1HikX39Dvzb9Ji8pA=
versitygw_version=v1.8.0
versitygw_sum=h1:au+wI+aybno/STsQiSm35Uu6Q6iK5MWReQxgO6SEMFc=
moto_key=$(sha256sum <"$here/moto.txt" | cut -c 1-12)

# The system's own: whoever runs the servers may not come to one in somebody's home.
python=/usr/bin/python3
[ -x "$python" ] || python=python3

minio=$cache/minio-$minio_version/minio
versitygw=$cache/versitygw-$versitygw_version/versitygw
moto=$cache/moto-$moto_key

# Proxies and authorities of the machine have no business between two ends of its loopback.
unset AWS_CA_BUNDLE CURL_CA_BUNDLE SSL_CERT_FILE REQUESTS_CA_BUNDLE http_proxy https_proxy all_proxy || :

die()
{
	echo "s3.sh: $*" >&2
	exit 1
}

have()
{
	case $1 in
	radosgw)
		for program in ceph-mon ceph-osd ceph radosgw radosgw-admin; do
			command -v "$program" >/dev/null || return 1
		done
		;;
	minio | minio4) [ -x "$minio" ] ;;
	versitygw) [ -x "$versitygw" ] ;;
	moto) [ -e "$moto/complete" ] ;;
	*) die "'$1' is none of radosgw minio minio4 versitygw moto" ;;
	esac
}

install_moto()
{
	mkdir -p "$cache"
	(
		flock 9
		have moto && exit
		"$python" -m venv --clear "$moto" &&
			"$moto/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$here/moto.txt" &&
			chmod -R a+rX "$moto" && touch "$moto/complete"
	) 9>"$cache/moto.lock" >&2 || die "moto could not be installed"
}

install_kind()
{
	have "$1" && return
	case $1 in
	radosgw) die "radosgw comes with Debian's packages ceph-mon ceph-osd radosgw ceph-common" ;;
	minio*) "$here/gobuild.sh" minio github.com/minio/minio "$minio_version" "$minio_sum" >/dev/null ;;
	versitygw)
		"$here/gobuild.sh" versitygw github.com/versity/versitygw "$versitygw_version" "$versitygw_sum" \
			cmd/versitygw >/dev/null
		;;
	moto) install_moto ;;
	esac
}

# As many free ports as asked for, in one line.
free_ports()
{
	python3 -c 'import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(s.getsockname()[1] for s in held))' "$1"
}

# A server in the background, in a session of its own: NAME is that of its pid file and of its log. Its working directory is $dir.
launch()
{
	name=$1
	shift
	if [ -n "$run_as" ]; then
		set -- setpriv --reuid="$run_as" --regid="$(id -gn "$run_as")" --clear-groups -- "$@"
	fi
	(cd "$dir" && exec setsid "$@" </dev/null >>"$dir/$name.log" 2>&1) &
	echo $! >"$dir/$name.pid"
}

alive()
{
	[ -d "/proc/$1" ] && ! grep -q '^State:.*Z' "/proc/$1/status" 2>/dev/null
}

# Until it answers at that URL with something that is no failure to connect.
await()
{
	name=$1 url=$2
	pid=$(cat "$dir/$name.pid")
	left=$((start_seconds * 50))
	until curl -ks -m 5 --noproxy "*" ${3:+"$3"} -o /dev/null "$url"; do
		left=$((left - 1))
		if [ "$left" -eq 0 ] || ! alive "$pid"; then
			tail -n 20 "$dir/$name.log" >&2
			die "$name in $dir did not start"
		fi
		sleep 0.02
	done
}

start_minio()
{
	drives=$1
	mkdir -p "$dir/home" "$dir/nocerts"
	set --
	for n in $(seq "$drives"); do
		mkdir -p "$dir/d$n"
		set -- "$@" "$dir/d$n"
	done
	yield
	# MINIO_CI_CD: several drives may lie on the root file system.
	launch minio env HOME="$dir/home" MINIO_ROOT_USER="$access_key" MINIO_ROOT_PASSWORD="$secret_key" \
		MINIO_DOMAIN="$domain" MINIO_UPDATE=off MINIO_BROWSER=off MINIO_CI_CD=1 \
		MINIO_STORAGE_CLASS_STANDARD="$([ "$drives" -eq 1 ] || echo EC:2)" \
		"$minio" server --address "127.0.0.1:$port" --certs-dir "${FFDR_S3_TLS:-$dir/nocerts}" "$@"
	await minio "$endpoint/minio/health/cluster" -f
}

start_versitygw()
{
	mkdir -p "$dir/data" "$dir/versions" "$dir/iam"
	yield
	set -- --port "127.0.0.1:$port" --keep-alive --quiet --virtual-domain "$domain:$port" --iam-dir "$dir/iam"
	if [ -n "${FFDR_S3_TLS:-}" ]; then
		set -- "$@" --cert "$FFDR_S3_TLS/public.crt" --key "$FFDR_S3_TLS/private.key"
	fi
	launch versitygw env ROOT_ACCESS_KEY="$access_key" ROOT_SECRET_KEY="$secret_key" \
		"$versitygw" "$@" posix --versioning-dir "$dir/versions" "$dir/data"
	await versitygw "$endpoint/"
}

start_moto()
{
	yield
	set -- -H 127.0.0.1 -p "$port"
	if [ -n "${FFDR_S3_TLS:-}" ]; then
		set -- "$@" --ssl-cert "$FFDR_S3_TLS/public.crt" --ssl-key "$FFDR_S3_TLS/private.key"
	fi
	launch moto env HOME="$dir" PYTHONDONTWRITEBYTECODE=1 "$moto/bin/python" "$moto/bin/moto_server" "$@"
	await moto "$endpoint/moto-api/" -f
}

# One monitor, one disk in memory, one gateway; no manager, no keys.
ceph_conf()
{
	frontend="beast endpoint=127.0.0.1:$port"
	if [ -n "${FFDR_S3_TLS:-}" ]; then
		frontend="beast ssl_endpoint=127.0.0.1:$port ssl_certificate=$FFDR_S3_TLS/public.crt ssl_private_key=$FFDR_S3_TLS/private.key"
	fi
	# 'crc' in every mode: the gateway insists on a secure monitor otherwise, and waits for minutes. The intervals of paxos are made
	# for monitors that are far from each other; here they would be all of the start.
	cat <<-CONF
	[global]
	fsid = $(cat /proc/sys/kernel/random/uuid)
	mon host = [v2:127.0.0.1:$mon_port,v1:127.0.0.1:$mon_port_v1]
	auth cluster required = none
	auth service required = none
	auth client required = none
	auth supported = none
	ms mon client mode = crc
	ms cluster mode = crc
	ms service mode = crc
	ms client mode = crc
	ms mon cluster mode = crc
	ms mon service mode = crc
	public network = 127.0.0.0/8
	cluster network = 127.0.0.0/8
	ms bind ipv4 = true
	ms bind ipv6 = false
	osd pool default size = 1
	osd pool default min size = 1
	osd pool default pg num = 8
	osd pool default pgp num = 8
	osd pool default pg autoscale mode = off
	osd crush chooseleaf type = 0
	# A disk that was stopped for longer than its lease to read sometimes never takes a new one: no test stops it for an hour.
	osd pool default read lease ratio = 180
	mon allow pool size one = true
	mon warn on pool no redundancy = false
	mon max pg per osd = 2000
	paxos propose interval = 0.02
	paxos min wait = 0.01
	run dir = $dir
	admin socket =
	log file =
	log to stderr = true
	crash dir = $dir
	keyring = $dir/keyring
	mon cluster log file = $dir/cluster.log
	mon data = $dir/mon
	osd data = $dir/osd
	osd objectstore = memstore
	memstore device bytes = 4294967296
	setuser match path =
	[mon]
	mon data avail crit = 1
	mon data avail warn = 2
	[client.rgw]
	rgw data = $dir/rgw
	rgw frontends = $frontend
	rgw dns name = $domain
	rgw thread pool size = 32
	rgw enable usage log = false
	rgw crypt require ssl = false
	rgw bucket quota ttl = 0
	rgw user quota bucket sync interval = 0
	CONF
}

# A program of Ceph's to its end, quietly.
ceph_run()
{
	timeout 60 "$@" >>"$dir/setup.log" 2>&1 || { tail -n 20 "$dir/setup.log" >&2; die "$* failed"; }
}

# A class other than STANDARD has to be made. The gateway reads that when it starts, and it starts only once: for one that was killed the
# next would wait half a minute whenever it has something to tell to all.
ceph_classes()
{
	for class in STANDARD_IA GLACIER; do
		ceph_run radosgw-admin -n client.rgw zonegroup placement add --rgw-zonegroup default \
			--placement-id default-placement --storage-class "$class"
		ceph_run radosgw-admin -n client.rgw zone placement add --rgw-zone default \
			--placement-id default-placement --storage-class "$class" --data-pool "default.rgw.$class"
	done
}

# Its disk is in memory: what was stopped is gone, so it starts once.
start_radosgw()
{
	[ ! -e "$dir/ceph.conf" ] || die "a radosgw keeps nothing when it is stopped: start it in another directory"
	mkdir -p "$dir/mon" "$dir/osd" "$dir/rgw"
	# shellcheck disable=SC2046 # two numbers
	set -- $(free_ports 2)
	mon_port=$1 mon_port_v1=$2
	ceph_conf >"$dir/ceph.conf"
	yield
	export CEPH_CONF="$dir/ceph.conf"
	fsid=$(sed -n 's/^fsid = //p' "$CEPH_CONF")
	ceph_run monmaptool --create --clobber --fsid "$fsid" \
		--addv a "[v2:127.0.0.1:$mon_port,v1:127.0.0.1:$mon_port_v1]" "$dir/monmap"
	ceph_run ceph-mon --mkfs -i a --monmap "$dir/monmap"
	yield
	launch mon ceph-mon -f -i a
	disk=$(cat /proc/sys/kernel/random/uuid)
	number=$(timeout 60 ceph -c "$CEPH_CONF" osd new "$disk" 2>>"$dir/setup.log") || die "the monitor in $dir does not answer"
	ceph_run ceph-osd -i "$number" --mkfs --osd-uuid "$disk"
	yield
	launch osd ceph-osd -f -i "$number"
	ceph_run radosgw-admin -n client.rgw user create --uid=ffdr --display-name=ffdr \
		--access-key="$access_key" --secret-key="$secret_key"
	ceph_classes
	launch rgw radosgw -f -n client.rgw
	await rgw "$endpoint/"
}

# The directory becomes that of the servers' user.
yield()
{
	[ -z "$run_as" ] || chown -R "$run_as" "$dir"
}

start()
{
	kind=$1
	have "$kind" || die "$kind is not there: s3.sh install $kind"
	mkdir -p "$2"
	# Absolute: versitygw and the logs of Ceph want it.
	dir=$(cd "$2" && pwd)
	[ -f "$dir/port" ] || free_ports 1 >"$dir/port"
	port=$(cat "$dir/port")
	endpoint=http${FFDR_S3_TLS:+s}://127.0.0.1:$port
	# Before anything runs: a start that is broken off leaves nothing behind either.
	if [ -n "${FFDR_OWNER:-}" ]; then
		setsid "$here/s3.sh" outlive "$FFDR_OWNER" "$dir" </dev/null >/dev/null 2>&1 &
		echo $! >"$dir/outlive.pid"
	fi
	trap 'stop "$dir" KILL' EXIT
	case $kind in
	minio) start_minio 1 ;;
	minio4) start_minio 4 ;;
	*) "start_$kind" ;;
	esac
	trap - EXIT
	echo "endpoint $endpoint"
	echo "access-key $access_key"
	echo "secret-key $secret_key"
}

# The process of a pid file, until it is gone.
end_of()
{
	pid=$(cat "$1" 2>/dev/null) || return 0
	kill -"$2" "$pid" 2>/dev/null || :
	left=250
	while alive "$pid"; do
		left=$((left - 1))
		[ "$left" -gt 0 ] || kill -9 "$pid" 2>/dev/null || :
		sleep 0.02
	done
	rm -f "$1"
}

# The gateway before the disk below it: one that waits for its disk would never end. And always at once, for Ceph: it keeps nothing.
stop_all()
{
	signal=$2
	[ ! -e "$1/ceph.conf" ] || signal=KILL
	for name in rgw osd mon minio versitygw moto; do
		end_of "$1/$name.pid" "$signal"
	done
}

stop()
{
	end_of "$1/outlive.pid" KILL
	stop_all "$@"
}

# Ends the server in DIR when its owner is gone.
outlive()
{
	while [ -d "/proc/$1" ]; do
		sleep 1
		[ -d "$2" ] || exit 0
	done
	stop_all "$2" KILL
}

command=${1:-}
[ $# -eq 0 ] || shift
case $command in
kinds)
	for kind in radosgw minio minio4 versitygw moto; do
		if have "$kind"; then echo "$kind"; fi
	done
	;;
install)
	# Each of them, whatever becomes of the others.
	failed=0
	for kind in "$@"; do
		(install_kind "$kind") || failed=1
	done
	exit "$failed"
	;;
start) start "$@" ;;
stop)
	case ${2:-} in
	'') stop "$1" TERM ;;
	kill) stop "$1" KILL ;;
	*) die "'$2' is not known, expected nothing or kill" ;;
	esac
	;;
admin)
	CEPH_CONF="$1/ceph.conf"
	export CEPH_CONF
	shift
	exec radosgw-admin -n client.rgw "$@"
	;;
outlive) outlive "$@" ;;
*)
	die "'$command' is not known, expected kinds, install, start, stop, admin"
	;;
esac
