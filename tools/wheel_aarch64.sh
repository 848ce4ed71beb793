#!/usr/bin/env bash
# A wheel for aarch64 made on another machine: cross-built with `zig cc`, audited, and tested under qemu-user.
# tools/wheel_aarch64.sh [FOLDER]; FOLDER is dist. Needs Debian or what comes from it, `qemu-aarch64` (package qemu-user), and an
# environment with the extras `wheel` and `export` and with meson-python, Cython and ninja, of the Python that Debian has too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD out=$(realpath -m "${1:-dist}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

step() { printf '\n== %s\n' "$*"; "$@"; }

version=$(python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
for program in qemu-aarch64 apt-get dpkg python-zig auditwheel; do
    command -v "$program" >/dev/null || { echo "$0: needs $program, see the first lines of this file" >&2; exit 1; }
done

# Python for aarch64, and what it is linked with, from Debian's packages, without touching those of this machine.
mkdir -p "$work/apt/lists/partial" "$work/debs" "$work/machine"
touch "$work/apt/status"
apt=(-qq -o "Dir::State=$work/apt" -o "Dir::State::status=$work/apt/status" -o "Dir::Cache=$work/apt" -o APT::Sandbox::User=
     -o APT::Architecture=arm64 -o APT::Architectures::=arm64)
step apt-get "${apt[@]}" update
(cd "$work/debs" && step apt-get "${apt[@]}" download libc6 libgcc-s1 libstdc++6 zlib1g libexpat1 libffi8 libssl3 libbz2-1.0 liblzma5 \
    libsqlite3-0 libuuid1 libcrypt1 "python$version-minimal" "libpython$version-minimal" "libpython$version-stdlib" \
    "libpython$version-dev")
for package in "$work"/debs/*.deb; do dpkg -x "$package" "$work/machine"; done
there() { PYTHONPATH="$work/site" qemu-aarch64 -L "$work/machine" "$work/machine/usr/bin/python$version" -P "$@"; }

# Names of modules and the headers are those of that Python, the compiler is zig's, the C library that of manylinux_2_28.
mkdir "$work/names"
sed "s#'/usr/include#'$work/machine/usr/include#g" "$work/machine/usr/lib/python$version/_sysconfigdata__aarch64-linux-gnu.py" \
    > "$work/names/names_of_aarch64.py"
cat > "$work/cross.ini" <<END
[binaries]
c = ['python-zig', 'cc', '-target', 'aarch64-linux-gnu.2.28']
ar = ['python-zig', 'ar']
strip = ['true']
[built-in options]
c_args = ['-I$work/machine/usr/include']
[host_machine]
system = 'linux'
cpu_family = 'aarch64'
cpu = 'aarch64'
endian = 'little'
END
step env PYTHONPATH="$work/names" _PYTHON_SYSCONFIGDATA_NAME=names_of_aarch64 _PYTHON_HOST_PLATFORM=linux-aarch64 \
    pip wheel -q --disable-pip-version-check --no-build-isolation --no-deps --wheel-dir "$work/built" \
    "-Csetup-args=--cross-file=$work/cross.ini" .
step auditwheel show "$work"/built/*.whl
step auditwheel repair --plat auto --wheel-dir "$work/wheel" "$work"/built/*.whl
wheel=$(ls "$work"/wheel/*manylinux*aarch64.whl)
mkdir -p "$out" && cp "$wheel" "$out"

# What it needs as wheels for aarch64; then tests, the bits of x86-64 among them (tests/test_bits.py).
step pip install -q --disable-pip-version-check --target "$work/site" --python-version "$version" --only-binary :all: \
    --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 --platform manylinux2014_aarch64 \
    "$wheel" pytest pytest-xdist
cd "$root"
step there -m pytest -q -p no:cacheprovider tests/test_bits.py tests/layers/test_runs.py
ls -l "$out"
