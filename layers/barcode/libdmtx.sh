#!/bin/sh
# Puts libdmtx for Amazon Linux 2023 into a folder: libdmtx.sh aarch64|x86_64 FOLDER
#
# It is compiled from the released source, which Debian keeps, by one pinned compiler; the result is the same byte for
# byte wherever it is built, and both are checked. What was built once is kept in the user's cache.
#   LIBDMTX_SOURCE=libdmtx_0.7.7.orig.tar.gz   the source, where there is no apt-get to fetch it
#   VSV_WITHOUT_LIBDMTX=1                       leave it out: labels are then read by zxing-cpp alone
set -eu
architecture=$1
folder=$2
here=$(cd "$(dirname "$0")" && pwd)
name=libdmtx.so.0
source_sum=7aa62adcefdd6e24bdabeb82b3ce41a8d35f4a0c95ab0c4438206aecafd6e1a1
case "$architecture" in
  aarch64) built_sum=21743488f4b155441c73f4c9eacc8a4962499bd895382f10f64f2a9229992f06 ;;
  x86_64) built_sum=60b4e6cdc78959f984da51655a5b6873cfcdcf2ec7f0dcb31db813e3361953c0 ;;
  *) echo "usage: libdmtx.sh aarch64|x86_64 FOLDER" >&2; exit 2 ;;
esac
if [ -n "${VSV_WITHOUT_LIBDMTX:-}" ]; then
  echo "libdmtx is left out: now and then a damaged Data Matrix label more may have to be typed."
  exit 0
fi

sum_of() {
  "${PYTHON:-python3}" -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$1"
}

fetch_source() {  # by apt's own list of servers, turned to sources; nothing of the system's is changed
  command -v apt-get >/dev/null || return 1
  mkdir -p apt/parts apt/lists/partial
  for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ ! -f "$list" ] || sed -n 's/^deb /deb-src /p' "$list" >> apt/parts/source.list
  done
  for list in /etc/apt/sources.list.d/*.sources; do
    [ ! -f "$list" ] || { sed 's/^Types:.*/Types: deb-src/' "$list"; echo; } >> apt/parts/source.sources
  done
  set -- -q -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$PWD/apt/parts" \
    -o "Dir::State::Lists=$PWD/apt/lists" -o "Dir::Cache=$PWD/apt" -o APT::Sandbox::User=
  apt-get "$@" update >apt/log 2>&1 && apt-get "$@" source --download-only --tar-only libdmtx >>apt/log 2>&1 \
    || { tail -5 apt/log >&2; return 1; }
  mv libdmtx_*.orig.tar.gz source.tar.gz
}

kept=${XDG_CACHE_HOME:-$HOME/.cache}/vsv-layers/$built_sum
mkdir -p "$folder"
if [ -f "$kept" ] && [ "$(sum_of "$kept")" = "$built_sum" ]; then
  cp "$kept" "$folder/$name"
  echo "$name ($architecture): sha256 $built_sum"
  exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -z "${LIBDMTX_SOURCE:-}" ] || cp "$LIBDMTX_SOURCE" "$work/source.tar.gz"
cd "$work"
if [ ! -f source.tar.gz ] && ! fetch_source; then
  echo "libdmtx's source is needed: set LIBDMTX_SOURCE to Debian's libdmtx_0.7.7.orig.tar.gz, or VSV_WITHOUT_LIBDMTX=1." >&2
  exit 1
fi
if [ "$(sum_of source.tar.gz)" != "$source_sum" ]; then
  echo "This is not the source of libdmtx 0.7.7 that was checked: its SHA-256 must be $source_sum." >&2
  exit 1
fi
tar xzf source.tar.gz
"${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
  --only-binary :all: --target zig --requirement "$here/zig.txt"
cd libdmtx-0.7.7
# Without assertions: their messages hold the build's path. Without the compiler's own traps: libdmtx's arithmetic
# on images was never written for them, and a trap would end the function.
PYTHONPATH="$work/zig" "${PYTHON:-python3}" -m ziglang cc -target "$architecture-linux-gnu.2.34" -shared -fPIC -O2 \
  -fno-sanitize=all -std=gnu99 -DNDEBUG -DVERSION='"0.7.7"' -DHAVE_SYS_TIME_H=1 -DHAVE_GETTIMEOFDAY=1 \
  -Wl,-soname,$name -s -o "$work/$name" dmtx.c -lm
found=$(sum_of "$work/$name")
if [ "$found" != "$built_sum" ]; then
  echo "$name ($architecture) came out with the SHA-256 $found and not $built_sum." >&2
  exit 1
fi
mkdir -p "$(dirname "$kept")"
cp "$work/$name" "$folder/$name"
cp "$work/$name" "$kept.$$" && mv "$kept.$$" "$kept"
echo "$name ($architecture): sha256 $found"
