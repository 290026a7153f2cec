"""Every command of the README runs, on the shipped model and for one step; the scripts it names exist."""
import re
import shlex

import pytest
import training


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


def test_every_script_that_is_only_named_exists(root):
    text = (root / "README.md").read_text() + (root / "CONTRIBUTING.md").read_text()
    for name in set(re.findall(r"scripts/\w+", text)):
        assert (root / name).exists(), name
