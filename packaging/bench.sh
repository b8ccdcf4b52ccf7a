#!/usr/bin/env bash
# Measures hasup beside pm2, supervisord, runit, s6 and a bare loop; prints the tables and writes docs/benchmarks.md.
# Installs the peers from Debian and the pm2 of tests/e2e/pm2, and builds the release programs. More than an hour,
# most of it for the rows unpack and fetch.
#   packaging/bench.sh           all of it
#   packaging/bench.sh --quick   small sizes, under two minutes of measuring; prints only
#   packaging/bench.sh --rows restart,logs --peers hasup,s6   further arguments of tests/bench/run.py; prints only
#   packaging/bench.sh --rows fetch --write docs/benchmarks.md   replaces one table
#   packaging/bench.sh --rows unpack --archive-mib 8192       archives of another size; HASUP_BENCH_DIR: another disk
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source packaging/packages.sh

install_packages "${build_packages[@]}" catch2 python3 runit s6 supervisor zstd libarchive-tools
command -v npm >/dev/null || install_packages nodejs npm
if [ ! -e build/pm2/node_modules/.bin/pm2 ]; then
  mkdir -p build/pm2
  cp tests/e2e/pm2/package.json tests/e2e/pm2/package-lock.json build/pm2/
  npm ci --prefix build/pm2 --ignore-scripts --no-audit --no-fund
fi

cmake --preset release -DHASUP_TESTS=ON
cmake --build --preset release --target bench_programs

if [ "$#" -eq 0 ]; then
  set -- --write docs/benchmarks.md
fi
HASUP_BIN_DIR=$PWD/build/release/bin HASUP_PM2_DIR=$PWD/build/pm2 exec python3 -B tests/bench/run.py "$@"
