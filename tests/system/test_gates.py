"""Each gate of scripts/test refuses a bad example: format, ruff, clang-tidy, the sanitizers. The tree's own rules: test_sources.py."""
import re
import subprocess
import sys

import pytest

BAD = "tests/fixtures/gates"


@pytest.fixture(scope="session")
def run(root):
    return lambda *words: subprocess.run([str(word) for word in words], cwd=root, capture_output=True, text=True)


def test_the_formatter_refuses_an_unformatted_source(run):
    assert run("clang-format", "--dry-run", "-Werror", f"{BAD}/unformatted.cpp").returncode != 0
    assert run("clang-format", "--dry-run", "-Werror", f"{BAD}/bad_names.cpp").returncode == 0


def test_ruff_refuses_an_unused_import_and_sees_scripts_without_an_ending(run, root):
    ruff = [sys.executable, "-m", "ruff"]
    done = run(*ruff, "check", "--no-cache", f"{BAD}/unused_import.py")
    assert done.returncode == 1 and "F401" in done.stdout
    seen = set(run(*ruff, "check", "--show-files").stdout.split())
    python = run("git", "grep", "-lE", "^#!.*python").stdout.split()
    assert "scripts/pipeline" in python and {str(root / name) for name in python} <= seen
    assert not any(BAD in name for name in seen)


def test_clang_tidy_refuses_bad_names_what_is_unused_and_copies(run):
    done = run("scripts/tidy", f"{BAD}/bad_names.cpp")
    assert done.returncode == 1, done.stderr
    for name in ("class 'bad_type'", "method 'Value'", "private member 'value'", "constexpr variable 'LIMIT'", "function 'UnusedParameter'"):
        assert f"invalid case style for {name}" in done.stdout
    assert "parameter 'unused' is unused" in done.stdout and "performance-for-range-copy" in done.stdout


@pytest.mark.parametrize(("kind", "said"), [("address", "heap-buffer-overflow"), ("undefined", "signed integer overflow")])
def test_the_sanitizers_stop(run, root, tmp_path, kind, said):
    flags = re.search(r"project_sanitizers INTERFACE (-fsanitize\S+ \S+)", (root / "CMakeLists.txt").read_text())[1].split()
    assert run("g++", *flags, f"{BAD}/bad_memory.cpp", "-o", tmp_path / "bad_memory").returncode == 0
    done = run(tmp_path / "bad_memory", kind)
    assert done.returncode != 0 and said in done.stderr
    assert run(tmp_path / "bad_memory").returncode == 0
