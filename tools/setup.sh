#!/bin/sh
# SPDX-License-Identifier: MIT
# Usage: sh tools/setup.sh GROUP...      or  . tools/setup.sh
#
# Installs the Debian packages that a part of the work needs, after saying which
# and how much is downloaded; silent when all are there. Groups: build (library
# and command), test (their tests), vm (the module and everything in a virtual
# machine), userland (kernels of a newer Debian there), kernel (kernels built there), analysis (sparse and
# checkpatch), chroot (the test on a fresh system), aarch64 (the cross build and
# its tests), dkms (what tests/vm/dkms puts into its virtual machine).
#
# A script that sources this gets need_packages GROUP..., fetch_packages DIR GROUP...,
# need_lists, debian_sources and as_root.

setup_packages() {
	case $1 in
	build) echo gcc make libc6-dev pkg-config liburing-dev libnuma-dev ;;
	test) echo libcmocka-dev strace diffutils procps valgrind ;;
	# gcc-12 is what the kernel was built with; libelf1 and libssl3 are for the
	# programs in its kbuild package
	vm) echo make libc6-dev gcc-12 libelf1 libssl3 qemu-system-x86 busybox-static \
		cpio kmod xz-utils procps dmsetup e2fsprogs xfsprogs ;;
	userland) echo debootstrap zstd ;;
	# a kernel from its source
	kernel) echo gcc make flex bison bc libelf-dev libssl-dev xz-utils binutils ;;
	analysis) echo sparse perl xz-utils g++ shellcheck groff-base ;;
	model) echo spin gcc libc6-dev ;;
	chroot) echo debootstrap git ;;
	figures) echo valgrind ;;
	peers) echo g++ make libboost-context-dev libboost-fiber-dev libboost-dev \
		libuv1-dev ;;
	dkms) echo dkms udev ;;
	# the libraries for it come from tests/aarch64
	aarch64) echo gcc-aarch64-linux-gnu libc6-dev-arm64-cross make qemu-user ;;
	*) return 1 ;;
	esac
}

setup_die() { echo "tools/setup.sh: $1" >&2; exit "${2:-1}"; }

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		setup_die "needs root, or sudo, for: $*"
	fi
}

# apt_quietly COMMAND...: as root, its output shown only when it fails
apt_quietly() {
	setup_log=$(mktemp)
	if ! as_root env DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@" \
		</dev/null >"$setup_log" 2>&1; then
		tail -n 15 "$setup_log" >&2
		rm -f "$setup_log"
		return 1
	fi
	rm -f "$setup_log"
}

# need_lists: apt's package lists are there and at most two days old. The age is
# that of the directories, which apt writes to in every update; the files in them
# carry the archive's dates.
need_lists() {
	setup_lists=/var/lib/apt/lists
	if [ -z "$(find $setup_lists -name '*Packages*' 2>/dev/null | head -n 1)" ] ||
		[ -z "$(find $setup_lists $setup_lists/partial -maxdepth 0 \
			-mtime -2 2>/dev/null)" ]; then
		echo "Reading the package lists: apt-get update"
		apt_quietly apt-get -q update ||
			setup_die "apt-get update failed, see above"
	fi
}

# debian_sources: where this machine gets Debian's main archive from, as lines of
# sources.list, the plain release first; fails where apt has none
debian_sources() {
	# shellcheck disable=SC2016 # apt-get's own names
	setup_sources=$(apt-get indextargets \
		--format '$(REPO_URI) $(CODENAME) $(COMPONENT) $(ORIGIN)' \
		'Created-By: Packages' | awk '$2 ~ /^bookworm/ && $3 == "main" && $4 == "Debian" {
			print "deb", $1, $2, $3 }' | sort -u -k 3)
	case $setup_sources in
	*' bookworm '*) echo "$setup_sources" ;;
	*) setup_die "apt has no source for Debian bookworm, main" ;;
	esac
}

# setup_lacking GROUP...: what of them is not installed, in setup_missing
setup_lacking() {
	setup_known='build test vm userland kernel analysis chroot aarch64 peers figures dkms'
	[ $# -gt 0 ] || setup_die "needs a group: $setup_known" 2
	setup_all=''
	for setup_group; do
		setup_all="$setup_all $(setup_packages "$setup_group")" ||
			setup_die "unknown group $setup_group, known: $setup_known" 2
	done
	command -v apt-get >/dev/null ||
		setup_die "needs a Debian system (no apt-get here); install by hand:$setup_all"
	setup_missing=''
	for setup_name in $setup_all; do
		case " $setup_missing " in *" $setup_name "*) continue ;; esac
		case $(dpkg-query -W -f '${Status}' "$setup_name" 2>/dev/null) in
		*' ok installed') ;;
		*) setup_missing="$setup_missing $setup_name" ;;
		esac
	done
}

# fetch_packages DIR GROUP...: puts into DIR what this machine lacks of them, with
# what that needs; none of it is installed
fetch_packages() {
	setup_dir=$1
	shift
	setup_lacking "$@"
	mkdir -p "$setup_dir/partial"
	[ -n "$setup_missing" ] || return 0
	need_lists
	# what has been replaced in the archive goes
	apt_quietly apt-get -qq autoclean -o "Dir::Cache::archives=$setup_dir" || :
	# shellcheck disable=SC2086 # a list of names
	apt_quietly apt-get install -qq -y --no-install-recommends --download-only \
		-o "Dir::Cache::archives=$setup_dir" -o APT::Sandbox::User=root \
		$setup_missing || setup_die "apt-get cannot download, see above"
}

need_packages() {
	setup_lacking "$@"
	[ -n "$setup_missing" ] || return 0
	need_lists
	# shellcheck disable=SC2086 # a list of names
	setup_sizes=$(LC_ALL=C apt-get install -qq --no-install-recommends \
		--print-uris $setup_missing) ||
		setup_die "apt cannot install:$setup_missing"
	echo "Installing:$setup_missing"
	echo "$setup_sizes" | awk '{ n += $3 }
		END { printf "With what these need, %.0f MB to download\n", n / 1e6 }'
	# shellcheck disable=SC2086
	apt_quietly apt-get install -qq -y --no-install-recommends $setup_missing ||
		setup_die "apt-get install failed, see above"
}

case ${0##*/} in
setup.sh)
	set -eu
	need_packages "$@"
	;;
esac
