"""The options of an nkat command, read from its `--help --json`: the program is the only place that declares them."""

import difflib
import functools
import json
import pathlib
import re
import subprocess
from dataclasses import dataclass, field

EXISTING = {"FILE", "DIR", "PATH", "RUN", "BASE.gguf"}  # metavars of values that name something to be read


@dataclass
class NkatOption:
    key: str
    type: str  # string, integer, number, choice, switch, list
    metavar: str = ""
    choices: list[str] = field(default_factory=list)
    resume: str = "fixed"  # what a resumed run may change: fixed, same_content, may_change

    def complaint(self, value) -> str:
        """What is wrong with a value of the config, or "" """
        if isinstance(value, list):
            strings = bool(value) and all(isinstance(item, str) for item in value)
            if self.type != "list":
                return "expected one value, found a list"
            return "" if strings else "expected a list of strings"
        if self.type == "switch":
            return "" if isinstance(value, bool) else f"expected true or false, found {value!r}"
        if isinstance(value, (bool, dict)) or value is None:
            return f"expected a string or a number, found {value!r}"
        if self.choices and folded(value) not in map(folded, self.choices):
            return f"expected one of {', '.join(self.choices)}, found {value!r}{did_you_mean(value, self.choices)}"
        if self.type in ("integer", "number") and not isinstance(value, (int, float)):
            return f"expected a number, found {value!r}"
        return ""

    def canonical(self, value):
        """A value as nkat itself spells it."""
        spelled = (choice for choice in self.choices if folded(choice) == folded(value))
        return next(spelled, value)

    def paths(self, value) -> list[pathlib.Path]:
        """The files and folders that a value names, to be read by the command."""
        if self.metavar not in EXISTING:
            return []
        items = value if isinstance(value, list) else [value]
        return [pathlib.Path(re.sub(r":\d+$", "", item)) if self.type == "list" else pathlib.Path(item) for item in map(str, items)]


def folded(name) -> str:
    """As nkat compares names: capital letters don't matter, and a blank or an underscore is a dash."""
    return str(name).lower().replace("_", "-").replace(" ", "-")


def did_you_mean(name, known) -> str:
    near = difflib.get_close_matches(str(name), known, n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


@functools.cache
def help_of(nkat: str, command: str) -> dict:
    return json.loads(subprocess.run([nkat, command, "--help", "--json"], capture_output=True, text=True, check=True).stdout)


@functools.cache
def options_of(nkat: str, command: str) -> dict[str, NkatOption]:
    """By key."""
    said = help_of(nkat, command)
    found = {one["key"]: NkatOption(one["key"], one["type"], one["metavar"], one["choices"], one["resume"]) for one in said["options"]}
    if said["presets"]:
        found["preset"] = NkatOption("preset", "choice", choices=list(said["presets"]))
    return found


@functools.cache
def former_keys(nkat: str, command: str) -> dict[str, str]:
    """The present keys of options, by their former ones."""
    return {alias.replace("-", "_"): one["key"] for one in help_of(nkat, command)["options"] for alias in one["aliases"]}


def words_of(options: dict) -> list[str]:
    """A section of the config as the words of a command line."""
    words = []
    for key, value in options.items():
        flag = "--" + key.replace("_", "-")
        if value is True:
            words.append(flag)
        elif value is not False:
            words += [flag, *map(str, value if isinstance(value, list) else [value])]
    return words
