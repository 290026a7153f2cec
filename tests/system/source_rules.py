"""The rules of the tree that no compiler checks, as functions of the tree's root; each returns what breaks it, one line a finding."""
import ast
import io
import os
import pathlib
import re
import tokenize

# A module may include itself, core and what stands before it here; siblings of the last line never each other.
MAY_INCLUDE = {
    "core": [],
    "data": ["core"],
    "layers": ["core"],
    "models": ["core", "data", "layers"],
    "train": ["core", "data", "layers", "models"],
    "validation": ["core", "data", "layers", "models"],
    "export": ["core", "data", "layers", "models"],
}
SOURCES = (".h", ".cpp", ".cu", ".cuh")
TENSOR_HEADERS = re.compile(r'#include [<"]((?:ATen|torch|c10)/[^>"]+)')
CUDA_HEADERS = re.compile(r"#include <((?:cuda|c10/cuda|ATen/cuda)[^>]+)")
POSIX_HEADERS = re.compile(
    r"#include <((?:sys/|net/|netinet/|arpa/)\w+\.h|(?:unistd|fcntl|poll|sched|signal|dirent|dlfcn|pthread|pwd|spawn|termios)\.h)>"
)
MOST_SOURCES, MOST_LINES = 30, 400
# What programs and scripts write is named in their help and is no document of the tree.
WRITTEN = {"report.md", "summary.md", "bench.md", "bench_export.md", "base_gradients.md", "gpu_check.md", "plan_accuracy.md"}


def files(root):
    """Every file of the tree but what builds, set-up and runs leave."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            name for name in folders if name not in (".git", ".venv", ".deps", "runs", "__pycache__") and not re.match(r"build\b|\..*_cache", name)
        )
        yield from (pathlib.Path(folder) / name for name in sorted(names))


def sources(root, *endings, modules=(*MAY_INCLUDE, "tests")):
    return [path for path in files(root) if path.suffix in (endings or SOURCES) and path.relative_to(root).parts[0] in modules]


def library_sources(root, *endings):
    return sources(root, *endings, modules=MAY_INCLUDE)


def matches(root, paths, pattern):
    return [f"{path.relative_to(root)}: {found}" for path in paths for found in re.findall(pattern, path.read_text())]


def wrong_dependencies(root):
    return [
        f"{path.relative_to(root)} includes {included}/"
        for path in library_sources(root)
        for included in re.findall(r'#include "(\w+)/', path.read_text())
        if included not in [(module := path.relative_to(root).parts[0]), *MAY_INCLUDE[module]]
    ]


def tensors_in_plain_modules(root):
    return matches(root, sources(root, modules=("core", "data")), TENSOR_HEADERS)


def cuda_outside_kernels(root):
    return matches(root, [path for path in library_sources(root) if "kernels" not in path.parts], CUDA_HEADERS)


def posix_outside_core(root):
    return matches(
        root, [path for path in [*library_sources(root), *root.glob("main.cpp")] if path.relative_to(root).parts[0] != "core"], POSIX_HEADERS
    )


def unguarded_headers(root):
    wrong = []
    for path in sources(root, ".h", ".cuh"):
        text = path.read_text()
        wrong += [f"{path.relative_to(root)}: no #pragma once"] * ("#pragma once" not in text)
        wrong += [f"{path.relative_to(root)}: does not open with its purpose"] * (not text.startswith("//"))
        wrong += [f"{path.relative_to(root)}: using namespace"] * ("using namespace" in text)
    return wrong


def listed_sources(root):
    """The sources that a CMakeLists.txt names, by their whole paths; properties of a source don't build it."""
    listed = set()
    for path in (path for path in files(root) if path.name == "CMakeLists.txt"):
        text = re.sub(r"#.*", "", path.read_text())
        text = re.sub(r"set_source_files_properties\([^)]*\)", "", text)
        for name, place in {"PROJECT_SOURCE_DIR": root, "CMAKE_CURRENT_SOURCE_DIR": path.parent, "root": root}.items():
            text = text.replace(f"${{{name}}}", str(place))
        listed |= {pathlib.Path(os.path.normpath(path.parent / word)) for word in re.findall(r"[^\s()\"]+\.(?:cpp|cu)\b", text)}
    return listed


def unbuilt_sources(root):
    listed = listed_sources(root)
    built = [path for path in [*sources(root, ".cpp", ".cu"), *root.glob("*.cpp")] if "fixtures" not in path.parts]
    return [str(path.relative_to(root)) for path in built if path not in listed]


def crowded_folders(root):
    counts = {}
    for path in library_sources(root):
        counts[path.parent] = counts.get(path.parent, 0) + 1
    return [f"{folder.relative_to(root)}: {count} sources" for folder, count in counts.items() if count > MOST_SOURCES]


def long_files(root):
    counts = {path: len(path.read_text().splitlines()) for path in library_sources(root)}
    return [f"{path.relative_to(root)}: {count} lines" for path, count in counts.items() if count > MOST_LINES]


def python_prose(text):
    """Comments and docstrings."""
    prose = [token.string for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type == tokenize.COMMENT]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            prose.append(ast.get_docstring(node) or "")
    return "\n".join(prose)


def prose_of(path):
    """What a file says to its reader: the whole of a document, the comments of code."""
    text = path.read_text() if path.suffix in (*SOURCES, ".md", ".py", ".sh", ".txt", "") else ""
    if path.suffix == ".md":
        return text
    if path.suffix in SOURCES:
        return "\n".join(re.findall(r"//.*", text))
    if "python" in text.split("\n", 1)[0] or path.suffix == ".py":
        return python_prose(text)
    return "\n".join(re.findall(r"(?:^|\s)#.*", text))


def missing_citations(root):
    """Documents and files that a comment or a document names and the tree does not hold."""
    top = "|".join((*MAY_INCLUDE, "scripts", "tests"))
    document = re.compile(r"[\w./-]*\w\.md\b")
    file = re.compile(rf"(?<![\w./-])(?:{top})/[\w./-]+\.(?:h|cuh|cpp|cu|py|sh|json|txt)\b|(?<![\w./-])scripts/\w[\w/]*\b(?!\w|\.\w)")
    wrong = []
    for path in files(root):
        if path.suffix not in (*SOURCES, ".md", ".py", ".sh", ".txt", "") or path.name.startswith("."):
            continue
        prose = prose_of(path)
        for name in {*document.findall(prose), *file.findall(prose)}:
            if pathlib.PurePath(name).name in WRITTEN or re.match(r"x[._]", pathlib.PurePath(name).name) or name.startswith("docs/"):
                continue  # `x` stands for any name; a folder docs/ is another project's
            if not any((folder / name).exists() for folder in (root, path.parent)):
                wrong.append(f"{path.relative_to(root)} cites {name}")
    return sorted(wrong)


def headless_scripts(root):
    """A script that is run opens with its purpose, its cost and a command that names it; a part of one with its purpose."""
    wrong = []
    for path in files(root / "scripts"):
        name = str(path.relative_to(root))
        head = path.read_text()[:3000] if path.suffix in ("", ".py", ".sh") else ""
        if head.startswith("#!"):
            purpose = head.split("\n")[1]
            wrong += [f"{name}: no purpose"] * (len(purpose) < 20 or not purpose.startswith(("# ", '"""')))
            wrong += [f"{name}: no {word}" for word in ("cost", "command") if not re.search(rf"^#?\s+{word} ", head, re.M)]
            wrong += [f"{name}: its command does not name it"] * (
                not re.search(rf"^#?\s+command .*{re.escape(name)}\b|^#?\s+{re.escape(name)}\b", head, re.M)
            )
        elif path.suffix == ".py" and head.strip() and not head.startswith('"""'):
            wrong.append(f"{name}: no purpose")
    return wrong
