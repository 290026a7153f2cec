"""Prints one line for each requirement that is absent, has another version, or has lost files; nothing if all is well."""

import fnmatch
import importlib.metadata
import sys


def problem(requirement: str) -> str | None:
    name, _, wanted = requirement.partition("==")
    try:
        distribution = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return f"absent {requirement}"
    if not fnmatch.fnmatch(distribution.version, wanted):
        return f"other {requirement} (found {distribution.version})"
    files = distribution.files or []
    lost = not files or any(not file.locate().exists() for file in files if "__pycache__" not in file.parts)
    return f"damaged {name}=={distribution.version}" if lost else None


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as requirements:
        lines = [line.split("#")[0].strip() for line in requirements]
    for line in filter(None, lines):
        found = problem(line)
        if found:
            print(found)


main()
