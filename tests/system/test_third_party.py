"""THIRD_PARTY.md names what scripts/setup and scripts/requirements.txt install, in the versions that they ask for, and nothing else."""
import re
import subprocess

import pytest


def installed(root):
    """{(kind, name): version, None where Debian decides}."""
    setup = (root / "scripts" / "setup").read_text()
    packages = re.search(r"debian_packages=\((.*?)\)", setup, re.DOTALL)[1].split()
    found = {("Debian", name): None for name in packages}
    found["source", "llama-cpp-python"] = re.search(r"llama_cpp_version=(\S+)", setup)[1]
    for line in (root / "scripts" / "requirements.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, version = line.split("==")
            found["Python", name] = version
    return found


def named(text):
    """The same by the document's tables, all cells filled."""
    found = {}
    for kind, title in {"Debian": "Debian packages", "source": "Built from source", "Python": "Python packages"}.items():
        section = re.search(rf"^## [^\n]*{title}.*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)[0]
        for line in section.splitlines():
            if line.startswith("|") and not line.startswith(("| package", "|---")):
                cells = [cell.strip() for cell in line.strip("|").split("|")]
                assert len(cells) == 5 and all(cells), line
                found[kind, cells[0].split()[0]] = cells[1]
    return found


def differences(installed, named):
    found = [f"{name} ({kind}) is installed and not named" for kind, name in installed.keys() - named.keys()]
    found += [f"{name} ({kind}) is named and not installed" for kind, name in named.keys() - installed.keys()]
    both = [(key[1], named[key], version) for key, version in installed.items() if version and key in named]
    return found + [f"{name}: {said}, installed {version}" for name, said, version in both if said != version]


def test_the_document_names_what_is_installed(root):
    assert differences(installed(root), named((root / "THIRD_PARTY.md").read_text())) == []


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("| ccache |", "| other |", ["ccache (Debian) is installed and not named", "other (Debian) is named and not installed"]),
        ("| ruff | 0", "| ruff | 9", ["ruff: 9"]),
        ("| torch | 2.11.0 |", "| torch | 2.11.1 |", ["torch: 2.11.1, installed 2.11.0"]),
    ],
)
def test_a_wrong_line_is_found(root, old, new, finding):
    text = (root / "THIRD_PARTY.md").read_text()
    assert old in text
    found = differences(installed(root), named(text.replace(old, new, 1)))
    assert len(found) == len(finding) and all(said.startswith(expected) for said, expected in zip(found, finding))


def test_what_the_scripts_fetch_themselves_is_named_in_its_version(root):
    text = (root / "THIRD_PARTY.md").read_text()
    version = re.search(r"^version=(\S+)", (root / "scripts/measure/build_llama_cpp.sh").read_text(), re.MULTILINE)[1]
    assert f"| llama-cpp-python | {version} |" in text
    listed = subprocess.run(["git", "grep", "-hoE", "pip install [a-z]+==[0-9.]+[0-9]", "scripts"], cwd=root, capture_output=True, text=True)
    for name, version in re.findall(r"install ([a-z]+)==([0-9.]+)", listed.stdout):
        assert f"| {name} | {version} |" in text
