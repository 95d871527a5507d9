#!/usr/bin/env bash
# What takes too long for every change: the exhaustive tests, and random configs and arguments.
#
#     benchmarks/nightly.sh [number of random examples, 10000 if left out]
set -uo pipefail
cd "$(dirname "$0")/.."

pytest -q -m exhaustive
tests=$?
python benchmarks/fuzz.py --examples "${1:-10000}"
examples=$?
exit $((tests || examples))
