"""The parts of scripts/gpu_check: each takes its options and the record so far and returns (what was found, [failures])."""
import importlib.util
import json
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys

from bench_parts import limit, measure
from bench_parts.measure import GIB, ROOT
from bench_parts.samples import write_full_samples

LAYERS_TESTS = ROOT / "build" / "tests" / "layers" / "layers_tests"
LAYERS_BENCHMARK = ROOT / "build" / "tests" / "layers" / "layers_benchmark"
RTX_3060_OPERATIONS = 25.5e12
SAMPLES_OF_A_RUN = 5000 * 32
STEP_TOKENS, SMALL_STEP_TOKENS = 8192, 128


def samples_of(options, length):
    return max(2, min(32, (SMALL_STEP_TOKENS if options.small else STEP_TOKENS) // length))


def sanitizer():
    """compute-sanitizer's path or None."""
    folders = [*pathlib.Path("/usr/local").glob("cuda*/bin"), *(ROOT / ".venv").glob("lib/python*/site-packages/nvidia/*/bin")]
    return shutil.which("compute-sanitizer") or next((str(found) for folder in folders if (found := folder / "compute-sanitizer").exists()), None)


def run_tests(command):
    """{"passed", "skipped"} of a GoogleTest program, and its last words if it failed."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    counts = {name: sum(map(int, re.findall(rf"\[  {name.upper()} *\] (\d+) test", done.stdout))) for name in ("passed", "skipped")}
    return counts, "" if done.returncode == 0 else (done.stdout + done.stderr)[-3000:]


def kernels(options, record):
    on_gpu = options.device != "cpu"
    # On a CPU, to try this script: the twins of the kernels alone.
    tests = [LAYERS_TESTS, "--gtest_filter=" + ("*Gpu*" if on_gpu else "BlockRotation*:-*Gpu*")]
    counts, words = run_tests(tests)
    failures = [f"{LAYERS_TESTS.name}: {words}"] if words else []
    if on_gpu and (counts["skipped"] or not counts["passed"]):
        failures.append(f"{counts['passed']} kernel tests passed and {counts['skipped']} were skipped although a device was found")
    checked = "not measured: compute-sanitizer was not found" if on_gpu else "not measured: no GPU"
    if on_gpu and (program := sanitizer()):
        _, words = run_tests([program, "--error-exitcode", "99", *tests])
        checked = "nothing found" if not words else words
        failures += [f"compute-sanitizer: {words}"] if words else []
    rotation, _ = measure.measured([LAYERS_BENCHMARK, "cuda" if on_gpu else "cpu-quick"])
    return {**counts, "compute_sanitizer": checked, "block_rotation": rotation.splitlines()}, failures


def peak(options, record):
    size = 512 if options.small else 8192 if options.device != "cpu" else 2048
    out, _ = measure.measured([measure.STEP_BENCHMARK, "peak", "--device", options.device, "--size", size, "--rounds", 20])
    found = json.loads(out)
    return {"size": size, "operations_per_second": statistics.median(found["operations_per_second"])}, []


def shapes(options, record):
    """A micro-batch of samples of the shortest length, packed to the tokens that `auto` aims at on a GPU."""
    length = options.lengths[0]
    lengths = ",".join([str(length)] * max(1, (128 if options.small else 1024) // length))
    try:
        out, _ = measure.measured([measure.STEP_BENCHMARK, "step", options.model, "--device", options.device, "--lengths", lengths, "--rounds",
                                   2 if options.small else 10])
    except measure.Failed as error:
        return {"failed": error.words}, [f"shapes: {error}"]
    found = json.loads(out)
    return {**limit.fractions(found), "run": found}, []


def train_row(options, base, length, peak_operations):
    samples = samples_of(options, length)
    data = write_full_samples(options.work / "text.jsonl", samples, length)
    words = {"device": options.device, "precision": "bf16", "vram_budget_gib": options.budget_gib, "max_sequence_length": length,
             "gradient_accumulation": samples, **({"base": base} if base else {})}
    planned = measure.plan(options.model, words)
    row = {"base": base or "safe", "tokens": length, "planned_bytes": planned["total_bytes"], "recomputed_layers": planned["recomputed_layers"],
           "micro_batch_tokens": planned["micro_batch_tokens"]}
    try:
        lines, _ = measure.train(measure.Run(options.model, data, options.work / "run", {**words, "max_steps": 4}))
    except measure.Failed as error:
        return {**row, "failed": error.words.splitlines()[-1], "code": error.code}
    rate = statistics.median(line["tokens"] / line["step_seconds"] for line in lines)
    operations = rate * planned["sample_flops"] / length
    hours = SAMPLES_OF_A_RUN * length / rate / 3600
    return {**row, "peak_bytes": max(line["memory_bytes"] for line in lines), "tokens_per_second": rate, "operations_per_second": operations,
            "of_peak": operations / peak_operations, "hours": hours, "hours_on_rtx_3060_estimate": hours * peak_operations / RTX_3060_OPERATIONS}


def training(options, record):
    peak_operations = record["peak"]["operations_per_second"] if "peak" in record else peak(options, record)[0]["operations_per_second"]
    rows = {(row["base"], row["tokens"]): row for row in record.get("training", [])}
    for base in measure.choices_of("train", "base") or [""]:
        for length in options.lengths:
            row = train_row(options, base, length, peak_operations)
            rows[(row["base"], length)] = row
    # Exit 4 is the program's word that the machine can't: a finding, no failure.
    failures = [f"training, {row['base']}, {row['tokens']} tokens: {row['failed']}" for row in rows.values() if row.get("code", 4) != 4]
    return list(rows.values()), failures


def baseline_row(options, method, length):
    samples = samples_of(options, length)
    rng = random.Random(0)
    (options.work / "tokens.json").write_text(json.dumps([[[rng.randrange(3, 1500) for _ in range(length)] for _ in range(samples)]]))
    row = {"method": method, "tokens": length}
    try:
        out, _ = measure.measured([sys.executable, ROOT / "scripts" / "bench_baseline", method, options.model, options.work / "tokens.json", "--batch", 1,
                                   "--steps", 2, "--device", options.device, "--budget-gib", options.budget_gib])
    except measure.Failed as error:
        return {**row, "failed": error.words.splitlines()[-1]}
    found = json.loads(out.splitlines()[-1])
    return {**row, "tokens_per_second": found["tokens"] / found["seconds"], "peak_bytes": found["peak_bytes"]}


def baseline(options, record):
    rows = []
    for method, package in (("adapter", "transformers"), ("lora", "peft")):
        if not all(map(importlib.util.find_spec, {"torch", "transformers", package})):
            rows.append({"method": method, "failed": f"not measured: this Python has no {package} (or no transformers)"})
            continue
        rows += [baseline_row(options, method, length) for length in options.lengths]
    return rows, []


def training_table(record):
    theirs = {(row["method"], row.get("tokens")): row.get("tokens_per_second") for row in record.get("baseline", [])}
    rows = []
    for row in record["training"]:
        if "failed" in row:
            rows.append((row["base"], row["tokens"], f"{row['planned_bytes'] / GIB:.2f}", row["failed"], *[""] * 6))
            continue
        other = theirs.get(("adapter", row["tokens"]))
        rows.append((row["base"], row["tokens"], f"{row['planned_bytes'] / GIB:.2f}", f"{row['peak_bytes'] / GIB:.2f}", row["recomputed_layers"],
                     f"{row['tokens_per_second']:.0f}", f"{row['tokens_per_second'] / other:.2f}" if other else "not measured", f"{100 * row['of_peak']:.0f} %",
                     f"{row['hours']:.1f}", f"{row['hours_on_rtx_3060_estimate']:.1f}"))
    return measure.markdown(("base", "tokens", "planned, GiB", "peak, GiB", "layers recomputed", "tokens/s", "over transformers + hooks", "of the matrix peak",
                             "hours here", "hours on an RTX 3060 (estimate)"), rows)


def table(record):
    """What has been found so far, as text."""
    text = f"{record['date']}, commit {record['commit']}, {record['device']}: {'; '.join(record['devices']) or 'no CUDA device'}\n\n"
    if "kernels" in record:
        found = record["kernels"]
        text += f"kernel tests: {found['passed']} passed, {found['skipped']} skipped; compute-sanitizer: {found['compute_sanitizer']}\n\n```\n"
        text += "\n".join(found["block_rotation"]) + "\n```\n\n"
    if "peak" in record:
        text += f"matrix peak: {record['peak']['operations_per_second'] / 1e12:.2f} TFLOP/s (BF16, {record['peak']['size']} cubed)\n\n"
    if "of_products" in record.get("shapes", {}):
        found = record["shapes"]
        text += (f"a micro-batch reaches {measure.shown(found['of_products'])} of the speed of its bare products; with M it takes "
                 f"{measure.shown(found['adapter_in_a_pass'], 3)} of the time without\n\n")
    if "training" in record:
        text += training_table(record) + "\n"
    for row in record.get("baseline", []):
        size = f"{row['tokens']} tokens: " if "tokens" in row else ""
        found = row.get("failed") or f"{row['tokens_per_second']:.0f} tokens/s, peak {row['peak_bytes'] / GIB:.2f} GiB"
        text += f"- {'transformers + hooks' if row['method'] == 'adapter' else 'PEFT LoRA'}, {size}{found}\n"
    return text
