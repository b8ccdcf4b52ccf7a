#!/usr/bin/env bash
# The Debian 12 packages that hasup is built and tested with; sourced by quickstart.sh and test.sh.
# Run by itself it prints the lists: packaging/packages.sh [build|test].

build_packages=(
  build-essential cmake ninja-build pkg-config ccache
  libboost1.81-dev libboost-json1.81-dev libboost-url1.81-dev libboost-filesystem1.81-dev
  libssl-dev libcurl4-openssl-dev libarchive-dev libzstd-dev
  libtomlplusplus-dev libspdlog-dev libfmt-dev libcli11-dev libre2-dev libhowardhinnant-date-dev
)

# Real nodes and servers, and what the tests damage and pack archives with.
test_packages=(
  catch2 python3 redis-server nginx-light haproxy openssh-server openssh-client zstd xz-utils openssl curl procps minisign zchunk
  etcd-server etcd-client dnsmasq-base
  libfuse3-dev fuse3 tinyproxy-bin apache2-bin caddy xfsprogs e2fsprogs
)

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}

is_installed() {
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# install_packages NAME…: those that are missing, without starting the services that some of them bring.
install_packages() {
  local missing=() name
  for name in "$@"; do
    is_installed "$name" || missing+=("$name")
  done
  [ "${#missing[@]}" -eq 0 ] && return 0
  echo "installing: ${missing[*]}"
  local policy=/usr/sbin/policy-rc.d ours=no status=0
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    ours=yes
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q || status=$?
  if [ "$status" -eq 0 ]; then
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" || status=$?
  fi
  [ "$ours" = yes ] && as_root rm -f "$policy"
  return "$status"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  case "${1:-}" in
    build) printf '%s\n' "${build_packages[@]}" ;;
    test) printf '%s\n' "${test_packages[@]}" ;;
    "") printf '%s\n' "${build_packages[@]}" "${test_packages[@]}" ;;
    *)
      echo "usage: packaging/packages.sh [build|test]" >&2
      exit 2
      ;;
  esac
fi
