#!/usr/bin/env bash
# The proof of the README's first two commands: runs them in a root that has nothing but git.
#
#   harness/tests/fresh_root.sh bookworm|trixie|noble [--verify]
#
# The committed HEAD is cloned; what is not committed is not tested. --verify goes on with ./learn verify --yes.
# Needs root and debootstrap, about 3 GB under TMPDIR, and a mirror:
#   INTERLEAVE_MIRROR     the mirror (else the one apt uses here, else the distribution's own)
#   INTERLEAVE_KEYRING    the keys that sign the mirror (else debootstrap's choice)
#   INTERLEAVE_KEEP_ROOT  when set, the root stays
#
# The root gets a mount and a process namespace of its own, as in a container: however this script ends, the kernel
# takes the mounts and the processes back.
set -euo pipefail

FIRST_START_LIMIT=1800 # seconds
VERIFY_LIMIT=7200

main() {
  if [[ ${1-} == --inside ]]; then shift; inside_the_namespaces "$@"; exit; fi

  local suite=${1-} verify=${2-}
  case $suite:$verify in
    bookworm: | trixie: | noble: | bookworm:--verify | trixie:--verify | noble:--verify) ;;
    *) fail "$TEXT_USAGE" ;;
  esac
  ((EUID == 0)) || fail "$TEXT_NEEDS_ROOT"
  command -v debootstrap unshare >/dev/null || fail "$TEXT_NEEDS_DEBOOTSTRAP"

  repository=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd -P)
  [[ -z $(git -C "$repository" status --porcelain) ]] || say "$TEXT_UNCOMMITTED"

  work=$(mktemp -d "${TMPDIR:-/tmp}/interleave-fresh-root.XXXXXX")
  root=$work/root
  trap remove_root EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM

  make_root "$suite"
  put_repository
  unshare --mount --pid --fork --kill-child bash "${BASH_SOURCE[0]}" --inside "$root" "$verify"
  say "$TEXT_PASSED" "$suite"
}

remove_root() {
  if [[ -n ${INTERLEAVE_KEEP_ROOT-} ]]; then say "$TEXT_KEPT" "$root"; return; fi
  rm -rf --one-file-system -- "$work"
}

# --- Outside: the root and the repository in it ----------------------------------------------------------------------

make_root() {
  local suite=$1 mirror components=main script=() keyring=()
  mirror=$(mirror_of "$suite")
  if [[ $suite == noble ]]; then components=main,universe; fi
  if [[ -n ${INTERLEAVE_KEYRING-} ]]; then
    keyring=("--keyring=$INTERLEAVE_KEYRING")
  elif [[ $suite == noble ]]; then
    [[ -e /usr/share/keyrings/ubuntu-archive-keyring.gpg ]] || fail "$TEXT_NEEDS_KEYRING"
    keyring=(--keyring=/usr/share/keyrings/ubuntu-archive-keyring.gpg)
  fi
  # an older debootstrap does not know the newer names; all Ubuntus share one script
  if [[ $suite == noble && ! -e /usr/share/debootstrap/scripts/noble ]]; then script=(gutsy); fi

  say "$TEXT_MAKING_ROOT" "$suite" "$mirror"
  debootstrap --variant=minbase --include=git,ca-certificates --components="$components" "${keyring[@]}" \
    "$suite" "$root" "$mirror" "${script[@]}" >"$work/debootstrap.log" 2>&1 ||
    fail "$TEXT_NO_ROOT" "$(tail -n 20 -- "$work/debootstrap.log")"

  # as the distribution's container images are: with updates among the sources, without package lists
  {
    printf 'deb %s %s %s\n' "$mirror" "$suite" "${components//,/ }"
    printf 'deb %s %s-updates %s\n' "$mirror" "$suite" "${components//,/ }"
  } >"$root/etc/apt/sources.list"
  rm -rf -- "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/archives/*.deb
  printf 'Binary::apt-get::APT::Keep-Downloaded-Packages "true"; // to be counted\n' >"$root/etc/apt/apt.conf.d/99count"

  cp -L /etc/resolv.conf "$root/etc/resolv.conf"
  local proxy=
  if command -v apt-config >/dev/null; then eval "$(apt-config shell proxy Acquire::http::Proxy)"; fi
  if [[ -n $proxy ]]; then
    printf 'Acquire::http::Proxy "%s";\n' "$proxy" >"$root/etc/apt/apt.conf.d/99proxy"
  fi
}

mirror_of() {
  local origin=Debian default=http://deb.debian.org/debian found=
  if [[ $1 == noble ]]; then origin=Ubuntu default=http://archive.ubuntu.com/ubuntu; fi
  if [[ -z ${INTERLEAVE_MIRROR-} ]] && command -v apt-get >/dev/null; then
    # shellcheck disable=SC2016
    found=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
      awk -v origin="$origin" '$1 == origin && $2 !~ /security/ { print $2; exit }') || found=
  fi
  printf '%s' "${INTERLEAVE_MIRROR:-${found:-$default}}"
}

# The README's clone command runs as it stands: git is told that its address is here.
put_repository() {
  local bare=$root/srv/interleave.git readme address
  git clone --quiet --bare --no-hardlinks -- "$repository" "$bare"
  readme=$(git -C "$repository" show HEAD:README.md 2>/dev/null | grep -m 1 -o 'git clone .* && cd [^ `]*') || readme=
  clone_command=${readme:-git clone https://example.org/interleave.git interleave && cd interleave}
  read -r _ _ address _ <<<"$clone_command"
  git config --file "$root/etc/gitconfig" url.file:///srv/interleave.git.insteadOf "$address"
  printf '%s\n' "$clone_command" >"$root/srv/clone-command"
}

# --- Inside: what a person types -------------------------------------------------------------------------------------

inside_the_namespaces() {
  local verify=$2
  root=$1
  mount --bind "$root" "$root"
  mount_kernel_files
  enter_root

  local started clone_command disk_before
  disk_before=$(disk_of_root)
  clone_command=$(<"$root/srv/clone-command")
  started=$SECONDS

  say "$TEXT_COMMAND" "$clone_command"
  run_in_root /root "$clone_command" || fail "$TEXT_FAILED" "$clone_command" "$?"
  local clone=/root/${clone_command##* }

  say "$TEXT_COMMAND" './learn'
  first_start_in "$clone"
  say "$TEXT_FIRST_START" "$((SECONDS - started))" "$(downloaded_packages)" "$(($(disk_of_root) - disk_before))" \
    "$(run_in_root "$clone" 'grep -h ^Fetched build/learn-install.log || true')"

  run_in_root "$clone" 'TIMEFORMAT="./learn list: %R s"; time timeout 60 ./learn list >/dev/null' ||
    fail "$TEXT_FAILED" './learn list' "$?"

  if [[ -n $verify ]]; then
    started=$SECONDS
    say "$TEXT_COMMAND" './learn verify --yes'
    run_in_root "$clone" "timeout $VERIFY_LIMIT ./learn verify --yes" || fail "$TEXT_FAILED" './learn verify --yes' "$?"
    say "$TEXT_VERIFIED" "$((SECONDS - started))"
  fi
}

# Without a terminal ./learn checks the first exercise once. In a fresh clone that is a stub, so the one right end is
# status 1 after the verdict "not done": anything else comes from a toolchain or a harness that does not work here.
first_start_in() {
  local status=0 output=$root/srv/first-start
  run_in_root "$1" "TIMEFORMAT='%R s, of them %U + %S s of processor time'; time timeout $FIRST_START_LIMIT ./learn" |
    tee "$output" || status=$?
  if ((status != 1)); then fail "$TEXT_FAILED" './learn' "$status"; fi
  grep -q 'not done' "$output" || fail "$TEXT_NO_VERDICT"
}

# What a container engine mounts, no more.
mount_kernel_files() {
  local name minor
  mount -t proc proc "$root/proc"
  mount -t tmpfs -o mode=755 tmpfs "$root/dev"
  for name in null:3 zero:5 full:7 random:8 urandom:9; do
    minor=${name#*:} name=${name%:*}
    mknod -m 666 "$root/dev/$name" c 1 "$minor"
  done
  mknod -m 666 "$root/dev/tty" c 5 0
  ln -s /proc/self/fd "$root/dev/fd"
  ln -s fd/0 "$root/dev/stdin"
  ln -s fd/1 "$root/dev/stdout"
  ln -s fd/2 "$root/dev/stderr"
  mkdir "$root/dev/shm" "$root/dev/pts"
  mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
  ln -s pts/ptmx "$root/dev/ptmx"
}

# The root becomes the / of the namespace, and this machine's is gone from it. A chroot would not do: the grader gives
# test programs mounts of their own, and the paths of a chroot do not agree with what /proc then says.
enter_root() {
  mkdir "$root/outside"
  cd -- "$root"
  pivot_root . outside
  cd /
  hash -r
  umount -l /outside
  rmdir /outside
  root=
}

# $1 directory, $2 command; without a terminal, and with nothing of this machine in the environment
run_in_root() {
  # shellcheck disable=SC2016
  env -i HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    bash -c 'cd "$1" && eval "$2"' bash "$1" "$2" </dev/null
}

# number and megabytes
downloaded_packages() {
  find "$root/var/cache/apt/archives" -name '*.deb' -printf '%s\n' |
    awk '{ sum += $1 } END { printf "%d packages, %.1f MB", NR, sum / 1e6 }'
}

disk_of_root() { du -smx / | cut -f 1; }

# --- Talking ---------------------------------------------------------------------------------------------------------

# shellcheck disable=SC2059
say() { local format=$1; shift; printf "$format\n" "$@"; }

fail() { say "$@" >&2; exit 1; }

TEXT_USAGE='Usage: harness/tests/fresh_root.sh bookworm|trixie|noble [--verify]'

TEXT_NEEDS_ROOT='Making a root needs root: start this script with sudo.'

TEXT_NEEDS_DEBOOTSTRAP='debootstrap or unshare is missing: apt-get install debootstrap util-linux, then start again.'

TEXT_NEEDS_KEYRING='The keys of Ubuntu are missing: install ubuntu-keyring, or let INTERLEAVE_KEYRING name its
ubuntu-archive-keyring.gpg, then start again.'

TEXT_UNCOMMITTED='There are uncommitted changes. They are not tested: only HEAD is cloned.'

TEXT_MAKING_ROOT='Making a minimal root of %s from %s ...'

TEXT_NO_ROOT='%s
debootstrap failed: check the mirror (INTERLEAVE_MIRROR) and start again.'

TEXT_COMMAND='
$ %s'

TEXT_FAILED='FAILED: "%s" ended with status %s. Its output above says why; INTERLEAVE_KEEP_ROOT=1 keeps the root to
look into.'

TEXT_NO_VERDICT='FAILED: the verdict on the first stub is not "not done". It stands above; INTERLEAVE_KEEP_ROOT=1 keeps the
root to look into.'

TEXT_FIRST_START='
From the clone to the end of the first start: %s s
Downloaded: %s
Disk, with the build tree and the downloaded packages: %s MB
apt says:
%s'

TEXT_VERIFIED='./learn verify --yes: %s s'

TEXT_PASSED='PASSED: %s'

TEXT_KEPT='The root stays in %s.'

main "$@"
