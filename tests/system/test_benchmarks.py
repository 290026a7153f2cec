"""The measuring scripts run, and what they compute from their measurements is right. Their figures are not judged here."""
import collections
import json
import math
import os
import re
import shutil
import subprocess
import sys

import pytest
import training

sys.path.insert(0, str(training.DEMO.parents[1] / "scripts" / "measure"))
from bench_parts import gpu_parts, growth, measure, peers, plots, profile_kinds  # noqa: E402

BASES = measure.choices_of("plan", "base") or [""]


def run(script, *words, **options):
    done = subprocess.run([measure.ROOT / "scripts" / script, *map(str, words)], capture_output=True, text=True, timeout=600, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_the_plan_is_within_five_percent_of_what_runs_hold(tmp_path):
    run("measure/plan_accuracy.py", tmp_path, "--few")
    record = json.loads((tmp_path / "plan_accuracy.json").read_text())
    assert len(record["rows"]) == 3 + len(BASES) and {row["recomputed_layers"] for row in record["rows"]} == {0, 2, 4}
    for row in record["rows"]:
        assert row["error"] == pytest.approx(row["planned_bytes"] / row["measured_bytes"] - 1)
        assert abs(row["error"]) <= 0.05, row
    assert (tmp_path / "plan_accuracy.md").read_text().count("\n| 256 x 4 |") == len(record["rows"])


def test_parts_of_the_benchmark_write_their_record_tables_and_plot(tmp_path):
    done = run("measure/bench.py", tmp_path, "--small", "--rounds", 1, "--parts", "limit", "growth", "startup", "plan")
    assert "no plot" not in done.stderr
    parts = json.loads((tmp_path / "bench.json").read_text())["parts"]
    limit = parts["limit"]
    seconds = limit["run"]["seconds"]
    ratios = [product / step for product, step in zip(seconds["products"], seconds["with_blocks"])]
    assert len(ratios) == 5 and limit["of_products"]["range"] == [min(ratios), max(ratios)]
    assert all(one["x"] and len(one["points"]) == len(one["x"]) for one in parts["growth"].values())
    assert parts["plan"]["choices"]["auto"]["fits"] and not parts["plan"]["choices"]["one layer less recomputes"]["fits"]
    startup = parts["startup"]
    assert startup["ratio"]["median"] == startup["seconds"][0] / startup["transformers_seconds"][0]
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
    assert "not measured" not in (tmp_path / "bench.md").read_text()


@pytest.fixture(scope="session")
def demo_file(tmp_path_factory):
    """The shipped model as a GGUF file."""
    path = tmp_path_factory.mktemp("demo") / "demo.gguf"
    measure.measured([measure.NKAT, "export", "--model-path", training.DEMO / "model", "--output", path, "--self-test", "off"])
    return path


def test_a_pretrained_file_is_trained_beside_transformers_in_each_precision(demo_file, tmp_path):
    run("measure/bench.py", tmp_path, "--small", "--rounds", 1, "--parts", "pretrained", "--model", demo_file)
    found = json.loads((tmp_path / "bench.json").read_text())["parts"]["pretrained"]
    units = re.findall(r"\b(?:avx512_bf16|amx_bf16)\b", subprocess.run(["lscpu"], capture_output=True, text=True, check=True).stdout)
    assert found["bf16_units"] == units and list(found["rows"]) == (["bf16"] if units else ["bf16", "fp32"])
    for precision, rows in found["rows"].items():
        ours, theirs = found["rounds"][0][precision].values()
        assert ours["tokens"] == theirs["tokens"] == found["global_batch_tokens"]
        assert rows["nkat"]["speed"]["median"] == pytest.approx(theirs["seconds"] / ours["seconds"])
        assert rows["nkat"]["peak"]["median"] == ours["peak_bytes"] / theirs["peak_bytes"]
        config = json.loads((tmp_path / "pretrained" / f"demo-{demo_file.stat().st_size}-{precision}" / "config.json").read_text())
        assert config["dtype"] == {"bf16": "bfloat16", "fp32": "float32"}[precision]
    assert (tmp_path / "bench.md").read_text().count("| demo.gguf, ") == len(found["rows"])


def test_a_pretrained_file_that_is_missing_is_named_before_anything_runs(tmp_path):
    words = [tmp_path / "work", "--parts", "pretrained", "--model", tmp_path / "no.gguf"]
    done = subprocess.run([measure.ROOT / "scripts/measure/bench.py", *words], capture_output=True, text=True)
    assert done.returncode == 1 and "no.gguf is missing; run scripts/setup --real" in done.stderr and not (tmp_path / "work").exists()


def test_a_profile_of_a_pretrained_file_has_nkat_beside_transformers(demo_file, tmp_path):
    if shutil.which("perf") is None or subprocess.run(["perf", "record", "-o", os.devnull, "true"], capture_output=True).returncode != 0:
        pytest.skip("sampling needs perf and the right to use it")
    said = run("measure/profile_step.py", tmp_path, "--small", "--steps", 1, "--model", demo_file).stdout
    found = json.loads((tmp_path / "profile.json").read_text())
    assert list(found["profiles"]) == ["nkat", "transformers"] and found["model"] == "demo.gguf"
    for one in found["profiles"].values():
        assert sum(one["seconds"].values()) == pytest.approx(one["busy"] * one["wall_seconds"] * measure.THREADS)
    assert "| cost | nkat, s a step | share | transformers, s a step | share |" in said


def test_the_memory_of_a_command_is_its_own_and_its_exit_code_is_told():
    held = bytearray(os.urandom(1) * (64 * measure.MIB))
    assert measure.measured(["true"])[1] < len(held)
    holds = "import sys; held = bytearray(b'x' * (100 << 20)); sys.exit(int(sys.argv[1]))"
    assert 100 * measure.MIB < measure.measured([sys.executable, "-c", holds, 0])[1] < 300 * measure.MIB
    with pytest.raises(measure.Failed) as failed:
        measure.measured([sys.executable, "-c", holds, 7])
    assert failed.value.code == 7


def test_the_tokenizers_speeds_stand_in_one_table_below_their_origin():
    said = run("measure/tokenizer_speed.py", "--megabytes", 1, "--pieces", 1000, "--kinds", "gpt2", "llama-legacy", "--rounds", 1).stdout
    assert re.match(r"date: .*\ncommit: .*\nmachine: .*\ncommand: scripts/measure/tokenizer_speed.py --megabytes 1 ", said)
    rows = [line.split(" | ") for line in said.splitlines() if line.startswith(("| gpt2", "| llama"))]
    assert [(row[0].strip("| "), row[1]) for row in rows] == [(kind, text) for kind in ("gpt2", "llama-legacy") for text in ("lines", "one text")]
    assert all(row[-1] == "equal |" for row in rows)


def test_the_table_of_plans_stands_below_date_machine_and_command(tmp_path):
    config = json.loads((training.DEMO / "model" / "config.json").read_text())
    lengths = dict.fromkeys(("max_position_embeddings", "original_max_position_embeddings"), 4096)
    (tmp_path / "config.json").write_text(json.dumps({**config, **lengths}))
    said = run("measure/plan_table.sh", tmp_path).stdout
    origin = r"date: 20\d\d-\d\d-\d\d\ncommit: [0-9a-f]{7}(?:, modified)?\nmachine: \d+ cores, \S.*\n"
    origin += rf"command: scripts/measure/plan_table.sh {tmp_path}\n\n"
    assert re.match(origin + r"\| tokens \|", said)
    assert re.findall(r"^\| (\d+) \|", said, re.M) == ["256", "512", "1024", "4096"]


def test_the_table_of_planted_forces_stands_below_date_machine_and_command():
    said = run("measure/gate_table.sh", "0.001").stdout
    assert re.match(r"date: .*\ncommit: .*\nmachine: .*\ncommand: scripts/measure/gate_table.sh 0.001\n\n", said) and "\n| ramp 0 to 1 |" in said


def test_every_shell_script_that_prints_figures_says_where_they_are_from():
    printing = {path.name for path in (measure.ROOT / "scripts" / "measure").glob("*.sh")} - {"build_llama_cpp.sh"}
    assert {"full_size.sh", "gate_table.sh", "highway.sh", "plan_table.sh"} <= printing
    for name in printing:
        assert re.search(r'^origin "\$@"$|^origin$', (measure.ROOT / "scripts" / "measure" / name).read_text(), re.M), name


REPORT = """# Overhead  Shared Object  Symbol
    60.00%  libtorch_cpu.so  [.] mkl_blas_avx512_sgemm_kernel_0
    20.00%  libgomp.so.1     [.] 0x000000000001e073
     9.00%  nkat             [.] nkat::layers::cpu::(anonymous namespace)::loss
     6.00%  [kernel]         [k] clear_page_erms
     4.00%  libtorch_cpu.so  [.] c10::Dispatcher::findOp
     2.00%  libpng16.so      [.] 0x0000000000000001
"""


def test_a_profile_names_what_threads_wait_for_and_adds_up_to_the_whole():
    found = profile_kinds.shares(REPORT)
    assert found["waiting for each other inside parallel loops (libgomp)"] == pytest.approx(100 * 20 / 101)
    assert found["cross-entropy"] == pytest.approx(100 * 9 / 101) and found["everything else"] == pytest.approx(100 * 2 / 101)
    rows = profile_kinds.rows(found, 3)
    assert [name for name, _ in rows][3] == "the other kinds" and sum(share for _, share in rows) == pytest.approx(100)


def test_kinds_of_two_profiles_stand_side_by_side_and_each_column_adds_up():
    one, other = collections.Counter({"a": 5.0, "b": 1.0, "c": 0.5}), collections.Counter({"b": 9.0, "d": 0.25})
    assert profile_kinds.beside([one, other], 2) == [("b", [1.0, 9.0]), ("a", [5.0, 0]), ("the other kinds", [0.5, 0.25])]


def test_a_plot_takes_any_label(tmp_path):
    bars = plots.Bars("what's drawn", "time over auto's", [("auto's \"own\"", 1.0, 0.5, 2.0)], 1.0)
    panel = plots.Panel("it's", "tokens", "MiB", [plots.Line("plan's", [(64, 2.2), (128, 2.3)])])
    assert plots.draw(tmp_path / "it's.png", [bars, panel]) == ""
    assert (tmp_path / "it's.png").read_bytes().startswith(b"\x89PNG")


def test_ticks_are_round_and_at_least_three():
    assert plots.round_values(0.02, 30) == [0.1, 1, 10]
    assert plots.round_values(40, 600) == [50, 100, 200, 500]
    assert plots.round_values(2.2, 4.9) == [2.5, 3, 4]


def test_the_exponent_of_a_power_law_is_found():
    xs = [64, 128, 512, 4096]
    assert growth.exponent(xs, [3 * x**1.25 for x in xs]) == pytest.approx(1.25)


def test_the_ratio_is_the_median_of_the_turns_ratios_with_their_range():
    assert measure.ratios([2.0, 9.0, 4.0], [1.0, 3.0, 4.0]) == {"median": 2.0, "range": [1.0, 3.0], "median_interval": None}


@pytest.mark.parametrize(
    "count, ranks", [(5, None), (6, [1, 6]), (15, [4, 12]), (60, [22, 39])]
)  # the sign test's table, as printed in statistics books
def test_the_medians_interval_is_that_of_the_sign_test(count, ranks):
    assert measure.median_interval(list(range(count, 0, -1))) == ranks



def test_without_peft_its_rows_say_how_to_get_it():
    assert "pip install peft" in peers.table({"PEFT LoRA, rank 8, batch 4": None})


def test_products_of_a_micro_batch_are_counted_as_the_plan_counts_them(tmp_path):
    """2 operations a weight and row: every matrix forward, back in all layers but the lowest, the head both ways on its targets."""
    out, _ = measure.measured([measure.STEP_BENCHMARK, "step", training.DEMO / "model", "--lengths", "9,7", "--rounds", 1])
    found = json.loads(out)
    config = json.loads((training.DEMO / "model" / "config.json").read_text())
    hidden, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    layer = 4 * hidden**2 + 3 * hidden * inner
    assert found["tokens"] == 16 and found["target_tokens"] == 14
    assert found["product_operations"] == 2 * (16 * layer * (2 * layers - 1) + 14 * 2 * config["vocab_size"] * hidden)


def test_the_gpu_check_runs_all_its_parts_on_a_cpu(tmp_path):
    run("gpu_check", tmp_path, "--device", "cpu", "--small", "--lengths", 32)
    record = json.loads((tmp_path / "gpu_check.json").read_text())
    assert record["kernels"]["passed"] > 5 and record["kernels"]["skipped"] == 0
    assert all(record["peak"][kind] > 0 for kind in gpu_parts.PEAKS)
    assert [row["base"] for row in record["training"]] == [base or "safe" for base in BASES]
    for row in record["training"]:
        assert math.isclose(row["hours"], 160000 * 32 / row["tokens_per_second"] / 3600)
        if row["base"] == "safe":  # BF16 products alone
            assert math.isclose(row["hours_on_rtx_3060_estimate"], row["hours"] * record["peak"]["operations_per_second"] / 25.5e12)
        # The plan is for full packing, which so few samples do not reach.
        assert row["of_peak"] > 0 and 0 < row["peak_bytes"] <= row["planned_bytes"]
    assert [row["batch"] for row in record["baseline"] if row["method"] == "adapter" and row["tokens_per_second"] > 0] == [1, 4]
    assert "| safe | 32 |" in (tmp_path / "gpu_check.md").read_text()


def test_the_gpu_check_ends_well_without_a_device(tmp_path):
    if subprocess.run([measure.ROOT / "build/tests/layers/layers_benchmark", "devices"], capture_output=True).stdout:
        pytest.skip("there is a CUDA device here")
    assert "skipped: no CUDA device" in run("gpu_check", tmp_path).stderr
