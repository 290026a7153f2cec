"""The rules of the tree that a compiler does not check."""
import re
import subprocess

import pytest

# A module may include itself, core and what stands before it here; siblings of the last line never each other.
MAY_INCLUDE = {
    "core": [],
    "data": ["core"],
    "layers": ["core"],
    "models": ["core", "data", "layers"],
    "train": ["core", "data", "layers", "models"],
    "validation": ["core", "data", "layers", "models"],
    "export": ["core", "data", "layers", "models"],
}
TENSOR_HEADERS = re.compile(r'#include [<"](ATen|torch|c10)/')
CUDA_HEADERS = re.compile(r"#include <(cuda|c10/cuda|ATen/cuda)")


def sources(root, *patterns):
    folders = [*MAY_INCLUDE, "tests"]
    return [path for folder in folders for pattern in patterns for path in (root / folder).rglob(pattern)]


def test_dependencies_point_one_way(root):
    wrong = []
    for path in sources(root, "*.h", "*.cpp", "*.cu", "*.cuh"):
        module = path.relative_to(root).parts[0]
        for included in re.findall(r'#include "(\w+)/', path.read_text()):
            if module in MAY_INCLUDE and included not in [module, *MAY_INCLUDE[module]]:
                wrong.append(f"{path.relative_to(root)} includes {included}/")
    assert wrong == []


def test_rooms_without_tensors_include_no_libtorch(root):
    files = [path for path in sources(root, "*.h", "*.cpp") if path.relative_to(root).parts[0] in ("core", "data")]
    assert files and [str(path) for path in files if TENSOR_HEADERS.search(path.read_text())] == []


def test_cuda_headers_stay_in_the_kernels_folder(root):
    files = [path for path in sources(root, "*.h", "*.cpp", "*.cu", "*.cuh") if "kernels" not in path.parts and "tests" not in path.parts]
    assert files and [str(path) for path in files if CUDA_HEADERS.search(path.read_text())] == []


def test_headers_have_a_guard_and_open_with_their_purpose(root):
    for path in sources(root, "*.h", "*.cuh"):
        text = path.read_text()
        assert "#pragma once" in text, path
        assert text.startswith("//"), f"{path} does not say what it is for"
        assert "using namespace" not in text, path


def test_every_source_is_built(root):
    listed = "".join(path.read_text() for path in [root / "CMakeLists.txt", *root.glob("*/CMakeLists.txt"), *root.glob("tests/*/CMakeLists.txt")])
    unlisted = [str(path.relative_to(root)) for path in sources(root, "*.cpp", "*.cu") if path.name not in listed]
    assert unlisted == []


def test_scripts_start_with_purpose_cost_and_command(root):
    for path in sorted((root / "scripts").iterdir()):
        if path.suffix in ("", ".sh") and path.name not in ("common.sh",) and path.is_file():
            head = path.read_text()[:1500]
            assert "cost " in head and "command " in head, path
