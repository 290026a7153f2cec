"""Every command of the README runs, on the shipped model and for one step; both languages say the same; every link leads somewhere."""
import json
import re
import shlex
import subprocess
import sys
import unicodedata

import pytest
import source_rules
import training

sys.path.insert(0, str(training.DEMO.parents[1] / "scripts"))
from pipeline_steps.config import read_config  # noqa: E402

READMES = ("README.md", "README.ja.md")


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands_of(text):
    """The lines of the bash blocks, continued lines as one, without comments."""
    lines = "".join(blocks(text, "bash")).replace("\\\n", " ").splitlines()
    return [" ".join(re.sub(r"\s{2,}#.*", "", line).split()) for line in lines if line.strip()]


def commands(root):
    return commands_of((root / "README.md").read_text())


def width(line):
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line)


def too_large(text):
    """Lines beyond the 130th, and lines wider than 110 columns."""
    lines = text.splitlines()
    return lines[130:] + [line for line in lines if width(line) > 110]


def figures(text):
    """The numbers of every row of a table, in any order."""
    return [sorted(re.findall(r"\d+(?:\.\d+)?(?:e-\d+)?", line)) for line in text.splitlines() if line.startswith("|")]


def differences(english, other):
    """What two languages of one document do not share: commands, sections, links and the figures of the tables."""
    wrong = [f"command {one!r} or {two!r}" for one, two in zip(commands_of(english), commands_of(other)) if one != two]
    wrong += ["number of commands"] * (len(commands_of(english)) != len(commands_of(other)))
    wrong += [f"figures {one} or {two}" for one, two in zip(figures(english), figures(other)) if one != two]
    wrong += ["number of rows"] * (len(figures(english)) != len(figures(other)))
    targets = [sorted(link for link in links(text) if link not in READMES and not link.startswith("#")) for text in (english, other)]
    wrong += ["links"] * (targets[0] != targets[1])
    return wrong + ["number of sections"] * (len(re.findall("^## ", english, re.M)) != len(re.findall("^## ", other, re.M)))


def links(text):
    prose = re.sub(r"`[^`\n]*`", "", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return re.findall(r"\]\(([^)\s]+)\)", prose)


def anchors(text):
    """A heading's anchor as GitHub makes it."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(path):
    wrong = []
    for link in links(path.read_text()):
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if re.match("https?:", link):
            continue
        if not target.exists() or anchor and anchor not in anchors(target.read_text()):
            wrong.append(f"{path.name}: {link}")
    return wrong


def test_the_readmes_are_short_and_their_scripts_exist(root):
    for name in READMES:
        assert not too_large((root / name).read_text()), name
    scripts = {line.split()[0] for line in commands(root) if line.startswith("scripts/")}
    assert {"scripts/demo", "scripts/test"} <= scripts
    assert all((root / script).stat().st_mode & 0o100 for script in scripts)


def test_size_counts_columns_of_wide_characters():
    assert too_large("a" * 111) and not too_large("a" * 110)
    assert too_large("\u3042" * 56) and not too_large("\u3042" * 55)
    assert too_large("a\n" * 131) and not too_large("a\n" * 130)


def test_both_languages_say_the_same(root):
    assert differences(*((root / name).read_text() for name in READMES)) == []


@pytest.mark.parametrize(
    "before, after",
    [
        ("--control identity", "--control none"),
        ("build/nkat inspect out/mine.gguf\n", ""),
        ("scripts/demo ", "scripts/fuzz "),
        ("5.6e-6", "5.6e-7"),
        ("(train/MEASURED.md)", "(train/README.md)"),
    ],
)
def test_a_difference_between_the_languages_is_found(root, before, after):
    english, other = ((root / name).read_text() for name in READMES)
    assert before in other
    assert differences(english, other.replace(before, after, 1))


def test_links_lead_somewhere(root, tmp_path):
    found = [path for path in source_rules.files(root) if path.suffix == ".md"]
    assert {root / name for name in READMES} <= set(found)
    assert [wrong for path in found for wrong in broken_links(path)] == []
    (tmp_path / "a.md").write_text("# One\n[a](#one) [b](#two) [c](b.md) `[d](c.md)` [e](https://example.org)\n")
    assert broken_links(tmp_path / "a.md") == ["a.md: #two", "a.md: b.md"]


def test_the_readmes_name_the_driver_that_the_program_asks_for(root):
    oldest = re.search(r"kOldestDriver = (\d+);", (root / "models" / "device.cpp").read_text()).group(1)
    assert f"NVIDIA driver {oldest} or newer" in (root / "README.md").read_text()
    assert f"NVIDIA ドライバー {oldest} 以降" in (root / "README.ja.md").read_text()


@pytest.mark.parametrize("name", READMES)
def test_the_example_of_a_data_line_is_a_record(name, root, nkat, tmp_path):
    (line,) = blocks((root / name).read_text(), "json")
    assert json.loads(line)["messages"]
    (tmp_path / "line.jsonl").write_text(line)
    done = nkat("data", "check", tmp_path / "line.jsonl", "--model-path", training.DEMO / "model")
    assert done.returncode == 0, done.stderr


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
    assert ran >= 14


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
    text = "".join((root / name).read_text() for name in (*READMES, "CONTRIBUTING.md"))
    for name in set(re.findall(r"scripts/\w+\b(?!\.md)", text)):
        assert (root / name).exists(), name
