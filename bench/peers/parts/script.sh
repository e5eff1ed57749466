# shellcheck shell=bash
# What every peer's script stands on: it is sourced, not run. The script defines `install`, `version` and
# `serve`, and ends with `peer "$@"`.
set -euo pipefail

name=${0##*/}
peers=$(cd "${0%/*}" && pwd)
parts=$peers/parts/$name                                     # what the repository holds of this peer
place=${peers%/bench/peers}/target/bench-peers/$name         # what is installed of it

PORT=${PORT:-8000} PORT2=${PORT2:-} SECRET=${SECRET:-secret} API_KEY=${API_KEY:-key}
REDIS_URL=${REDIS_URL:-} NODES=${NODES:-1} WORKERS=${WORKERS:-0}

# stop CODE WHY: 1 something is missing or failed, 2 called wrongly, 3 this peer has no such thing.
stop() {
  echo "$name: $2" >&2
  exit "$1"
}

# need COMMAND FROM: without it there is no going on.
need() {
  command -v "$1" >/dev/null || stop 1 "needs $1, from $2"
}

# For servers of one thread, and for servers that have no way to reach a second node here.
one_worker() { ((WORKERS <= 1)) || stop 3 "WORKERS=$WORKERS, but it has one thread only"; }
one_node() { ((NODES == 1)) || stop 3 "NODES=$NODES, but $1"; }

# Packages of npm, as package-lock.json pins them.
install_npm() {
  need npm "Debian's npm or nodejs.org"
  mkdir -p "$place"
  if ! cmp -s "$parts/package-lock.json" "$place/.installed"; then
    cp "$parts/package.json" "$parts/package-lock.json" "$place/"
    npm ci --prefix "$place" --silent --no-audit --no-fund >&2 || stop 1 "npm ci failed in $place"
    cp "$parts/package-lock.json" "$place/.installed"
  fi
}

# Packages of PyPI, as requirements.txt pins them.
install_pypi() {
  need python3 "Debian's python3 and python3-venv"
  mkdir -p "$place"
  if ! cmp -s "$parts/requirements.txt" "$place/.installed"; then
    python3 -m venv --clear "$place/venv" >&2 || stop 1 "python3 -m venv failed: is python3-venv installed?"
    "$place/venv/bin/pip" install --quiet --disable-pip-version-check -r "$parts/requirements.txt" >&2 \
      || stop 1 "pip install failed in $place"
    cp "$parts/requirements.txt" "$place/.installed"
  fi
}

# Debian's packages, unpacked rather than installed: no root is needed, and no service starts by itself.
install_debian() {
  local package
  need apt-get "a Debian system; on others put $name on the PATH"
  need dpkg-deb "Debian's dpkg"
  for package; do
    [[ -e $place/.has-$package ]] && continue
    mkdir -p "$place/archives/$package" "$place/root"
    if [[ -z $(apt-cache show "$package" 2>/dev/null) ]]; then
      ((EUID == 0)) || stop 1 "apt knows no $package: run apt-get update as root"
      apt-get update -qq >&2
    fi
    (cd "$place/archives/$package" && rm -f ./*.deb && apt-get -o APT::Sandbox::User=root download -qq "$package" >&2) \
      || stop 1 "apt-get download $package failed"
    dpkg-deb -x "$place/archives/$package"/*.deb "$place/root"
    touch "$place/.has-$package"
  done
}

peer() {
  case "${1:-}" in
    install) install ;;
    version) version ;;
    serve)
      # A soft limit of 1024 files is a limit of the shell, not of the server.
      ulimit -n "$(ulimit -Hn)"
      serve
      ;;
    *) stop 2 "called as: $name install | version | serve" ;;
  esac
}
