#!/usr/bin/env bash
# Takes llama.cpp's source out of the Python package llama-cpp-python and builds its quantizer and its measuring tools,
# with which tests/system/test_export_tools.py and scripts/measure/bench_export.py compare ours. Nothing of it goes into the project.
#   cost     500 MB of disk, up to ten minutes on 2 cores
#   command  scripts/measure/build_llama_cpp.sh FOLDER;  NKAT_LLAMA_CPP=FOLDER .venv/bin/python -m pytest tests/system/test_export_tools.py
source "$(dirname "$0")/../common.sh"

version=0.3.36
[ $# -eq 1 ] || die "usage: scripts/measure/build_llama_cpp.sh FOLDER"
[ ! -e "$1" ] || [ -f "$1/convert_hf_to_gguf.py" ] || die "$1 exists and holds something else"
if [ ! -f "$1/convert_hf_to_gguf.py" ]; then
  download=$(mktemp -d)
  trap 'rm -rf "$download"' EXIT
  say "downloading llama-cpp-python $version"
  "$venv/bin/pip" download -q --no-deps --no-binary :all: -d "$download" "llama-cpp-python==$version"
  tar xzf "$download"/*.tar.gz -C "$download"
  mkdir -p "$(dirname "$1")"
  mv "$download/llama_cpp_python-$version/vendor/llama.cpp" "$1"
fi
"$venv/bin/cmake" -S "$1" -B "$1/build" -G Ninja -DCMAKE_MAKE_PROGRAM="$venv/bin/ninja" -DCMAKE_BUILD_TYPE=Release -DLLAMA_CURL=OFF \
  -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF >&2
"$venv/bin/ninja" -C "$1/build" llama-quantize llama-perplexity llama-bench llama-tokenize >&2
say "done in $(elapsed)"
