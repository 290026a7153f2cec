"""Each gate of scripts/test runs, and refuses a bad example: warnings, format, ruff, clang-tidy, the sanitizers. The tree's own rules:
test_sources.py."""
import importlib.machinery
import importlib.util
import pathlib
import re
import subprocess
import sys

import pytest

BAD = "tests/fixtures/gates"


@pytest.fixture(scope="session")
def run(root):
    return lambda *words: subprocess.run([str(word) for word in words], cwd=root, capture_output=True, text=True)


def table_of(root):
    """CONTRIBUTING's gates: {name: the example that proves it}."""
    rows = re.findall(r"^\| (.+?) \| .+? \| (.*?) ?\|$", (root / "CONTRIBUTING.md").read_text().split("## Modules")[0], re.M)
    return {name: proof.strip("`") for name, proof in rows if name != "gate"}


@pytest.mark.parametrize(
    ("gate", "command"),
    [
        ("set-up, build", "scripts/setup --real\nscripts/build\n"),
        ("clang-format", "clang-format --dry-run -Werror"),
        ("ruff", "/ruff\" check"),
        ("`scripts/tidy`", "scripts/tidy\n"),
        ("unit tests", "ctest\" --preset release"),
        ("sanitizers", "scripts/build \"$sanitized\"\n"),
        ("sanitizers", "ctest\" --preset \"$sanitized\""),
        ("system tests", "-m pytest "),
    ],
)
def test_scripts_test_runs_each_gate_of_contributing_and_stops_at_the_first_that_fails(root, gate, command):
    script = (root / "scripts" / "test").read_text()
    assert gate in table_of(root)
    assert command in script and not re.search(rf"^.*{re.escape(command.strip())}.*(\|\||; true)", script, re.M)
    assert re.search(r"^set -[a-z]*e[a-z]* ?.*pipefail", (root / "scripts" / "common.sh").read_text(), re.M)


def test_contributing_names_what_proves_each_gate(root):
    for gate, proof in table_of(root).items():
        assert (root / proof).exists(), f"{gate}: {proof!r}"


def test_the_compiler_refuses_hidden_names_and_lost_digits(run, root):
    flags = re.search(r"CXX>:(-Wall [^>]+)>", (root / "CMakeLists.txt").read_text())[1].split()
    done = run("g++", *flags, "-fsyntax-only", f"{BAD}/bad_conversion.cpp")
    assert done.returncode != 0 and "-Werror=shadow" in done.stderr and "conversion" in done.stderr
    assert run("g++", *flags, "-fsyntax-only", f"{BAD}/bad_memory.cpp").returncode == 0


def test_the_formatter_sees_every_source_before_it_is_added(root, tmp_path):
    listing = re.search(r"^git ls-files .*?(?= \| xargs -0 clang-format)", (root / "scripts" / "test").read_text(), re.M)[0]

    def listed(folder):
        return subprocess.run(["bash", "-c", listing], cwd=folder, capture_output=True, text=True, check=True).stdout.split("\0")[:-1]

    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("/build*/\n")
    for name in ("a.h", "core/a.cpp", "layers/a.cu", "layers/a.cuh", "a.py", "build/a.cpp", f"{BAD}/a.cpp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert sorted(listed(tmp_path)) == ["a.h", "core/a.cpp", "layers/a.cu", "layers/a.cuh"]
    assert {pathlib.PurePath(name).suffix for name in listed(root)} == {".h", ".cpp", ".cu", ".cuh"}


def test_skipped_unit_tests_are_counted_by_their_reasons(root, tmp_path):
    log = tmp_path / "build" / "Testing" / "Temporary" / "LastTest.log"
    log.parent.mkdir(parents=True)
    skips = {"no CUDA device": 2, "no pseudo-terminal can be opened": 1}
    lines = [f"a_test.cpp:9: Skipped\n{reason}\n" * count for reason, count in skips.items()]
    log.write_text("".join(lines) + "[  SKIPPED ] 3 tests.\n")
    (command,) = (line for line in (root / "scripts" / "test").read_text().splitlines() if "LastTest.log" in line)
    said = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True).stderr
    assert re.findall(r"^ *(\d) skipped: (.*)$", said, re.M) == [(str(count), reason) for reason, count in skips.items()]


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


@pytest.fixture
def tidy(root, tmp_path, monkeypatch):
    """scripts/tidy as a module, on a tree of its own."""
    loader = importlib.machinery.SourceFileLoader("tidy", str(root / "scripts" / "tidy"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("tidy", loader))
    loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    (tmp_path / "core").mkdir()
    (tmp_path / ".clang-tidy").write_text("Checks: '*'")
    return module


def test_a_verdict_holds_until_the_source_an_include_the_checks_or_the_flags_change(tidy, tmp_path):
    texts = {".clang-tidy": "Checks: ''", "core/a.cpp": '#include "core/b.h"\n', "core/b.h": '#include "core/c.h"\n', "core/c.h": "int c;\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    before = tidy.digest(tmp_path / "core/a.cpp", ("-w",), {})
    assert tidy.digest(tmp_path / "core/a.cpp", ("-w",), {}) == before
    assert tidy.digest(tmp_path / "core/a.cpp", ("-w", "-mavx2"), {}) != before
    for name, text in texts.items():
        (tmp_path / name).write_text(text + "// changed\n")
        assert tidy.digest(tmp_path / "core/a.cpp", ("-w",), {}) != before, name
        (tmp_path / name).write_text(text)


def test_sources_whose_local_names_clash_are_looked_at_apart(tidy, tmp_path):
    bodies = {"a": "int half(int x) { return x / 2; }", "b": "int half(int x) { return x / 2; }", "c": "constexpr int kTwo = 2;"}
    for name, body in bodies.items():
        (tmp_path / "core" / f"{name}.cpp").write_text(f"namespace {{\n\n{body}\n\n}}  // namespace\n")
    a, b, c = paths = [tmp_path / "core" / f"{name}.cpp" for name in bodies]
    assert tidy.groups_of(paths, {path: (None, ("-w",)) for path in paths}) == [[a, c], [b]]
    assert tidy.groups_of([a, c], {a: (None, ("-w",)), c: (None, ("-w", "-mavx2"))}) == [[a], [c]]


@pytest.mark.parametrize(("kind", "said"), [("address", "heap-buffer-overflow"), ("undefined", "signed integer overflow")])
def test_the_sanitizers_stop(run, root, tmp_path, kind, said):
    flags = re.search(r"project_sanitizers INTERFACE\s+(-fsanitize\S+ \S+)", (root / "CMakeLists.txt").read_text())[1].split()
    assert run("g++", *flags, f"{BAD}/bad_memory.cpp", "-o", tmp_path / "bad_memory").returncode == 0
    done = run(tmp_path / "bad_memory", kind)
    assert done.returncode != 0 and said in done.stderr
    assert run(tmp_path / "bad_memory").returncode == 0
