"""Every command of the README runs, on the shipped model and for one step; the scripts it names exist."""
import json
import re
import shlex
import subprocess
import sys

import training

sys.path.insert(0, str(training.DEMO.parents[1] / "scripts"))
from pipeline_steps.config import read_config  # noqa: E402


def commands(root):
    blocks = re.findall(r"```bash\n(.*?)```", (root / "README.md").read_text(), re.DOTALL)
    return [line.split("   #")[0].strip() for block in blocks for line in block.splitlines() if line.strip()]


def test_the_readme_is_short_and_its_scripts_exist(root):
    assert len((root / "README.md").read_text().splitlines()) <= 200
    scripts = {line.split()[0] for line in commands(root) if line.startswith("scripts/")}
    assert {"scripts/demo", "scripts/test"} <= scripts
    assert all((root / script).stat().st_mode & 0o100 for script in scripts)


def test_the_commands_of_the_readme_run_in_its_order(nkat, root, tmp_path):
    (tmp_path / "Phi-3.5-mini-instruct").symlink_to(training.DEMO / "model")
    training.first_lines(training.DEMO / "train.jsonl", tmp_path / "my.jsonl", 40)
    training.first_lines(training.DEMO / "validation.jsonl", tmp_path / "held-out.jsonl", 5)
    training.first_lines(training.DEMO / "general.jsonl", tmp_path / "general.jsonl", 5)
    ran = 0
    for line in commands(root):
        words = shlex.split(line)
        if words[0] != "build/nkat":
            continue
        if words[1] == "train":
            words += ["--max-steps", "1"]
        if words[1] == "eval":
            words += ["--max-sequence-length", "256"]
        if "math" in words or "--model-path" in words and words[1] == "validate":
            words += ["--questions", "4"]
        done = nkat(*words[1:], cwd=tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        ran += 1
    assert ran >= 9


def test_the_readmes_pipeline_reads_its_config(root, nkat_path, monkeypatch):
    """That file's run takes minutes; its sections are checked against the program's options, and its files are there."""
    monkeypatch.chdir(root)
    lines = [shlex.split(line) for line in commands(root) if line.startswith("scripts/pipeline")]
    assert len(lines) == 1 and len(lines[0]) == 2
    found = read_config(lines[0][1], str(nkat_path))
    given = json.loads((root / lines[0][1]).read_text())
    assert found.train == given["train"] and found.export == given["export"] and str(found.output_dir) == given["output_dir"]
    assert "--help" in (root / "README.md").read_text()
    shown = subprocess.run([root / lines[0][0], "--help"], capture_output=True, text=True)
    assert shown.returncode == 0 and all(key in shown.stdout for key in given)


def test_every_script_that_is_only_named_exists(root):
    text = (root / "README.md").read_text() + (root / "CONTRIBUTING.md").read_text()
    for name in set(re.findall(r"scripts/\w+", text)):
        assert (root / name).exists(), name
