#!/usr/bin/env bash
# Installs what the tests need, builds, and runs all tests with ctest; the last lines are ctest's summary.
#   packaging/test.sh           the main end-to-end tests on the release build, then every test under asan
#   packaging/test.sh PRESET…   every test under these presets (dev, asan, tsan, release)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source packaging/packages.sh

install_packages "${build_packages[@]}" "${test_packages[@]}"
command -v npm >/dev/null || install_packages nodejs npm

# The real EVM node, pm2 and S3 store of the tests, pinned by their lock files.
for folder in tests/e2e/anvil tests/e2e/pm2 tests/contract/s3rver; do
  program=$(basename "$folder")
  mkdir -p "build/$program"
  cp "$folder/package.json" "$folder/package-lock.json" "build/$program/"
  npm ci --prefix "build/$program" --ignore-scripts --no-audit --no-fund
done

# A short storm is enough for each change; HASUP_STORM_SECONDS=600 packaging/test.sh release is a long one.
# Likewise a few random recoveries; HASUP_RECOVERIES=500 HASUP_SEED=N tests/e2e/test_random_recoveries.py are many.
# They are others each time; the seed that is printed here brings them back.
export HASUP_STORM_SECONDS=${HASUP_STORM_SECONDS:-20} HASUP_RECOVERIES=${HASUP_RECOVERIES:-6} HASUP_SEED=${HASUP_SEED:-$RANDOM}
echo "random recoveries: HASUP_SEED=$HASUP_SEED"

# Each test has processes, ports and directories of its own, so that two run at a time; HASUP_TEST_JOBS says otherwise.
# More of those that start programs, which mostly wait.
jobs=${HASUP_TEST_JOBS:-2}

build_preset() {
  cmake --preset "$1" -DHASUP_TESTS=ON
  cmake --build --preset "$1"
}

# Both, whatever comes of the first: one failure does not keep the others from being seen.
test_preset() {
  local failed=0
  ctest --preset "$1" -LE "e2e|contract" -j "$jobs" || failed=$?
  ctest --preset "$1" -L "e2e|contract" -j $((2 * jobs + 1)) || failed=$?
  return "$failed"
}

if [ "$#" -gt 0 ]; then
  for preset in "$@"; do
    build_preset "$preset"
    test_preset "$preset"
  done
  exit 0
fi

cmake --preset release -DHASUP_TESTS=ON
cmake --build --preset release --target e2e_programs
# While the next build has the processors: a machine that has much to do is what they must bear.
ctest --preset release -L release -j "$jobs" >build/release/tests.log 2>&1 &
release_tests=$!
trap 'kill "$release_tests" 2>/dev/null || true' EXIT
build_preset asan
failed=0
wait "$release_tests" || failed=$?
trap - EXIT
cat build/release/tests.log
test_preset asan || failed=$?
exit "$failed"
