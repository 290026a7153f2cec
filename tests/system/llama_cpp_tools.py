"""llama.cpp's own programs, where the machine has them: in the folder NKAT_LLAMA_CPP (a source tree with build/bin, or
where the programs lie), else on PATH. Without them the tests that compare with them are skipped, and counted."""
import os
import pathlib
import shutil
import subprocess
import sys

import pytest


def find(name):
    folder = os.environ.get("NKAT_LLAMA_CPP")
    places = [pathlib.Path(folder) / below for below in ("", "build/bin", "bin")] if folder else []
    return next((str(place / name) for place in places if (place / name).is_file()), None) or shutil.which(name)


QUANTIZE, CONVERTER = find("llama-quantize"), find("convert_hf_to_gguf.py")
ABSENT = "is neither in the folder NKAT_LLAMA_CPP nor on PATH"
needs_quantize = pytest.mark.skipif(QUANTIZE is None, reason=f"llama-quantize {ABSENT}")
needs_converter = pytest.mark.skipif(CONVERTER is None, reason=f"convert_hf_to_gguf.py {ABSENT}")


def quantize(source, target, mix):
    subprocess.run([QUANTIZE, source, target, mix, "1"], check=True, capture_output=True)
    return target


def convert(folder, target, stored="f32"):
    subprocess.run([sys.executable, CONVERTER, folder, "--outfile", target, "--outtype", stored], check=True, capture_output=True)
    return target
