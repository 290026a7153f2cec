"""The rules of source_rules.py hold in this tree, and each finds a tree that breaks it."""
import pytest
import source_rules as rules

RULES = [
    rules.wrong_dependencies,
    rules.tensors_in_plain_modules,
    rules.cuda_outside_kernels,
    rules.posix_outside_core,
    rules.unguarded_headers,
    rules.unbuilt_sources,
    rules.crowded_folders,
    rules.long_files,
    rules.missing_citations,
    rules.headless_scripts,
]
SCRIPT = "#!/usr/bin/env bash\n# Counts the lines of a file.\n#   cost     a second\n#   command  scripts/count\n"
# A tree that breaks one rule, and what that rule must say of it.
BROKEN = [
    (rules.wrong_dependencies, {"data/a.cpp": '#include "models/b.h"\n'}, "data/a.cpp includes models/"),
    (rules.wrong_dependencies, {"train/a.h": '#include "export/b.h"\n'}, "train/a.h includes export/"),
    (rules.tensors_in_plain_modules, {"core/a.h": "#include <ATen/core/Tensor.h>\n"}, "core/a.h: ATen/core/Tensor.h"),
    (rules.cuda_outside_kernels, {"layers/a.cpp": "#include <cuda_runtime.h>\n"}, "layers/a.cpp: cuda_runtime.h"),
    (rules.posix_outside_core, {"data/a.cpp": "#include <sys/mman.h>\n"}, "data/a.cpp: sys/mman.h"),
    (rules.posix_outside_core, {"main.cpp": "#include <unistd.h>\n"}, "main.cpp: unistd.h"),
    (rules.unguarded_headers, {"core/a.h": "// Purpose.\n"}, "core/a.h: no #pragma once"),
    (rules.unguarded_headers, {"core/a.h": "#pragma once\n"}, "core/a.h: does not open with its purpose"),
    (rules.unguarded_headers, {"core/a.h": "// Purpose.\n#pragma once\nusing namespace std;\n"}, "core/a.h: using namespace"),
    (rules.unbuilt_sources, {"core/CMakeLists.txt": "f(gguf_config.cpp)", "core/config.cpp": ""}, "core/config.cpp"),
    (rules.unbuilt_sources, {"core/CMakeLists.txt": "f(b/a.cpp)", "core/a.cpp": ""}, "core/a.cpp"),
    (rules.unbuilt_sources, {"layers/CMakeLists.txt": "set_source_files_properties(a.cu X)", "layers/a.cu": ""}, "layers/a.cu"),
    (rules.unbuilt_sources, {"tests/fuzz/CMakeLists.txt": "# a.cpp", "tests/fuzz/a.cpp": ""}, "tests/fuzz/a.cpp"),
    (rules.crowded_folders, {f"core/a/{i}.h": "" for i in range(31)}, "core/a: 31 sources"),
    (rules.long_files, {"core/a.cpp": "\n" * 401}, "core/a.cpp: 401 lines"),
    (rules.missing_citations, {"core/a.h": "// See formats.md 3.\n"}, "core/a.h cites formats.md"),
    (rules.missing_citations, {"core/a.cpp": "int a;  // as in core/b.h\n"}, "core/a.cpp cites core/b.h"),
    (rules.missing_citations, {"tests/a.py": '"""Like scripts/count."""\n'}, "tests/a.py cites scripts/count"),
    (rules.missing_citations, {"README.md": "[more](core/MORE.md)\n"}, "README.md cites core/MORE.md"),
    (rules.headless_scripts, {"scripts/count": SCRIPT.replace("cost", "price")}, "scripts/count: no cost"),
    (rules.headless_scripts, {"scripts/count": SCRIPT.replace("# Counts the lines of a file.\n", "\n")}, "scripts/count: no purpose"),
    (rules.headless_scripts, {"scripts/measure/count": SCRIPT}, "scripts/measure/count: its command does not name it"),
    (rules.headless_scripts, {"scripts/parts/a.py": "import os\n"}, "scripts/parts/a.py: no purpose"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps(root, rule):
    assert rule(root) == []


@pytest.mark.parametrize(("rule", "tree", "finding"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_a_broken_tree_is_found_by(tmp_path, rule, tree, finding):
    for name, text in tree.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert rule(tmp_path) == [finding]


def test_each_rule_is_proved():
    assert {rule for rule, _, _ in BROKEN} == set(RULES)


def test_what_is_in_order_is_not_found(tmp_path):
    for name, text in {
        "CMakeLists.txt": "add_executable(nkat main.cpp) f(${PROJECT_SOURCE_DIR}/core/a.cpp)",
        "main.cpp": '#include "core/a.h"\n',
        "core/a.h": "// What scripts/count counts; see core/README.md and a.cpp.\n#pragma once\n",
        "core/a.cpp": "#include <sys/mman.h>\n",
        "core/README.md": "`core/a.h`, and the report.md that the program writes\n",
        "scripts/count": SCRIPT,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert [rule(tmp_path) for rule in RULES] == [[]] * len(RULES)
