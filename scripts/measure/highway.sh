#!/usr/bin/env bash
# Measures whether Google Highway would be worth its place in the CPU loops: the SwiGLU row in our spelling and in Highway's,
# their bits, speed (ours without and with -fno-trapping-math) and compile time.
#   cost     about a minute, 0.5 GiB of memory and 0.2 GB of disk on 2 cores; needs libhwy-dev, which scripts/setup does not install
#   command  scripts/measure/highway.sh
source "$(dirname "$0")/../common.sh"

export LC_ALL=C CCACHE_DISABLE=1  # a point in every number, and no compilation out of a cache
if ! g++ -E -x c++ - <<<'#include <hwy/highway.h>' >/dev/null 2>&1; then
  say "error: <hwy/highway.h> is missing; install it with: apt-get install libhwy-dev"
  exit 3
fi
torch=$(echo "$venv"/lib/python3*/site-packages/torch/include)
[ -d "$torch/ATen" ] || die "LibTorch's headers are missing; run scripts/setup first"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Those of CMakeLists.txt, in the release preset.
flags=(-std=c++20 -O3 -DNDEBUG -Wall -Wextra -Wshadow -Wconversion -Werror -D_GLIBCXX_USE_CXX11_ABI=1 -DAT_PER_OPERATOR_HEADERS=1
  -I "$root" -isystem "$torch")
ours=$root/scripts/measure/highway_swiglu_ours.cpp
theirs=$root/scripts/measure/highway_swiglu_theirs.cpp
compile() { g++ "${flags[@]}" -c "$@"; }

# Like the build, with headers precompiled: LibTorch's for ours, for Highway's those that are not read once a level.
precompile() {  # NAME HEADER ...
  printf '#include <%s>\n' "${@:2}" >"$work/$1.h"
  compile -x c++-header "$work/$1.h" -o "$work/$1.h.gch"
}
timed() {  # RESULT NAME ARGUMENT ...
  local TIMEFORMAT=%U
  { time compile -include "$work/$2.h" "${@:3}" -o "$work/timed.o"; } 2>>"$work/$1.seconds"
}
# The least of the user times, since other work on the machine only adds to them.
least() { sort -n "$work/$1.seconds" | sed -n 1p; }

say "compiling and running"
compile "$root/scripts/measure/highway_swiglu.cpp" -o "$work/main.o"
compile "$theirs" -o "$work/theirs.o"
compile -DSPELLING=ours_plain "$ours" -o "$work/plain.o"
compile -DSPELLING=ours_flagged -fno-trapping-math "$ours" -o "$work/flagged.o"
g++ "$work"/{main,theirs,plain,flagged}.o -lhwy -o "$work/compare"

origin
echo "compiler: $(g++ --version | sed -n 1p), ${flags[*]:0:3}"
"$work/compare"
say "timing the compiler"
precompile ours ATen/core/Tensor.h
precompile theirs immintrin.h hwy/base.h hwy/targets.h
: >"$work/empty.cpp"
for _ in 1 2 3 4 5; do
  timed ours ours -DSPELLING=ours_flagged -fno-trapping-math "$ours"
  timed ours_empty ours "$work/empty.cpp"
  timed theirs theirs "$theirs"
  timed theirs_empty theirs "$work/empty.cpp"
done
echo "compile, user time, headers precompiled: ours $(least ours) s, an empty file $(least ours_empty) s;" \
  "Highway's $(least theirs) s, an empty file $(least theirs_empty) s"
say "done in $(elapsed)"
