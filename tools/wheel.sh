#!/usr/bin/env bash
# The wheel as a user gets it: built from the source distribution, audited, installed where there is no compiler, tested.
# tools/wheel.sh [FOLDER [ARGUMENT OF python -m build]...]; FOLDER is dist. Needs the extra `wheel`, git and a compiler. TESTS names
# files of tests for a look; without it, all.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD out=$(realpath -m "${1:-dist}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

step() { printf '\n== %s\n' "$*"; "$@"; }

# `build` makes the source distribution of HEAD, unpacks it, and makes the wheel of what was in it.
step python -m build --outdir "$work/built" "${@:2}"
mkdir -p "$out" && cp "$work"/built/*.tar.gz "$out"

# "auto" is the oldest platform whose C library has all the symbols that the modules use.
step auditwheel show "$work"/built/*.whl
step auditwheel repair --plat auto --wheel-dir "$work/wheel" "$work"/built/*.whl
wheel=$(ls "$work"/wheel/*.whl)
case $wheel in *manylinux*) ;; *) echo "tools/wheel.sh: $wheel runs on no machine but this one" >&2; exit 1 ;; esac
cp "$wheel" "$out"

# Nothing of this machine but the new environment and bash, which tests call: no compiler, no settings, no site-packages.
python -m venv "$work/clean"
mkdir "$work/tools" && ln -s "$(command -v bash)" "$work/tools/bash"
clean() { env -i HOME="$work" PATH="$work/clean/bin:$work/tools" "$@"; }
step clean pip install -q --disable-pip-version-check --only-binary :all: "$wheel"
mkdir "$work/train" && cd "$work/train"
step clean pylstm train text --minutes "${MINUTES:-0.2}"
step clean pip install -q --disable-pip-version-check --only-binary :all: "$wheel[test]"
cd "$root"
# shellcheck disable=SC2086
step clean pytest -q -p no:cacheprovider ${TESTS:-}
ls -l "$out"
