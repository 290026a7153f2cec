"""`scripts/pipeline`: from one config file to a summary page, whatever interrupts it; its figures against those of transformers."""
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import exports
import libggml
import numpy as np
import pytest
import torch
import training
from tokenizers import Tokenizer

sys.path.insert(0, str(training.DEMO.parents[1] / "scripts"))
from pipeline_steps.config import read_config  # noqa: E402
from pipeline_steps.errors import PipelineError  # noqa: E402

STEPS = ["train", "validate", "export f32: adapter", "export f32: base", "held-out samples", "loss: nkat", "loss: f32 base",
         "loss: f32 adapter", "speed"]


def config(**changes):
    """Seconds of work on the shipped model; the output folder is relative, so that a finished one can be copied."""
    return {
        "output_dir": "out",
        "train": {"model_path": str(training.DEMO / "model"), "train_data": [str(training.DEMO / "train.jsonl")],
                  "validation_data": "held-out.jsonl", "max_steps": 4, "batch_size": 2, "gradient_accumulation": 2, "max_sequence_length": 96,
                  "learning_rate": 2e-2, "alpha_learning_rate": 1e-1, "checkpoint_every": 2, "validate_every": 2, "precision": "fp32", "device": "cpu"},
        "validate": {"tasks": ["loss"]},
        "export": [{"quantization": "f32", "self_test": "off"}],
        # One thread: llama.cpp's threads wait for each other in a loop, and the tests share their cores.
        "performance": {"context": 128, "prompt_tokens": 16, "new_tokens": 4, "repeats": 2, "perplexity_tokens": 150, "threads": 1},
        **changes,
    }


@pytest.fixture(scope="session")
def script(root):
    return root / "scripts" / "pipeline"


@pytest.fixture(scope="session")
def clean_environment(tmp_path_factory):
    """Without llama.cpp's programs in PATH."""
    return {**os.environ, "PATH": os.pathsep.join(folder for folder in os.environ["PATH"].split(os.pathsep) if "llama" not in folder)}


@pytest.fixture(scope="session")
def run(script, clean_environment):
    def run_in(folder, settings, **environment):
        (folder / "config.json").write_text(settings if isinstance(settings, str) else json.dumps(settings))
        return subprocess.run([sys.executable, script, "config.json"], cwd=folder, capture_output=True, text=True, timeout=300,
                              env={**clean_environment, **environment})

    return run_in


@pytest.fixture(scope="session")
def finished(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline")
    training.first_lines(training.DEMO / "validation.jsonl", folder / "held-out.jsonl", 8)
    done = run(folder, config())
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def copied(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


def steps_of(folder):
    return json.loads((folder / "out" / "pipeline.json").read_text())["steps"]


def started(done):
    return re.findall(r"\[pipeline\] (.*): starts", done.stderr)


def page(folder):
    return (folder / "out" / "summary.md").read_text()


needs_library = pytest.mark.skipif(libggml.path() is None, reason="xllamacpp is not installed")


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


def test_a_second_run_does_nothing(copied, run):
    before = (copied / "out" / "pipeline.json").read_bytes()
    done = run(copied, config())
    assert done.returncode == 0 and started(done) == []
    assert (copied / "out" / "pipeline.json").read_bytes() == before


@needs_library
def test_another_quantization_redoes_the_export_and_what_follows_and_a_kill_in_between_is_mended(copied, script, run, clean_environment):
    changed = config(export=[{"quantization": "q4_0", "self_test": "tensors"}])
    # The adapter of four steps may be lost in four bits; that is another test's subject.
    words = subprocess.run([os.environ.get("NKAT", script.parents[1] / "build" / "nkat"), "export", "--help"], capture_output=True, text=True).stdout
    if "--minimum-survived" in words:
        changed["export"][0] |= {"self_test": "off"}
    (copied / "config.json").write_text(json.dumps(changed))
    first = subprocess.Popen([sys.executable, script, "config.json"], cwd=copied, stderr=subprocess.PIPE, text=True, env=clean_environment)
    wait_until(lambda: steps_of(copied).get("export q4_0: base", {}).get("state") == "finished", first)
    first.kill()
    first.wait()
    wait_for_lock(copied)
    second = run(copied, changed)
    assert second.returncode == 0, second.stderr
    assert not any(name.startswith(("train", "validate", "export", "held-out", "loss: nkat")) for name in started(second))
    assert "speed" in started(second) and "loss: q4_0 adapter" in steps_of(copied) and "loss: f32 adapter" not in steps_of(copied)


def test_a_deleted_file_is_made_again(copied, run):
    (copied / "out" / "export" / "f32" / "adapter" / "adapter-f32.gguf").unlink()
    done = run(copied, config())
    assert done.returncode == 0 and started(done) == ["export f32: adapter"]


def wait_until(happened, process, seconds=120):
    deadline = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def wait_for_lock(folder, seconds=60):
    """Until the child of a killed pipeline has saved."""
    deadline = time.monotonic() + seconds
    with open(folder / "out" / ".lock") as file:
        while True:
            try:
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                assert time.monotonic() < deadline
                time.sleep(0.05)


def test_training_goes_on_after_a_signal_and_after_a_kill(finished, tmp_path, script, run, clean_environment):
    shutil.copy(finished / "held-out.jsonl", tmp_path)
    settings = config()
    settings["train"] |= {"max_steps": 80, "checkpoint_every": 20, "validate_every": 80}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    metrics = tmp_path / "out" / "train" / "metrics.jsonl"

    def lines():
        return metrics.read_bytes().count(b"\n") if metrics.exists() else 0

    def start_until(count):
        process = subprocess.Popen([sys.executable, script, "config.json"], cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=clean_environment)
        wait_until(lambda: lines() >= count, process)
        return process

    process = start_until(4)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 75
    assert "scripts/pipeline config.json" in process.stderr.read()
    at_signal = lines()
    assert 4 <= at_signal < 80
    process = start_until(at_signal + 4)
    process.kill()
    process.wait()
    wait_for_lock(tmp_path)
    assert lines() < 80
    done = run(tmp_path, settings)
    assert done.returncode == 0, done.stderr
    assert [line["step"] for line in training.lines(tmp_path / "out" / "train")] == list(range(1, 81))
    assert not (tmp_path / "out" / "train-1").exists()


def test_a_folder_in_use_is_refused(tmp_path, run):
    training.first_lines(training.DEMO / "validation.jsonl", tmp_path / "held-out.jsonl", 8)
    (tmp_path / "out").mkdir()
    with open(tmp_path / "out" / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = run(tmp_path, config())
    assert done.returncode == 4 and "in use by another pipeline" in done.stderr


def test_other_training_options_begin_a_new_run_beside_the_old(copied, run):
    settings = config()
    settings["train"]["learning_rate"] = 1e-2
    done = run(copied, settings)
    assert done.returncode == 0, done.stderr
    assert "learning_rate changed; the old run is kept as out/train-1" in done.stderr
    assert json.loads((copied / "out" / "train-1" / "config.json").read_text())["learning_rate"] == 2e-2
    assert json.loads((copied / "out" / "train" / "config.json").read_text())["learning_rate"] == 1e-2


def test_a_verdict_that_was_required_and_not_reached_ends_in_5_with_the_page_written(copied, run):
    settings = config(validate={"tasks": ["loss"], "require": "transition"})
    for expected in (["validate"], []):
        done = run(copied, settings)
        assert done.returncode == 5 and started(done) == expected
        assert "FAILED: validation: the verdict is" in done.stderr
        text = page(copied)
        assert text.index("FAILED") < text.index("## What was run") and "speed | done" in text


def test_an_export_whose_self_test_fails_is_measured_all_the_same(copied, run, nkat_path):
    program = copied / "nkat"
    program.write_text(f'#!/bin/sh\n"{nkat_path}" "$@" || exit $?\ncase "$*" in "export "*--adapter*) exit 5;; esac\n')
    program.chmod(0o755)
    settings = config(export=[{"quantization": "f32", "self_test": "off", "name": "phi-3 again"}])
    done = run(copied, settings, NKAT=str(program))
    assert done.returncode == 5, done.stderr
    assert "FAILED: export f32: the self-test failed" in done.stderr
    assert "export f32: adapter | FAILED" in page(copied) and "loss: f32 adapter | done" in page(copied)


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
    assert "Speed: not measured: pip install xllamacpp" in text and "Loss: not measured: pip install xllamacpp" in text
    assert "tokens a second of" not in text and "f32 in llama.cpp" not in text
    assert "nkat eval, before export" in text and "No plot" in text


BENCH = """#!/bin/sh
[ "$1 $3 $4 $5 $6 $7 $8 $9" = "-m -p 16 -n 4 -t 1 -r" ] || exit 1
case "$2" in *adapter*) half=0.5;; *) half=1;; esac
echo '[{"build_commit": "abc", "build_number": 7, "gpu_info": "", "backends": "CPU", "n_threads": 1, "n_prompt": 16, "n_gen": 0, "avg_ts": 200'$half'},
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
    ({"train": {"max_steps": "many"}}, 2, "train: max_steps: a number was expected, found 'many'"),
    ({"train": {"train_data": ["none.jsonl"]}}, 3, "train: train_data: none.jsonl is missing"),
    ({"train": {"model_path": None}}, 2, "train: 'model_path' is missing"),
    ({"validate": {"question": 1}}, 2, "did you mean 'questions'?"),
    ({"export": [{"quantization": "q8"}]}, 2, "found 'q8'; did you mean 'q8_0'?"),
    ({"export": []}, 2, "export: a list of objects"),
    ({"performance": {"repeat": 1}}, 2, "did you mean 'repeats'?"),
    ({"performance": {"repeats": 0}}, 2, "repeats: a whole number of at least 1 was expected, found 0"),
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
    assert twice.returncode == 3 and "'output_dir' stands twice" in twice.stderr
    missing = subprocess.run([sys.executable, script, "none.json"], cwd=tmp_path, capture_output=True, text=True)
    assert missing.returncode == 3 and "none.json: No such file" in missing.stderr
    assert subprocess.run([sys.executable, script], capture_output=True).returncode == 2
    unbuilt = run(tmp_path, config(), NKAT=str(tmp_path / "nkat"))
    assert unbuilt.returncode == 4 and "run scripts/setup and scripts/build first" in unbuilt.stderr


def test_a_damaged_record_is_refused(copied, run):
    (copied / "out" / "pipeline.json").write_text('{"version": 1, "steps": {"train": 5}}')
    done = run(copied, config())
    assert done.returncode == 3 and "pipeline.json" in done.stderr and "delete it" in done.stderr


def test_the_demos_config_is_that_of_its_training_with_open_gates(root):
    """The shipped example trains as data/demo/train.json does, which the README's figures are of."""
    demo = json.loads((root / "data" / "demo" / "pipeline.json").read_text())
    alone = json.loads((root / "data" / "demo" / "train.json").read_text())
    assert demo["train"] == {key: value for key, value in alone.items() if key != "output_dir"}
