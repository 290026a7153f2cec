"""scripts/gpu_check's arithmetic and table, on records and tools made up here: what it would find on a GPU is not judged."""
import json
import sys

import pytest
import training

sys.path.insert(0, str(training.DEMO.parents[1] / "scripts" / "measure"))
from bench_parts import gpu_parts, measure  # noqa: E402

# A card of 100 TFLOP/s, 200 TOPS and 1 TB/s beside the plan's of 25, 100 and 250 GB/s.
PEAKS = {"size": 8192, "operations_per_second": 100e12, "int8_operations_per_second": 200e12, "bytes_per_second": 1e12}
CARD = {"peak_tflops": 25, "peak_int8_tops": 100, "memory_bytes_per_second": 250e9, "efficiency": 0.5, "run_samples": 160000}


def planned(bf16, int8, quantization):
    return {**CARD, "hours": bf16 + int8 + quantization, "hours_bf16_products": bf16, "hours_int8_products": int8, "hours_quantization": quantization}


def test_hours_of_a_dense_base_scale_by_the_bf16_peak():
    """256 tokens at 8192 a second: 5000 s for 160,000 samples. Four times the peak, a quarter of the plan's 2 hours at half of it."""
    found = gpu_parts.rates(planned(2, 0, 0), PEAKS, 256, 8192)
    assert found["hours"] == pytest.approx(5000 / 3600)
    assert found["hours_on_rtx_3060_estimate"] == pytest.approx(4 * found["hours"])
    assert found["of_peak"] == pytest.approx(2 / 4 * 0.5 / found["hours"])


def test_hours_of_a_quantized_base_scale_by_the_peaks_of_what_it_does():
    """1 hour of BF16, 4 of 8 bits and 3 of traffic there take 1/4, 2 and 3/4 here: 8 hours over 3."""
    found = gpu_parts.rates(planned(1, 4, 3), PEAKS, 256, 8192)
    assert found["hours_on_rtx_3060_estimate"] == pytest.approx(found["hours"] * 8 / 3)
    assert found["of_peak"] == pytest.approx((1 / 4 + 2) * 0.5 / found["hours"])


def test_the_plan_names_what_the_estimate_needs(nkat):
    done = nkat("plan", "--json", "--model-path", training.DEMO / "model", "--base", "balanced", "--card", "RTX 3060", "--device", "cuda:0")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["hours"] == pytest.approx(sum(plan[hours] for _, _, hours in gpu_parts.PEAKS.values()))
    assert all(plan[hours] > 0 and plan[name] > 0 for name, _, hours in gpu_parts.PEAKS.values())
    assert measure.planned_bytes(plan) == plan["total_bytes"] - 450 * 2**20


def record():
    trained = {"base": "safe", "tokens": 256, "planned_bytes": 2**33, "recomputed_layers": 0}
    return {
        "date": "today",
        "commit": "abc",
        "device": "cuda:0",
        "devices": ["a card"],
        "peak": PEAKS,
        "kernels": {
            "passed": 40,
            "skipped": 0,
            "compute_sanitizer": {"memcheck": "nothing found", "racecheck": "not finished in 240 s"},
            "block_diagonal": [],
        },
        "training": [
            {**trained, "peak_bytes": 2**33, "tokens_per_second": 3000.0, **gpu_parts.rates(planned(2, 0, 0), PEAKS, 256, 3000)},
            {**trained, "tokens": 4096, "failed": "it does not fit", "code": 4},
        ],
        "baseline": [
            {"method": "adapter", "tokens": 256, "batch": 1, "tokens_per_second": 1000.0, "peak_bytes": 2**33},
            {"method": "adapter", "tokens": 256, "batch": 4, "tokens_per_second": 2000.0, "peak_bytes": 2**33},
            {"method": "adapter", "tokens": 256, "batch": 8, "failed": "out of memory"},
            {"method": "lora", "failed": "not measured: no peft"},
        ],
    }


def test_the_table_compares_with_the_fastest_batch_that_ran():
    row = next(line for line in gpu_parts.table(record()).splitlines() if line.startswith("| safe | 256 |"))
    assert row.split(" | ")[5:7] == ["3000", "1.50"]


def test_the_table_says_what_did_not_run():
    text = gpu_parts.table(record())
    assert "| safe | 4096 | 8.00 | it does not fit |" in text
    assert "memcheck: nothing found; racecheck: not finished in 240 s" in text
    assert "- transformers + hooks, 256 tokens, batch 8: out of memory" in text and "- PEFT LoRA, not measured: no peft" in text
    assert "100.00 TFLOP/s (BF16, 8192 cubed), 200.00 TOPS (8 bits), 1000 GB/s (copy)" in text


def test_every_tool_of_the_sanitizer_runs_and_a_slow_one_is_ended(tmp_path):
    tool = tmp_path / "compute-sanitizer"
    tool.write_text(
        '#!/bin/sh\n[ "$3 $4" = "--error-exitcode 99" ] || exit 2\n'
        'case $2 in\nracecheck) echo "a hazard"; exit 99;;\ninitcheck) sleep 60 & wait;;\nesac\n'
    )
    tool.chmod(0o755)
    said = gpu_parts.sanitized(tool, ["tests"], seconds=1)
    assert said == {"memcheck": "nothing found", "racecheck": "a hazard\n", "synccheck": "nothing found", "initcheck": "not finished in 1 s"}
