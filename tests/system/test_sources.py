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
    rules.untested_sources,
    rules.figures_without_commit,
    rules.crowded_folders,
    rules.long_files,
    rules.long_functions,
    rules.printing_libraries,
    rules.missing_citations,
    rules.headless_scripts,
    rules.undeclared_links,
]
BODY = "  int a;\n" * 61
SCRIPT = "#!/usr/bin/env bash\n# Counts the lines of a file.\n#   cost     a second\n#   command  scripts/count\n"
# Libraries that link each other as the tree's do.
LIBRARIES = {
    "core/CMakeLists.txt": "nkat_module(core plain SOURCES hash.cpp PRIVATE_LINKS OpenSSL::Crypto)",
    "core/hash.cpp": "#include <openssl/evp.h>\n",
    "data/CMakeLists.txt": "nkat_module(data plain SOURCES a.cpp LINKS nkat::core)",
    "layers/CMakeLists.txt": "add_library(nkat_layer_math INTERFACE plain.h)\nset(all b.cpp)\n"
    "nkat_module(layers autograd SOURCES ${all} LINKS nkat::core nkat::layer_math nkat_kernels)",
    "layers/b.cpp": '#include <torch/a.h>\n#include "layers/k/launch.h"\n#include "layers/loops.h"\n#include "layers/plain.h"\n',
    "layers/k/CMakeLists.txt": "add_library(nkat_kernels STATIC a.cu)\n"
    "target_link_libraries(nkat_kernels PUBLIC libtorch PRIVATE nkat::core)",
    "layers/k/launch.h": '#include <ATen/a.h>\n#include "core/hash.h"\n',
    "validation/CMakeLists.txt": "nkat_module(analysis plain SOURCES a.cpp LINKS nkat::data nkat::layer_math)",
    "validation/a.cpp": '#include "core/hash.h"\n#include "layers/plain.h"\n',
}
# A tree that breaks one rule, and what that rule must say of it.
BROKEN = [
    (rules.wrong_dependencies, {"data/a.cpp": '#include "models/b.h"\n'}, "data/a.cpp includes models/"),
    (rules.wrong_dependencies, {"train/a.h": '#include "export/b.h"\n'}, "train/a.h includes export/"),
    (rules.tensors_in_plain_modules, {"core/a.h": "#include <ATen/core/Tensor.h>\n"}, "core/a.h: ATen/core/Tensor.h"),
    (rules.cuda_outside_kernels, {"layers/a.cpp": "#include <cuda_runtime.h>\n"}, "layers/a.cpp: cuda_runtime.h"),
    (rules.cuda_outside_kernels, {"models/a.h": '#include "nccl.h"\n'}, "models/a.h: nccl.h"),
    (rules.posix_outside_core, {"data/a.cpp": "#include <sys/mman.h>\n"}, "data/a.cpp: sys/mman.h"),
    (rules.posix_outside_core, {"main.cpp": "#include <unistd.h>\n"}, "main.cpp: unistd.h"),
    (rules.unguarded_headers, {"core/a.h": "// Purpose.\n"}, "core/a.h: no #pragma once"),
    (rules.unguarded_headers, {"core/a.h": "#pragma once\n"}, "core/a.h: does not open with its purpose"),
    (rules.unguarded_headers, {"core/a.h": "// Purpose.\n#pragma once\nusing namespace std;\n"}, "core/a.h: using namespace"),
    (rules.unbuilt_sources, {"core/CMakeLists.txt": "f(gguf_config.cpp)", "core/config.cpp": ""}, "core/config.cpp"),
    (rules.unbuilt_sources, {"core/CMakeLists.txt": "f(b/a.cpp)", "core/a.cpp": ""}, "core/a.cpp"),
    (rules.unbuilt_sources, {"layers/CMakeLists.txt": "set_source_files_properties(a.cu X)", "layers/a.cu": ""}, "layers/a.cu"),
    (rules.unbuilt_sources, {"tests/fuzz/CMakeLists.txt": "# a.cpp", "tests/fuzz/a.cpp": ""}, "tests/fuzz/a.cpp"),
    (rules.untested_sources, {"core/a.cpp": "", "tests/core/b_test.cpp": ""}, "core/a.cpp: no tests/core/a_test.cpp"),
    (rules.untested_sources, {"core/a_command.cpp": ""}, "core/a_command.cpp: no tests/core/a_command_test.cpp"),
    (rules.figures_without_commit, {"core/MEASURED.md": "On 2026-11-21, 2 cores: 3 s\n"}, "core/MEASURED.md:1: a date without a commit"),
    (rules.figures_without_commit, {"core/a/README.md": "\n`scripts/count`, 2026-11-21: 3 s\n"}, "core/a/README.md:2: a date without a commit"),
    (rules.crowded_folders, {f"core/a/{i}.h": "" for i in range(31)}, "core/a: 31 sources"),
    (rules.long_files, {"core/a.cpp": "\n" * 401}, "core/a.cpp: 401 lines"),
    (rules.long_functions, {"core/a.cpp": f"int f() {{\n{BODY}}}\n"}, "core/a.cpp:1: a body of 61 lines"),
    (rules.long_functions, {"core/a.h": f"\nA::A(int b,\n     int c)\n    : b_(b) {{\n{BODY}}}\n"}, "core/a.h:2: a body of 61 lines"),
    (rules.long_functions, {"core/a.h": f"\n[[nodiscard]] int f() {{\n{BODY}}}\n"}, "core/a.h:2: a body of 61 lines"),
    (rules.long_functions, {"core/a.h": f"struct A {{\n  int f() const {{\n  {BODY}  }}\n}};\n"}, "core/a.h:2: a body of 61 lines"),
    (rules.printing_libraries, {"train/a.cpp": "void f() { std::cerr << 1; }\n"}, "train/a.cpp: std::cerr"),
    (rules.printing_libraries, {"core/a.cpp": "void f() { std::fprintf(stderr, a); }\n"}, "core/a.cpp: std::fprintf("),
    (rules.printing_libraries, {"export/a.h": "void f() { fmt::print(stderr, a); }\n"}, "export/a.h: fmt::print"),
    (rules.printing_libraries, {"layers/a.cu": "void f() { ::_exit(1); }\n"}, "layers/a.cu: ::_exit("),
    (rules.printing_libraries, {"data/a.h": "void f() { std::terminate (); }\n"}, "data/a.h: std::terminate ("),
    (rules.printing_libraries, {"data/a.cpp": "void f() { std::abort(); }\n"}, "data/a.cpp: std::abort("),
    (rules.missing_citations, {"core/a.h": "// See formats.md 3.\n"}, "core/a.h cites formats.md"),
    (rules.missing_citations, {"core/a.cpp": "int a;  // as in core/b.h\n"}, "core/a.cpp cites core/b.h"),
    (rules.missing_citations, {"core/README.md": "the loops of `b.h`\n"}, "core/README.md cites b.h"),
    (rules.missing_citations, {"tests/a.py": '"""Like scripts/count."""\n'}, "tests/a.py cites scripts/count"),
    (rules.missing_citations, {"tests/a.py": "# for a change in export/b\n"}, "tests/a.py cites export/b"),
    (rules.missing_citations, {"core/README.md": "the files of `data/x/`\n"}, "core/README.md cites data/x/"),
    (rules.missing_citations, {"README.md": "[more](core/MORE.md)\n"}, "README.md cites core/MORE.md"),
    (rules.headless_scripts, {"scripts/count": SCRIPT.replace("cost", "price")}, "scripts/count: no cost"),
    (rules.headless_scripts, {"scripts/count": SCRIPT.replace("# Counts the lines of a file.\n", "\n")}, "scripts/count: no purpose"),
    (rules.headless_scripts, {"scripts/measure/count": SCRIPT}, "scripts/measure/count: its command does not name it"),
    (rules.headless_scripts, {"scripts/parts/a.py": "import os\n"}, "scripts/parts/a.py: no purpose"),
    (rules.undeclared_links, {**LIBRARIES, "data/a.cpp": '#include "layers/plain.h"\n'}, "nkat_data: data/a.cpp includes layers/plain.h"),
    (rules.undeclared_links, {**LIBRARIES, "layers/k/a.cu": '#include "layers/b.h"\n'}, "nkat_kernels: layers/k/a.cu includes layers/b.h"),
    (rules.undeclared_links, {**LIBRARIES, "layers/k/a.cu": '#include "layers/c.h"\n'}, "nkat_kernels: layers/k/a.cu includes layers/c.h"),
    (rules.undeclared_links, {**LIBRARIES, "data/a.cpp": "#include <openssl/evp.h>\n"}, "nkat_data: data/a.cpp includes openssl/evp.h"),
    (rules.undeclared_links, {**LIBRARIES, "layers/b.cpp": "#include <boost/a.hpp>\n"}, "nkat_layers: layers/b.cpp includes boost/a.hpp"),
    (
        rules.undeclared_links,
        {**LIBRARIES, "validation/a.cpp": '#include "validation/b.h"\n', "validation/b.h": "#include <torch/a.h>\n"},
        "nkat_analysis: validation/b.h includes torch/a.h",
    ),
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
        "CMakeLists.txt": "add_executable(nkat main.cpp) f(${PROJECT_SOURCE_DIR}/core/a.cpp core/a_command.cpp tests/core/a_test.cpp)",
        "main.cpp": '#include "core/a.h"\n',
        "core/a.h": "// What scripts/count counts; see core/README.md and a.cpp.\n#pragma once\n",
        "core/a.cpp": "#include <sys/mman.h>\nvoid A::abort() { a.exit(); }  // not std::abort()\n",
        "core/b.h": f"// A long table.\n#pragma once\nconst int a[] = {{\n{BODY}}};\nint f(int a,\n      int b) {{\n{BODY[9:]}}}\n",
        "core/a_command.cpp": "std::cout << 1;  // of core/ and layers/x\n",
        "tests/system/test_errors.py": "",
        "THIRD_PARTY.md": "| libgloo-dev | 2022-05-18 |\n",
        "tests/core/a_test.cpp": "",
        "core/MEASURED.md": "On 2026-11-21, commit 90467ce, 2 cores: 3 s\n",
        "core/README.md": "`core/a.h`, and the report.md that the program writes\n",
        "scripts/count": SCRIPT,
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert [rule(tmp_path) for rule in RULES] == [[]] * len(RULES)
