#!/usr/bin/env bash
# From a fresh Debian 12 machine to the running demonstration: packages, the release build, `hasup demo`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source packaging/packages.sh

install_packages "${build_packages[@]}"
cmake --preset release -DHASUP_TESTS=OFF
cmake --build --preset release --target programs
exec build/release/bin/hasup demo
