"""`scripts/pipeline`: from one config file to a summary page; its figures against those of transformers; what it refuses."""
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import exports
import numpy as np
import pytest
import torch
import training
from pipeline_steps import llama_tools
from pipeline_steps.config import read_config
from pipeline_steps.errors import PipelineError
from pipeline_steps.pipeline import writing
from pipeline_steps.summary import serving
from pipelines import config, needs_library, page, steps_of
from tokenizers import Tokenizer

STEPS = ["train", "validate", "export f32: adapter", "export f32: base", "held-out samples", "loss: nkat", "loss: f32 base",
         "loss: f32 adapter", "speed"]


@needs_library
def test_the_summary_holds_the_figures_of_the_steps(finished):
    text, steps = page(finished), steps_of(finished)
    assert list(steps) == STEPS
    run_folder = finished / "out" / "train"
    summary = json.loads((run_folder / "summary.json").read_text())
    report = json.loads((finished / "out" / "validation" / "report.json").read_text())
    exported = json.loads((finished / "out" / "export" / "f32" / "adapter" / "report.json").read_text())
    assert f"| {summary['loss_first']:.3f} | {summary['loss_last']:.3f} |" in text
    assert f"Verdict: {report['run']['verdict']};" in text and report["verdict"] in text
    assert all(check["name"] in text and check["status"] in text for check in report["checks"])
    assert exported["base_sha256"] in text and exported["adapter"]["sha256"] in text
    for kind in ("base", "adapter"):
        loss = steps[f"loss: f32 {kind}"]["result"]
        assert f"{loss['loss']:.5f}; {loss['perplexity']:.4g}" in text
        assert loss["perplexity"] == pytest.approx(np.exp(loss["loss"]))
        runs = sorted(one["new_tokens_per_second"] for one in steps["speed"]["result"]["runs"]["f32"][kind])
        assert f"{(runs[0] + runs[1]) / 2:.1f} ({runs[0]:.1f} to {runs[1]:.1f})" in text
    assert all(command in text for step in steps.values() for command in step["commands"])


@needs_library
def test_the_page_carries_its_pictures(finished):
    page_text = (finished / "out" / "summary.html").read_text()
    sources = re.findall(r'src="([^"]*)"', page_text)
    assert len(sources) == 3 and all(source.startswith("data:image/png;base64,") for source in sources)
    assert "http://" not in page_text and "https://" not in page_text


def reference_samples(path, count, limit):
    """Tokens and targets by the tokenizers package and the model's template: the last turn's content and its <|end|>."""
    tokenizer = Tokenizer.from_file(str(training.DEMO / "model" / "tokenizer.json"))

    def ids(text):
        return tokenizer.encode(text, add_special_tokens=False).ids

    for line in path.read_text().splitlines()[:count]:
        messages = json.loads(line)["messages"]
        before = "".join(f"<|{one['role']}|>\n{one['content']}<|end|>\n" for one in messages[:-1]) + "<|assistant|>\n"
        answer = messages[-1]["content"] + "<|end|>"
        tokens = ids(before + answer + "\n<|endoftext|>")
        yield tokens[:limit], [at for at in range(len(ids(before)), len(ids(before + answer))) if at < limit]


@needs_library
def test_loss_in_llama_cpp_equals_that_of_transformers(finished, export, tmp_path):
    samples = [json.loads(line) for line in (finished / "out" / "performance" / "samples.jsonl").read_text().splitlines()]
    expected = list(reference_samples(finished / "held-out.jsonl", len(samples), 128))
    assert [(one["tokens"], one["targets"]) for one in samples] == expected
    assert sum(len(one["targets"]) for one in samples[:-1]) < 150 <= sum(len(one["targets"]) for one in samples)
    steps = steps_of(finished)
    for kind, adapter in (("base", {}), ("adapter", {"adapter": finished / steps["train"]["result"]["checkpoint"]})):
        export(tmp_path / kind, format="hf", **adapter)
        model, losses = exports.load(tmp_path / kind), []
        for tokens, targets in expected:
            chances = torch.log_softmax(torch.tensor(exports.logits_of(model, tokens)), -1)
            losses += [-float(chances[at - 1, tokens[at]]) for at in targets]
        # A log-probability moves by at most twice the largest change of a logit, and so does a mean of them.
        assert steps[f"loss: f32 {kind}"]["result"]["loss"] == pytest.approx(np.mean(losses), abs=2 * exports.LLAMA_BOUND)
        nkat = steps["loss: nkat"]["result"]
        assert (nkat if adapter else nkat["base"])["loss"] == pytest.approx(np.mean(losses), abs=2 * exports.LLAMA_BOUND)


def without_library(folder):
    """An xllamacpp without llama.cpp in it, in front of the real one."""
    (folder / "stub" / "xllamacpp").mkdir(parents=True)
    (folder / "stub" / "xllamacpp" / "__init__.py").write_text("")
    return {"PYTHONPATH": str(folder / "stub")}


def test_without_llama_cpp_nothing_is_measured_and_the_page_says_so(copied, run):
    done = run(copied, config(), **without_library(copied))
    assert done.returncode == 0, done.stderr
    assert "speed: not measured: pip install xllamacpp" in done.stderr
    text = page(copied)
    assert "Speed: not measured: pip install xllamacpp" in text and "Loss on target tokens: not measured: pip install xllamacpp" in text
    assert "tokens per second of" not in text and "f32 in llama.cpp" not in text
    assert "nkat eval, before export" in text and "No plot" in text


BENCH = """#!/bin/sh
[ "$1 $3 $4 $5 $6 $7 $8 $9" = "-m -p 16 -n 4 -t 1 -r" ] || exit 1
case "$2" in *adapter*) half=0.5;; *) half=1;; esac
echo '[{"build_commit": "abc", "build_number": 7, "gpu_info": "", "backends": "CPU",
 "n_threads": 1, "n_prompt": 16, "n_gen": 0, "avg_ts": 200'$half'},
 {"build_commit": "abc", "build_number": 7, "gpu_info": "", "backends": "CPU", "n_threads": 1, "n_prompt": 0, "n_gen": 4, "avg_ts": 100'$half'}]'
"""


def test_llama_cpps_own_programs_are_used_where_they_are(copied, run):
    """In the place of the real ones: what they print was taken from them."""
    tools = copied / "llama" / "build" / "bin"
    tools.mkdir(parents=True)
    (tools / "llama-bench").write_text(BENCH)
    (tools / "llama-perplexity").write_text("#!/bin/sh\necho 'Final estimate: PPL = 12.5000 +/- 0.25000' >&2\n")
    for tool in tools.iterdir():
        tool.chmod(0o755)
    done = run(copied, config(llama_cpp="llama"))
    assert done.returncode == 0, done.stderr
    text = page(copied)
    assert "llama-bench, build abc (7)" in text and "| f32 | generation | 1001.0 (1001.0 to 1001.0) | 1000.5 (" in text
    assert "| f32 | 12.5000 ± 0.2500 | 12.5000 ± 0.2500 |" in text
    spoken = (copied / "out" / "performance" / "records.txt").read_text()
    assert "<|" not in spoken and json.loads((copied / "held-out.jsonl").read_text().splitlines()[0])["messages"][1]["content"] in spoken
    (tools / "llama-perplexity").write_text("#!/bin/sh\necho 'you need at least 256 tokens' >&2\n")
    shutil.rmtree(copied / "out" / "export" / "f32" / "adapter")
    (copied / "out" / "pipeline.json").write_text((copied / "out" / "pipeline.json").read_text().replace('"perplexity: f32', '"old: f32'))
    failed = run(copied, config(llama_cpp="llama"))
    assert failed.returncode == 5 and "failed: you need at least 256 tokens" in failed.stderr
    assert "| f32 | not measured | not measured |" in page(copied)


NOISY_BENCH = """#!/bin/sh
echo 'ggml_vulkan: Found 1 Vulkan devices: [0] llvmpipe'
echo 'load_backend: loaded CPU backend [{"no": 1}]'
echo '[{"build_commit": "abc", "build_number": 7, "backends": "CPU", "n_threads": 1, "n_prompt": 16, "n_gen": 0, "avg_ts": null},
 {"build_commit": "abc", "build_number": 7, "backends": "CPU", "n_threads": 1, "n_prompt": 0, "n_gen": 4, "avg_ts": 100.5}]'
echo 'done'
"""


def test_what_llama_bench_gives_is_read_and_the_rest_is_not_measured(copied, run):
    tools = copied / "llama"
    tools.mkdir()
    (tools / "llama-bench").write_text(NOISY_BENCH)
    (tools / "llama-bench").chmod(0o755)
    done = run(copied, config(llama_cpp="llama"))
    assert done.returncode == 0, done.stderr
    assert "speed of the prompt: not measured: llama-bench gave avg_ts null for it" in done.stderr
    text = page(copied)
    assert "| f32 | prompt | not measured | not measured | not measured |" in text and "| f32 | generation | 100.5 (" in text
    assert "Speed of the prompt: not measured: llama-bench gave avg_ts null for it." in text
    (tools / "llama-bench").write_text("#!/bin/sh\necho 'main: error: no JSON today'\necho 'a line of the log' >&2\n")
    (copied / "out" / "pipeline.json").write_text((copied / "out" / "pipeline.json").read_text().replace('"speed"', '"old speed"'))
    failed = run(copied, config(llama_cpp="llama"))
    assert failed.returncode == 5 and "failed: llama-bench printed no JSON list of tests; its last line: main: error: no JSON today" in failed.stderr
    assert "Traceback" not in failed.stderr + page(copied)


class Sizes:
    prompt_tokens, new_tokens = 16, 4


@pytest.mark.parametrize("speed, reason", [(None, "null"), (float("nan"), "NaN"), ("fast", '"fast"'), (0, "0"), (True, "true"), (200.5, "")])
def test_a_speed_is_a_number_above_zero(speed, reason):
    tests = [{"n_prompt": 16, "n_gen": 0, "avg_ts": speed}, {"n_prompt": 0, "n_gen": 4, "avg_ts": 7}]
    found = llama_tools.read_bench("noise [\n" + json.dumps(tests) + "\n]", Sizes)
    assert found["new_tokens_per_second"] == 7
    assert found["prompt_tokens_per_second"] == (None if reason else speed)
    assert found["missing"] == ({"prompt": f"llama-bench gave avg_ts {reason} for it"} if reason else {})


PROMPT, ANSWER = ({"n_prompt": 16, "n_gen": 0, "avg_ts": 5.5}, {"n_prompt": 0, "n_gen": 4, "avg_ts": 7})


@pytest.mark.parametrize("output", [
    json.dumps(PROMPT) + "\n" + json.dumps(ANSWER) + "\n",
    "[\n" + json.dumps(PROMPT) + "\nggml_vulkan: {0} done\n,\n" + json.dumps(ANSWER) + "\n]\n",
    "warning: {\n[" + json.dumps(PROMPT) + ", " + json.dumps(ANSWER) + ", {\"n_prompt\": 32, \"n_ge",
], ids=["a line for each", "a line of the log between", "cut"])
def test_the_tests_of_llama_bench_are_read_wherever_they_stand(output):
    found = llama_tools.read_bench(output, Sizes)
    assert (found["prompt_tokens_per_second"], found["new_tokens_per_second"], found["missing"]) == (5.5, 7, {})


@pytest.mark.parametrize("printed", ["-nan", "nan", "inf", "-inf"])
def test_a_speed_that_is_no_number_in_c_is_not_measured(printed):
    output = json.dumps([PROMPT, ANSWER]).replace("5.5", printed)
    found = llama_tools.read_bench(output, Sizes)
    assert found["missing"] == {"prompt": "llama-bench gave avg_ts NaN for it"} and found["new_tokens_per_second"] == 7


def test_what_llama_bench_did_not_run_is_not_measured():
    alone = llama_tools.read_bench(json.dumps([{"n_prompt": 16, "n_gen": 0, "avg_ts": 5}]), Sizes)
    assert alone["missing"] == {"generation": "llama-bench ran no such test"}
    for output in ("", "[]", "[1]", '{"n_prompt": 1}', '[{"n_prompt": 16, "n_gen"', "error: [/] no such file"):
        with pytest.raises(llama_tools.Unreadable, match="no JSON list of tests"):
            llama_tools.read_bench(output, Sizes)


def test_an_estimate_of_llama_perplexity_is_a_number():
    assert llama_tools.read_perplexity("x\nFinal estimate: PPL = 12.5 +/- 0.25\n") == {"perplexity": 12.5, "standard_error": 0.25}
    for output, reason in (("Final estimate: PPL = nan +/- nan", "PPL = nan"), ("a\nlast words\n", "last words"), ("", "no estimate")):
        with pytest.raises(llama_tools.Unreadable, match=reason):
            llama_tools.read_perplexity(output)


@pytest.mark.skipif(not os.environ.get("NKAT_LLAMA_CPP"), reason="NKAT_LLAMA_CPP names no folder with llama.cpp's programs")
def test_the_real_programs_of_llama_cpp_are_understood(copied, run):
    settings = config(llama_cpp=os.environ["NKAT_LLAMA_CPP"])
    settings["performance"] |= {"context": 64, "perplexity_tokens": 300}
    done = run(copied, settings)
    assert done.returncode == 0, done.stderr
    assert "Measured by llama-bench" in page(copied) and re.search(r"\| f32 \| \d+\.\d+ ± \d", page(copied))


@pytest.mark.parametrize("change, code, message", [
    ({"exprt": []}, 2, "'exprt' is not known; did you mean 'export'?"),
    ({"train": {"learning_rat": 1}}, 2, "train: 'learning_rat' is not known; did you mean 'learning_rate'?"),
    ({"train": {"output_dir": "x"}}, 2, "train: 'output_dir' is set by the pipeline"),
    ({"train": {"max_steps": "many"}}, 2, "train: max_steps: expected a number, found 'many'"),
    ({"train": {"train_data": ["none.jsonl"]}}, 3, "train: train_data: none.jsonl is missing"),
    ({"train": {"model_path": None}}, 2, "train: 'model_path' is missing"),
    ({"export": [{"minimum_survived": ["all=0"], "min_retention": ["all=0"]}]}, 2, "'minimum_survived' is the former name of 'min_retention'"),
    ({"validate": {"question": 1}}, 2, "did you mean 'questions'?"),
    ({"export": [{"quantization": "q8"}]}, 2, "found 'q8'; did you mean 'q8_0'?"),
    ({"export": []}, 2, "export: expected a list of objects"),
    ({"performance": {"repeat": 1}}, 2, "did you mean 'repeats'?"),
    ({"performance": {"repeats": 0}}, 2, "repeats: expected a whole number of at least 1, found 0"),
    ({"performance": {"data": "none.jsonl"}}, 3, "performance: data: none.jsonl is missing"),
    ({"llama_cpp": "nowhere"}, 3, "llama_cpp: the folder nowhere is missing"),
    ({"output_dir": None}, 2, "output_dir"),
])
def test_a_wrong_config_is_refused(tmp_path, monkeypatch, nkat_path, change, code, message):
    monkeypatch.chdir(tmp_path)
    training.first_lines(training.DEMO / "validation.jsonl", tmp_path / "held-out.jsonl", 8)
    settings = config()
    for key, value in change.items():
        settings[key] = {**settings[key], **value} if key in settings and isinstance(value, dict) else value
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(PipelineError) as error:
        read_config("config.json", str(nkat_path))
    assert error.value.code == code and message in str(error.value)


def test_all_complaints_come_at_once_before_anything_runs(tmp_path, run):
    done = run(tmp_path, config(exprt=1, performance={"repeat": 2}))
    assert done.returncode == 2 and "'export'" in done.stderr and "'repeats'" in done.stderr
    assert not (tmp_path / "out").exists()


def test_unreadable_configs_and_a_missing_program_are_named(tmp_path, run, script):
    assert run(tmp_path, "{").returncode == 3
    twice = run(tmp_path, '{"output_dir": "a", "output_dir": "b"}')
    assert twice.returncode == 3 and "duplicate key 'output_dir'" in twice.stderr
    missing = subprocess.run([sys.executable, script, "none.json"], cwd=tmp_path, capture_output=True, text=True)
    assert missing.returncode == 3 and "none.json: No such file" in missing.stderr
    assert subprocess.run([sys.executable, script], capture_output=True).returncode == 2
    unbuilt = run(tmp_path, config(), NKAT=str(tmp_path / "nkat"))
    assert unbuilt.returncode == 4 and "run scripts/setup and scripts/build first" in unbuilt.stderr


def test_commands_on_the_page_are_quoted_for_the_shell():
    assert shlex.split(writing(["my nkat", "a b"], Path("c d"))) == ["my nkat", "a b", ">", "c d"]
    assert shlex.split(serving("a b.gguf", {"served_context": 77, "context_length": 4096})) == ["llama-server", "-m", "a b.gguf", "-c", "77"]
    assert serving("a.gguf", {"context_length": 131072}).endswith("-c 4096") and serving("a.gguf", {"context_length": 256}).endswith("-c 256")


def test_the_demos_config_is_that_of_its_training_with_open_gates(root):
    """The shipped example trains as data/demo/train.json does, which the README's figures are of."""
    demo = json.loads((root / "data" / "demo" / "pipeline.json").read_text())
    alone = json.loads((root / "data" / "demo" / "train.json").read_text())
    assert demo["train"] == {key: value for key, value in alone.items() if key != "output_dir"}
