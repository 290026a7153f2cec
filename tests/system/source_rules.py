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
LLAMA_CPP_SOURCES = {"ggml-common.h", "gguf.cpp"}
TENSOR_HEADERS = re.compile(r'#include [<"]((?:ATen|torch|c10)/[^>"]+)')
CUDA_HEADERS = re.compile(r'#include [<"]((?:cuda|cudnn|cublas|nccl|c10/cuda|ATen/cuda)[^>"]+)')
POSIX_HEADERS = re.compile(
    r"#include <((?:sys/|net/|netinet/|arpa/)\w+\.h|(?:unistd|fcntl|poll|sched|signal|dirent|dlfcn|pthread|pwd|spawn|termios)\.h)>"
)
MOST_SOURCES, MOST_LINES, MOST_BODY_LINES = 30, 400, 60
# A function as clang-format leaves it: a head, whose further lines are indented, and a body that ends in the head's column.
FUNCTION = re.compile(
    r"^( *)(?!namespace\b|class\b|struct\b|union\b|enum\b|extern\b|public:|protected:|private:)([A-Za-z_~\[].*(?:\n\1 .*)*?)(?<!=) \{\n"
    r"((?:(?!\1\}).*\n)*)\1\}",
    re.M,
)
# What writes to a terminal or ends the process: a library throws and returns.
PRINTING = re.compile(
    r"std::(?:cout|cerr|clog)\b|(?:fmt|std)::print(?:ln)?\b"
    r"|(?<![\w.>:])(?:std::|::)?(?:f?printf|f?puts|fputc|putchar|perror|_?exit|_Exit|quick_exit|abort|terminate) ?\("
)
# bounded_worker ends the child process that it made, and nothing else.
MAY_PRINT = re.compile(r".*_command\.cpp|core/cli/.*|core/(?:signals|bounded_worker)\.cpp")
# Sources without a unit test of their own: a command's is a system test, generated texts have their generator's, and the rest
# what is named here.
COVERED = {
    r".*_command\.cpp": "tests/system/test_errors.py",
    r"core/error\.cpp": "tests/system/test_errors.py",
    r"core/precompiled\.cpp|layers/precompiled/.*": "CMakeLists.txt",
    r"data/datasets/dataset_options\.cpp": "tests/train/train_config_test.cpp",
    r"data/formats/gguf_format\.cpp": "tests/data/formats/gguf_reader_test.cpp",
    r"data/text/unicode/category_table\.cpp": "tests/data/text/unicode/categories_test.cpp",
    r"data/text/unicode/canonical_table\.cpp": "tests/data/text/unicode/nfc_test.cpp",
    r"data/quantize/kernels_\w+\.cpp": "tests/data/quantize/quantize_test.cpp",
    r"data/synthetic/.*": "tests/data/synthetic/generators_test.cpp",
    r"export/merge/export_source\.cpp": "tests/system/test_export_merge.py",
    r"layers/cpu/(?:convert_rows|int8_rows)\.cpp": "tests/layers/quantized/int8_rows_test.cpp",
    r"layers/cpu/nf4\.cpp": "tests/layers/quantized/nf4_matrix_test.cpp",
    r"layers/kernels/(?:device_info|nccl_group|no_cuda)\.cpp": "tests/system/test_gpu_check.py",
    r"validation/run_validation\.cpp": "tests/system/test_validate.py",
    r"validation/tasks/(?:answer_generation|eval_model)\.cpp": "tests/system/test_tasks.py",
}
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


def untested_sources(root):
    """`train/schedule.cpp` has `tests/train/schedule_test.cpp`; `layers/cpu/x.cpp` and `layers/kernels/x.cu` have that of `layers/x.cpp`."""
    wrong = []
    for path in library_sources(root, ".cpp", ".cu"):
        name = str(path.relative_to(root))
        stem = name.rsplit(".", 1)[0]
        tests = [f"tests/{stem}_test.cpp", f"tests/{re.sub('^layers/(cpu|kernels)/', 'layers/', stem)}_test.cpp"]
        tests += [test for pattern, test in COVERED.items() if re.fullmatch(pattern, name)]
        if not any((root / test).exists() for test in tests):
            wrong.append(f"{name}: no {tests[0]}")
    return wrong


def figures_without_commit(root):
    """A dated line of a document says which commit was measured; the dates in THIRD_PARTY.md are versions."""
    return [
        f"{path.relative_to(root)}:{number}: a date without a commit"
        for path in files(root)
        if path.suffix == ".md" and path.name != "THIRD_PARTY.md"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"\b20\d\d-\d\d-\d\d\b", line) and not re.search(r"\bcommits? [0-9a-f]{7}\b", line)
    ]


def crowded_folders(root):
    counts = {}
    for path in library_sources(root):
        counts[path.parent] = counts.get(path.parent, 0) + 1
    return [f"{folder.relative_to(root)}: {count} sources" for folder, count in counts.items() if count > MOST_SOURCES]


def long_files(root):
    counts = {path: len(path.read_text().splitlines()) for path in library_sources(root)}
    return [f"{path.relative_to(root)}: {count} lines" for path, count in counts.items() if count > MOST_LINES]


def long_functions(root):
    wrong = []
    for path in library_sources(root):
        text = path.read_text()
        for found in FUNCTION.finditer(text):
            if (count := found[3].count("\n")) > MOST_BODY_LINES:
                line = 1 + text.count("\n", 0, found.start())
                wrong.append(f"{path.relative_to(root)}:{line}: a body of {count} lines")
    return wrong


def printing_libraries(root):
    return [
        f"{name}: {found}"
        for path in library_sources(root)
        if not MAY_PRINT.fullmatch(name := str(path.relative_to(root)))
        for found in PRINTING.findall(re.sub(r"//.*", "", path.read_text()))
    ]


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
    """Documents, files and folders that a comment or a document names and the tree does not hold."""
    top = "|".join((*MAY_INCLUDE, "scripts", "tests"))
    document = re.compile(r"[\w./-]*\w\.md\b")
    file = re.compile(rf"(?<![\w./-])(?:{top})/[\w./-]+\.(?:h|cuh|cpp|cu|py|sh|json|txt)\b|(?<![\w./-])scripts/\w[\w/]*\b(?!\w|\.\w)")
    folder = re.compile(rf"(?<![\w./-])(?:{top})/[\w/-]*\w/?(?![\w/*{{<-]|\.[\w*])")
    bare = re.compile(r"`([\w-]+\.(?:h|cuh|cpp|cu))`")
    in_tree = {path.name for path in files(root)}
    elsewhere = WRITTEN | LLAMA_CPP_SOURCES
    wrong = []
    for path in files(root):
        if path.suffix not in (*SOURCES, ".md", ".py", ".sh", ".txt", "") or path.name.startswith("."):
            continue
        prose = prose_of(path)
        cited = {name for pattern in (document, file, folder) for name in pattern.findall(prose)}
        missing = {name for name in cited if not any((at / name).exists() for at in (root, path.parent))}
        missing |= set(bare.findall(prose)) - in_tree
        # `x` stands for any file's name; a folder docs/ is another project's.
        wrong += [
            f"{path.relative_to(root)} cites {name}"
            for name in missing
            if pathlib.PurePath(name).name not in elsewhere and not re.match(r"docs/|(?:.*/)?x(?:[._]|$)", name)
        ]
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


# The target that a system library's headers, and LibTorch's, need.
TARGET_OF = {"openssl": "OpenSSL::Crypto", "spdlog": "spdlog::spdlog", "CLI": "CLI11::CLI11", "boost": "Boost::headers"}
TARGET_OF |= {"jinja": "jinja", "ggml.h": "ggml_base", "pcre2.h": "pcre2"}
TARGET_OF |= {"ATen": "libtorch", "torch": "libtorch", "c10": "libtorch"}


def cmake_libraries(root):
    """The modules' libraries by name: folder, files listed, and among other words the links that users see and those that they don't."""
    libraries = {}
    for path in (path for module in MAY_INCLUDE for path in files(root / module) if path.name == "CMakeLists.txt"):
        text = re.sub(r"#.*", "", path.read_text()).replace("nkat::", "nkat_")
        for name, value in re.findall(r"\bset\((\w+)\s+([^)]*)\)", text):
            text = text.replace(f"${{{name}}}", value)
        for call, name, arguments in re.findall(r"\b(nkat_module|add_library|target_link_libraries)\((\w+)([^)]*)\)", text):
            name = f"nkat_{name}" if call == "nkat_module" else name
            library = libraries.setdefault(name, {"folder": path.parent, "listed": set(), "public": set(), "private": set()})
            public, _, private = arguments.partition("PRIVATE")
            library["listed"] |= {path.parent / word for word in arguments.split() if word.endswith(SOURCES)}
            library["public"] |= {*public.split(), *["libtorch"] * (call == "nkat_module" and "plain" not in public.split())}
            library["private"] |= set(private.split())
    return libraries


def owners(libraries, header):
    """Who lists a header or the source of its name; if nobody does, who compiles sources in the nearest folder above that has a library."""
    named = {header, header.with_suffix(".cpp"), header.with_suffix(".cu")}
    compiled = {name: one["folder"] for name, one in libraries.items() if any(path.suffix != ".h" for path in one["listed"])}
    nearest = max((folder for folder in compiled.values() if folder in header.parents), default=None)
    return {name for name, one in libraries.items() if one["listed"] & named} or {name for name, at in compiled.items() if at == nearest}


def undeclared_links(root):
    """What a library's files, and the headers that they reach, include is of a target that the library links."""
    libraries, wrong = cmake_libraries(root), set()
    for target, library in libraries.items():
        linked = [target, *library["public"], *library["private"]]
        for link in linked:
            linked += libraries.get(link, {}).get("public", set()) - set(linked)
        reached = list(library["listed"])
        for path in reached:
            for name in re.findall(r'#include [<"]([^>"]+)', path.read_text() if path.exists() else ""):
                ours = (top := name.split("/")[0]) in MAY_INCLUDE
                if not (owners(libraries, root / name) if ours else {TARGET_OF.get(top, target)}) & set(linked):
                    wrong.add(f"{target}: {path.relative_to(root)} includes {name}")
                elif ours and root / name not in reached:
                    reached.append(root / name)
    return sorted(wrong)
