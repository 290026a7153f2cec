"""The options of an nkat command, read from its --help: the program is the only place that declares them."""

import difflib
import functools
import pathlib
import re
import subprocess
from dataclasses import dataclass

LINE = re.compile(r"^ +(?:-\w,)?--([a-z][a-z-]*)(?: (\S+))?(?: (\.\.\.))?(?: |$)", re.MULTILINE)
EXISTING = {"FILE", "DIR", "PATH", "RUN", "BASE.gguf", "DATA"}  # values that name something to be read


@dataclass
class NkatOption:
    key: str
    value: str  # FILE, N, a|b|c ...; empty: a switch
    is_list: bool

    def complaint(self, value) -> str:
        """What is wrong with a value of the config, or "" """
        if isinstance(value, list):
            texts = bool(value) and all(isinstance(item, str) for item in value)
            return "" if self.is_list and texts else "a list of texts was expected" if self.is_list else "one value was expected, found a list"
        if not self.value:
            return "" if isinstance(value, bool) else f"true or false was expected, found {value!r}"
        if isinstance(value, (bool, dict)) or value is None:
            return f"a text or a number was expected, found {value!r}"
        choices = self.value.split("|")
        if len(choices) > 1 and all(choice == choice.lower() for choice in choices) and value not in choices:
            return f"one of {', '.join(choices)} was expected, found {value!r}{did_you_mean(value, choices)}"
        if self.value in ("N", "X") and not isinstance(value, (int, float)):
            return f"a number was expected, found {value!r}"
        return ""

    def paths(self, value) -> list[pathlib.Path]:
        """The files and folders that a value names, to be read by the command."""
        if self.value not in EXISTING:
            return []
        items = value if isinstance(value, list) else [value]
        return [pathlib.Path(re.sub(r":\d+$", "", item)) if self.is_list else pathlib.Path(item) for item in map(str, items)]


def did_you_mean(name, known) -> str:
    near = difflib.get_close_matches(str(name), known, n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


@functools.cache
def options_of(nkat: str, command: str) -> dict[str, NkatOption]:
    text = subprocess.run([nkat, command, "--help"], capture_output=True, text=True, check=True).stdout
    found = [NkatOption(name.replace("-", "_"), value, bool(more)) for name, value, more in LINE.findall(text)]
    return {option.key: option for option in found}


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
