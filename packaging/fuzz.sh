#!/usr/bin/env bash
# Throws what hosts and workers could send at the code that reads it, with clang's libFuzzer under asan and ubsan.
#   packaging/fuzz.sh                  each fuzzer for 60 seconds
#   packaging/fuzz.sh 600 listing      one of tests/fuzz/fuzz_*.cpp, for ten minutes
# What breaks a fuzzer is kept in build/fuzz/found/: put it into tests/fuzz/corpus/NAME/ together with its mending.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source packaging/packages.sh

seconds=${1:-60}
shift || true
names=("$@")
if [ "${#names[@]}" -eq 0 ]; then
  for file in tests/fuzz/fuzz_*.cpp; do
    name=${file##*/fuzz_}
    names+=("${name%.cpp}")
  done
fi

install_packages "${build_packages[@]}" clang
cmake --preset fuzz -DHASUP_TESTS=ON
cmake --build --preset fuzz --target "${names[@]/#/fuzz_}"
mkdir -p build/fuzz/found
for name in "${names[@]}"; do
  mkdir -p "build/fuzz/corpus/$name"
  "build/fuzz/bin/fuzz_$name" -max_total_time="$seconds" -max_len=65536 -rss_limit_mb=1024 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/found/$name-" "build/fuzz/corpus/$name" "tests/fuzz/corpus/$name"
done
