"""What every system test shares: the built program, the project's root, and third-party files beside it."""
import os
import pathlib
import subprocess

import pytest

# Workers of pytest-xdist share the cores; each thread more would only wait. Read by LibTorch when it is loaded.
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // int(workers))))
pytest_plugins = ["exports", "pipelines"]
ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def nkat_path():
    path = pathlib.Path(os.environ.get("NKAT", ROOT / "build" / "nkat"))
    assert path.exists(), f"{path} is missing; run scripts/build"
    return path


@pytest.fixture(scope="session")
def nkat(nkat_path):
    """nkat("train", "--help") runs the program and returns the CompletedProcess, with stdout and stderr as text."""

    def run(*words, **options):
        options = {"capture_output": True, "text": True, "timeout": 600, **options}
        return subprocess.run([str(nkat_path), *map(str, words)], **options)

    return run


@pytest.fixture(scope="session")
def dump_logits(nkat_path):
    """The test program that writes a model's logits; built beside nkat."""
    path = nkat_path.parent / "tests" / "support" / "nkat_dump_logits"
    assert path.exists(), f"{path} is missing; run scripts/build"
    return path


@pytest.fixture(scope="session")
def parity_table():
    """Rows (case, tokens, type, error, bound), printed at the end."""
    rows = []
    yield rows
    if rows:
        print(f"\n\n{'case':<36} {'tokens':>6}  {'type':<16} {'error':>9} {'bound':>9}")
        for name, tokens, kind, error, bound in rows:
            print(f"{name:<36} {tokens:>6}  {kind:<16} {error:9.1e} {bound:9.1e}")


@pytest.fixture(scope="session")
def shared_fixtures():
    folder = pathlib.Path(os.environ.get("NKAT_SHARED", ROOT.parent / "shared" / "fixtures"))
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: third-party tokenizer files are not part of the project")
    return folder


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
