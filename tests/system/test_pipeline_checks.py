"""`scripts/pipeline`: checks that fail, and exports that are not written: exit code 5, with the page written, saying so."""
import sys

import pytest
from pipeline_steps.summary import NO_NEARER, divergence, remarks
from pipelines import config, page, started, steps_of


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


# Runs the program; of its export with adapter (or of any, if `kinds` says so) it changes report, file and exit code.
STAND_IN = """#!{python}
import json, subprocess, sys
words, changes = sys.argv[1:], {changes!r}
meant = words[0] == "export" and "--help" not in words and "--json" in words and ("--adapter" in words or {base})
if meant and (changes is None or not changes.get("in_place", True)):
    words[words.index("--output") + 1] = "elsewhere.gguf"  # an older file is as it was
done = subprocess.run([{nkat!r}, *words], stdout=subprocess.PIPE, text=True)
if not meant:
    sys.stdout.write(done.stdout)
    sys.exit(done.returncode)
if changes is None:
    print("12:00:00 error adapter-f32.gguf: could not be opened again", file=sys.stderr)
else:
    print(json.dumps(json.loads(done.stdout) | changes))
sys.exit({code})
"""
LOGITS = {"prompts": 4, "tokens": 208, "mean_kl": 0.03, "largest_kl": 0.1, "top1_agreement": 0.9, "base_mean_kl": 0.01, "maximum_kl": 0.02}


@pytest.fixture
def stand_in(copied, nkat_path):
    """A program whose reports have these changes, or none at all (None)."""
    def make(changes, code, base=False):
        program = copied / "nkat"
        program.write_text(STAND_IN.format(python=sys.executable, nkat=str(nkat_path), changes=changes, code=code, base=base))
        program.chmod(0o755)
        return str(program)

    return make


AGAIN = [{"quantization": "f32", "self_test": "off", "name": "phi-3 again"}]


@pytest.mark.parametrize("changes, reason", [
    ({"in_place": False, "logits": LOGITS}, "NOT WRITTEN: its mean KL from backbone + adapter is 0.03 nats a token, at most 0.02 was required"),
    (None, "NOT WRITTEN: adapter-f32.gguf: could not be opened again"),
])
def test_an_export_that_is_not_put_in_place_is_named_and_no_older_file_measured(copied, run, stand_in, changes, reason):
    folder = copied / "out" / "export" / "f32" / "adapter"
    assert (folder / "adapter-f32.gguf").exists()
    for expected in (True, False):
        done = run(copied, config(export=AGAIN), NKAT=stand_in(changes, 5))
        assert done.returncode == 5, done.stderr
        assert f"FAILED: export f32: {reason}" in done.stderr and ("export f32: adapter" in started(done)) == expected
        text = page(copied)
        assert f"| f32 | adapter | {reason} |" in text and text.index(f"> - export f32: {reason}") < text.index("## What was run")
        assert not (folder / "adapter-f32.gguf").exists() and (folder / "report.json").exists() == (changes is not None)
        assert "loss: f32 adapter" not in steps_of(copied) and "adapter-f32.gguf -c" not in text
        assert list(steps_of(copied)["speed"]["result"].get("runs", {"f32": {"base": []}})["f32"]) == ["base"]


def test_a_base_that_is_not_put_in_place_ends_the_same_way(copied, run, stand_in):
    done = run(copied, config(export=AGAIN), NKAT=stand_in({"in_place": False, "logits": LOGITS}, 5, base=True))
    assert done.returncode == 5, done.stderr
    assert "FAILED: export f32, base alone: NOT WRITTEN: its mean KL" in done.stderr
    assert "| f32 | base | NOT WRITTEN" in page(copied) and "Serve with" not in page(copied)


def test_the_program_itself_refuses_a_file_that_differs_too_much(copied, run):
    done = run(copied, config(export=[{"quantization": "q8_0", "maximum_kl": 1e-9}]))
    assert done.returncode == 5, done.stderr
    result = steps_of(copied)["export q8_0: adapter"]["result"]
    assert not result["written"] and result["report"]["in_place"] is False and result["report"]["logits"]["maximum_kl"] == 1e-9
    assert "NOT WRITTEN: " in page(copied) and "1e-09" in page(copied)
    assert not (copied / "out" / "export" / "q8_0" / "adapter" / "adapter-q8_0.gguf").exists()


def test_a_file_no_nearer_than_its_base_is_remarked_upon(copied, run, stand_in):
    changes = {"served_context": 77, "logits": LOGITS | {"maximum_kl": 1.0, "nearer_than_base": False}}
    done = run(copied, config(export=AGAIN), NKAT=stand_in(changes, 0))
    assert done.returncode == 0, done.stderr
    text = page(copied)
    assert f"note: export f32: the file is {NO_NEARER}" in done.stderr and "FAILED" not in text
    assert text.index(f"> - export f32: the file is {NO_NEARER}") < text.index("## What was run")
    assert NO_NEARER.upper() in text and "adapter-f32.gguf -c 77" in text
    for nearer in (True, None):
        report = changes | {"logits": changes["logits"] | {"nearer_than_base": nearer}}
        assert remarks({"f32": {"step": {"result": {"report": report}}}}) == [] and NO_NEARER.upper() not in divergence(report)
