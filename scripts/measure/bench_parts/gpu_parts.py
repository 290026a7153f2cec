"""The parts of scripts/gpu_check: each takes its options and the record so far and returns (what was found, [failures])."""
import importlib.util
import json
import os
import pathlib
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys

from bench_parts import limit, measure
from bench_parts.measure import GIB, ROOT
from bench_parts.samples import write_full_samples

LAYERS_TESTS = ROOT / "build" / "tests" / "layers" / "layers_tests"
LAYERS_BENCHMARK = ROOT / "build" / "tests" / "layers" / "layers_benchmark"
SAMPLES_OF_A_RUN = 5000 * 32
STEP_TOKENS, SMALL_STEP_TOKENS = 8192, 128
BATCHES = (1, 4, 8)  # of transformers, padded; its fastest counts
SANITIZER_TOOLS = ("memcheck", "racecheck", "synccheck", "initcheck")
SANITIZER_SECONDS = 240  # of each tool


def samples_of(options, length):
    return max(2, min(32, (SMALL_STEP_TOKENS if options.small else STEP_TOKENS) // length))


def sanitizer():
    """compute-sanitizer's path or None."""
    folders = [*pathlib.Path("/usr/local").glob("cuda*/bin"), *(ROOT / ".venv").glob("lib/python*/site-packages/nvidia/*/bin")]
    return shutil.which("compute-sanitizer") or next((str(found) for folder in folders if (found := folder / "compute-sanitizer").exists()), None)


def finished(command, seconds):
    """The ended process with its output, or None where it took longer: then it and its children are gone."""
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True) as child:
        try:
            out, _ = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            return None
    return subprocess.CompletedProcess(command, child.returncode, out)


def run_tests(command, seconds=600):
    """{"passed", "skipped"} of a GoogleTest program, and its last words if it failed."""
    done = finished(command, seconds)
    if done is None:
        return {"passed": 0, "skipped": 0}, f"not finished in {seconds} s"
    counts = {name: sum(map(int, re.findall(rf"\[  {name.upper()} *\] (\d+) test", done.stdout))) for name in ("passed", "skipped")}
    return counts, "" if done.returncode == 0 else done.stdout[-3000:]


def sanitized(program, tests, seconds=SANITIZER_SECONDS):
    """{tool: what it says} of compute-sanitizer's tools over some tests; a tool that does not finish has found nothing yet."""
    said = {}
    for tool in SANITIZER_TOOLS:
        done = finished([program, "--tool", tool, "--error-exitcode", "99", *tests], seconds)
        said[tool] = f"not finished in {seconds} s" if done is None else "nothing found" if done.returncode == 0 else done.stdout[-3000:]
    return said


def kernels(options, record):
    on_gpu = options.device != "cpu"
    # On a CPU, to try this script: the tests of the kernels' CPU versions alone.
    tests = [LAYERS_TESTS, "--gtest_filter=" + ("*Gpu*" if on_gpu else "BlockDiagonal*:-*Gpu*")]
    counts, words = run_tests(tests)
    failures = [f"{LAYERS_TESTS.name}: {words}"] if words else []
    if on_gpu and (counts["skipped"] or not counts["passed"]):
        failures.append(f"{counts['passed']} kernel tests passed and {counts['skipped']} were skipped although a device was found")
    checked = {"all tools": "not measured: compute-sanitizer was not found" if on_gpu else "not measured: no GPU"}
    if on_gpu and (program := sanitizer()):
        checked = sanitized(program, tests)
        failures += [
            f"compute-sanitizer, {tool}: {words}"
            for tool, words in checked.items()
            if words != "nothing found" and not words.startswith("not finished")
        ]
    rotation, _ = measure.measured([LAYERS_BENCHMARK, "cuda" if on_gpu else "cpu-quick"])
    return {**counts, "compute_sanitizer": checked, "block_diagonal": rotation.splitlines()}, failures


# What train_benchmark peak measures, and the plan's name for the same of its card, in the same unit after the factor.
PEAKS = {
    "operations_per_second": ("peak_tflops", 1e12, "hours_bf16_products"),
    "int8_operations_per_second": ("peak_int8_tops", 1e12, "hours_int8_products"),
    "bytes_per_second": ("memory_bytes_per_second", 1, "hours_quantization"),
}


def peak(options, record):
    size = 512 if options.small else 8192 if options.device != "cpu" else 2048
    out, _ = measure.measured([measure.STEP_BENCHMARK, "peak", "--device", options.device, "--size", size, "--rounds", 5 if options.small else 20])
    found = json.loads(out)
    return {"size": size, **{kind: statistics.median(found[kind]) for kind in PEAKS}}, []


def shapes(options, record):
    """A micro-batch of samples of the shortest length, packed to the tokens that `auto` aims at on a GPU."""
    length = options.lengths[0]
    lengths = ",".join([str(length)] * max(1, (128 if options.small else 1024) // length))
    try:
        out, _ = measure.measured([measure.STEP_BENCHMARK, "step", options.model, "--device", options.device, "--lengths", lengths, "--rounds",
                                   2 if options.small else 10, "--budget-gib", options.budget_gib])
    except measure.Failed as error:
        return {"failed": error.words}, [f"shapes: {error}"]
    found = json.loads(out)
    return {**limit.fractions(found), "run": found}, []


def hours_with_peaks(planned, peaks):
    """The plan's hours of each kind of work, were its card's peaks these."""
    return {kind: planned[hours] * planned[name] * factor / peaks[kind] for kind, (name, factor, hours) in PEAKS.items()}


def rates(planned, peaks, tokens, tokens_per_second):
    """Hours of the run here, what part of the peaks of its kinds of products that is, and an estimate for the plan's card: the hours
    here times the plan's for that card over the plan's for these peaks."""
    hours = SAMPLES_OF_A_RUN * tokens / tokens_per_second / 3600
    here = hours_with_peaks(planned, peaks)
    products = (
        (here["operations_per_second"] + here["int8_operations_per_second"]) * planned["efficiency"] * SAMPLES_OF_A_RUN / planned["run_samples"]
    )
    return {"hours": hours, "of_peak": products / hours, "hours_on_rtx_3060_estimate": hours * planned["hours"] / sum(here.values())}


def train_row(options, base, length, peaks):
    samples = samples_of(options, length)
    data = write_full_samples(options.work / "text.jsonl", samples, length)
    words = {"device": options.device, "precision": "bf16", "vram_budget_gib": options.budget_gib, "max_sequence_length": length,
             "gradient_accumulation": samples, **({"base": base} if base else {})}
    planned = measure.plan(options.model, {**words, "card": "RTX 3060"})
    row = {
        "base": base or "safe",
        "tokens": length,
        "planned_bytes": measure.planned_bytes(planned),
        "recomputed_layers": planned["recomputed_layers"],
        "micro_batch_tokens": planned["micro_batch_tokens"],
    }
    try:
        lines, _ = measure.train(measure.Run(options.model, data, options.work / "run", {**words, "max_steps": 4}))
    except measure.Failed as error:
        return {**row, "failed": error.words.splitlines()[-1], "code": error.code}
    rate = statistics.median(line["tokens"] / line["step_seconds"] for line in lines)
    return {**row, "peak_bytes": max(line["memory_bytes"] for line in lines), "tokens_per_second": rate,
            "operations_per_second": rate * planned["sample_flops"] / length, **rates(planned, peaks, length, rate)}


def training(options, record):
    peaks = record["peak"] if "peak" in record else peak(options, record)[0]
    rows = {(row["base"], row["tokens"]): row for row in record.get("training", [])}
    for base in measure.choices_of("train", "base") or [""]:
        for length in options.lengths:
            row = train_row(options, base, length, peaks)
            rows[(row["base"], length)] = row
    # Exit 4 is the program's word that the machine can't: a finding, no failure.
    failures = [f"training, {row['base']}, {row['tokens']} tokens: {row['failed']}" for row in rows.values() if row.get("code", 4) != 4]
    return list(rows.values()), failures


def baseline_rows(options, method, length):
    """A row for each size of batch."""
    samples = samples_of(options, length)
    rng = random.Random(0)
    (options.work / "tokens.json").write_text(json.dumps([[[rng.randrange(3, 1500) for _ in range(length)] for _ in range(samples)]]))
    batches = [batch for batch in BATCHES if batch <= samples]
    row = {"method": method, "tokens": length}
    try:
        out, _ = measure.measured(
            [
                sys.executable,
                ROOT / "scripts" / "measure" / "bench_baseline.py",
                method,
                options.model,
                options.work / "tokens.json",
                "--batch",
                *batches,
                "--steps",
                2,
                "--device",
                options.device,
                "--budget-gib",
                options.budget_gib,
            ]
        )
    except measure.Failed as error:
        return [{**row, "batch": batches[0], "failed": error.words.splitlines()[-1]}]
    found = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    return [
        {
            **row,
            "batch": one["batch"],
            **(
                {"failed": one["failed"]}
                if "failed" in one
                else {"tokens_per_second": one["tokens"] / one["seconds"], "peak_bytes": one["peak_bytes"]}
            ),
        }
        for one in found
    ]


def baseline(options, record):
    rows = []
    for method, package in (("adapter", "transformers"), ("lora", "peft")):
        if not all(map(importlib.util.find_spec, {"torch", "transformers", package})):
            rows.append({"method": method, "failed": f"not measured: this Python has no {package} (or no transformers)"})
            continue
        for length in options.lengths:
            rows += baseline_rows(options, method, length)
    return rows, []


def fastest(rows, method):
    """{tokens: the row of the fastest batch that ran}"""
    best = {}
    for row in rows:
        if row["method"] == method and row.get("tokens_per_second", 0) > best.get(row.get("tokens"), {}).get("tokens_per_second", 0):
            best[row["tokens"]] = row
    return best


def training_table(record):
    theirs = fastest(record.get("baseline", []), "adapter")
    rows = []
    for row in record["training"]:
        if "failed" in row:
            rows.append((row["base"], row["tokens"], f"{row['planned_bytes'] / GIB:.2f}", row["failed"], *[""] * 6))
            continue
        other = theirs.get(row["tokens"], {}).get("tokens_per_second")
        rows.append(
            (
                row["base"],
                row["tokens"],
                f"{row['planned_bytes'] / GIB:.2f}",
                f"{row['peak_bytes'] / GIB:.2f}",
                row["recomputed_layers"],
                f"{row['tokens_per_second']:.0f}",
                f"{row['tokens_per_second'] / other:.2f}" if other else "not measured",
                f"{100 * row['of_peak']:.0f} %",
                f"{row['hours']:.1f}",
                f"{row['hours_on_rtx_3060_estimate']:.1f}",
            )
        )
    return measure.markdown(
        (
            "base",
            "tokens",
            "planned, GiB",
            "peak, GiB",
            "layers recomputed",
            "tokens/s",
            "over transformers + hooks, its fastest batch",
            "of the peaks of its products",
            "hours here",
            "hours on an RTX 3060 (estimate)",
        ),
        rows,
    )


def table(record):
    """What has been found so far, as text."""
    text = f"{record['date']}, commit {record['commit']}, {record['device']}: {'; '.join(record['devices']) or 'no CUDA device'}\n\n"
    if "kernels" in record:
        found = record["kernels"]
        text += f"kernel tests: {found['passed']} passed, {found['skipped']} skipped; compute-sanitizer: "
        text += (
            "; ".join(f"{tool}: {words.splitlines()[-1] if words else 'failed without a word'}" for tool, words in found["compute_sanitizer"].items())
            + "\n\n```\n"
        )
        text += "\n".join(found["block_diagonal"]) + "\n```\n\n"
    if "peak" in record:
        found = record["peak"]
        text += (
            f"peaks: {found['operations_per_second'] / 1e12:.2f} TFLOP/s (BF16, {found['size']} cubed), "
            f"{found['int8_operations_per_second'] / 1e12:.2f} "
            f"TOPS (8 bits), {found['bytes_per_second'] / 1e9:.0f} GB/s (copy)\n\n"
        )
    if "of_products" in record.get("shapes", {}):
        found = record["shapes"]
        text += (f"a micro-batch reaches {measure.shown(found['of_products'])} of the speed of its bare products; with M it takes "
                 f"{measure.shown(found['adapter_in_a_pass'], 3)} of the time without\n\n")
    if "training" in record:
        text += training_table(record) + "\n"
    for row in record.get("baseline", []):
        size = f"{row['tokens']} tokens, batch {row['batch']}: " if "tokens" in row else ""
        found = row.get("failed") or f"{row['tokens_per_second']:.0f} tokens/s, peak {row['peak_bytes'] / GIB:.2f} GiB"
        text += f"- {'transformers + hooks' if row['method'] == 'adapter' else 'PEFT LoRA'}, {size}{found}\n"
    return text
