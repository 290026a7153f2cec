"""`nkat validate` on real runs: verdicts, reports and plots, what it needs of a run, and wrong inputs."""
import hashlib
import json
import math
import shutil
import signal
import subprocess

import pytest
import training


@pytest.fixture(scope="module")
def run(nkat, tmp_path_factory):
    """A run of 150 steps in which gates open; a few seconds."""
    folder = tmp_path_factory.mktemp("validate") / "run"
    done = nkat(
        "train",
        *training.options(
            folder,
            max_steps=150,
            checkpoint_every=50,
            validate_every=50,
            learning_rate=5e-2,
            validation_data=training.first_lines(training.DEMO / "validation.jsonl", folder.parent / "held-out.jsonl", 20),
        ),
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def copied(run, tmp_path):
    return shutil.copytree(run, tmp_path / "copied")


@pytest.fixture
def validate(nkat, tmp_path):
    """validate(folder, ...) -> (CompletedProcess, the JSON report or None)"""

    def call(folder, *words, report="report.json"):
        done = nkat("validate", "--checkpoint-dir", folder, "--output-report", tmp_path / report,
                    "--plot-phase-transition", tmp_path / "plot.png", *words)
        path = tmp_path / report
        return done, json.loads(path.read_text()) if path.suffix == ".json" and path.exists() else None

    return call


def gate_part(report):
    return [report["sum"], *report["layers"]]


def rewrite_manifest(checkpoint):
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    for name, entry in manifest["files"].items():
        content = (checkpoint / name).read_bytes()
        entry.update(size=len(content), sha256=hashlib.sha256(content).hexdigest())
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))


def change_tensor(checkpoint, file, name, change):
    from safetensors.numpy import load_file, save_file

    tensors = load_file(checkpoint / file)
    change(tensors[name])
    save_file(tensors, checkpoint / file, metadata={"format": "pt"})
    rewrite_manifest(checkpoint)


def test_report_holds_the_runs_numbers(run, validate):
    done, report = validate(run)
    assert done.returncode == 0, done.stderr
    lines = training.lines(run)
    gates = [[1 / (1 + math.exp(-alpha)) for alpha in line["alpha"]] for line in lines]
    mean = [sum(row) / len(row) for row in gates]
    growth = [after - before for before, after in zip(mean, mean[1:])]
    assert report["run"]["max_susceptibility_step"] == 1 + growth.index(max(growth))
    for level, step in report["run"]["crossings"].items():
        assert step == next((i + 1 for i, m in enumerate(mean) if m >= float(level)), None)
    for layer in report["layers"]:
        series = [row[layer["layer"]] for row in gates]
        assert layer["gate_first"] == pytest.approx(series[0], rel=1e-12)
        assert layer["gate_max"] == pytest.approx(max(series), rel=1e-12)
        assert layer["opened_at"] == next((i + 1 for i, g in enumerate(series) if g >= series[0] + 0.1), None)
        assert [level["from"] for level in layer["levels"]][0] == 1 and layer["levels"][-1]["to"] == len(lines)
    assert report["run"]["layers_by_verdict"][report["layers"][0]["verdict"]] >= 1
    assert len(report["checks"]) == 13 and {check["status"] for check in report["checks"]} <= {"pass", "fail", "not measured"}
    assert [row["step"] for row in report["geometry"]][:: len(report["layers"])] == [0, 50, 100, 150]


def test_geometry_equals_pytorchs_exponential(run, validate):
    import torch
    from safetensors.torch import load_file

    _, report = validate(run)
    weight = load_file(run / "checkpoints/step-000150/adapter_model.safetensors")["layers.2.so8t.weight"].double()
    skew = (weight - weight.mT) / 2
    row = next(r for r in report["geometry"] if r["step"] == 150 and r["layer"] == 2)
    angles = torch.linalg.eigvals(skew).imag.abs()
    assert row["angle_max"] == pytest.approx(angles.max().item(), rel=1e-9)
    assert row["angle_median"] == pytest.approx(angles.sort().values.flatten()[::2].quantile(0.5).item(), rel=1e-2)
    assert row["norm_max"] == pytest.approx(skew.norm(dim=(1, 2)).max().item(), rel=1e-12)
    assert row["orthogonality_max"] < 1e-12 and row["determinant_max"] < 1e-12
    # Rounding to BF16 leaves an error of 2^-9 an entry; float64 noise in R moves few of them across a rounding edge.
    rounded = torch.matrix_exp(skew).bfloat16().double()
    errors = (rounded.mT @ rounded - torch.eye(8, dtype=torch.float64)).norm(dim=(1, 2))
    assert row["bf16"]["orthogonality_max"] == pytest.approx(errors.max().item(), rel=1e-2)


def test_run_checkpoints_and_bare_metrics_give_the_same_verdicts(run, validate, tmp_path):
    (tmp_path / "bare").mkdir()
    shutil.copy(run / "metrics.jsonl", tmp_path / "bare")
    whole, by_checkpoints, bare = (validate(folder)[1] for folder in (run, run / "checkpoints", tmp_path / "bare"))
    assert gate_part(whole) == gate_part(by_checkpoints) == gate_part(bare)
    assert bare["geometry"] == [] and "not measured" in {check["status"] for check in bare["checks"]}


def test_checkpoints_without_metrics_still_give_verdicts(copied, validate):
    whole = validate(copied)[1]
    (copied / "metrics.jsonl").unlink()
    done, series = validate(copied)
    assert done.returncode == 0, done.stderr
    # The series are float32, so forces differ by their rounding and the noise decides nothing.
    assert [f["verdict"] for f in gate_part(series)] == [f["verdict"] for f in gate_part(whole)]
    assert [f["tau"] for f in gate_part(series)] == [f["tau"] for f in gate_part(whole)]


def test_a_run_that_is_going_on_can_be_read(copied, validate):
    lines = (copied / "metrics.jsonl").read_text().splitlines(keepends=True)
    (copied / "metrics.jsonl").write_text("".join(lines[:120]) + lines[120][:40])
    shutil.rmtree(copied / "checkpoints/step-000150")
    done, report = validate(copied)
    assert done.returncode == 0, done.stderr
    assert report["run"]["steps"] == 120 and report["run"]["finished"] is False


def test_damaged_checkpoint_is_named_and_passed_over(copied, validate):
    victim = copied / "checkpoints/step-000150/adapter_model.safetensors"
    victim.write_bytes(victim.read_bytes()[:-1])
    done, report = validate(copied)
    assert done.returncode == 0
    assert "step-000150" in done.stderr and "step-000150" in report["run"]["damaged"][0]
    assert report["geometry"][-1]["step"] == 100


def test_checkpoint_that_disagrees_with_the_metrics_is_refused(copied, validate):
    change_tensor(copied / "checkpoints/step-000150", "trainer_state.safetensors", "series.alpha", lambda a: a.__setitem__((149, 1), 9))
    done, report = validate(copied)
    assert done.returncode == 3 and report is None
    assert "step-000150" in done.stderr and "9" in done.stderr


@pytest.mark.parametrize("value", [math.nan, math.inf, 1e13])
def test_weight_that_is_no_rotation_is_refused_with_layer_and_block(copied, validate, value):
    change_tensor(copied / "checkpoints/step-000100", "adapter_model.safetensors", "layers.3.so8t.weight",
                  lambda w: w.__setitem__((5, 0, 1), value))
    done, report = validate(copied)
    assert done.returncode == 3 and report is None
    assert "step-000100" in done.stderr and "layer 3" in done.stderr and "block 5" in done.stderr


def test_one_step_and_no_step_runs_say_what_is_missing(run, validate, tmp_path):
    (tmp_path / "one").mkdir()
    training.first_lines(run / "metrics.jsonl", tmp_path / "one" / "metrics.jsonl", 1)
    done, report = validate(tmp_path / "one")
    assert done.returncode == 0 and report["run"]["verdict"] == "unresolved"
    assert "at least 100" in done.stdout
    (tmp_path / "one" / "metrics.jsonl").write_text("")
    assert validate(tmp_path / "one")[0].returncode == 3


def test_require_exits_with_five_after_the_report(run, validate):
    verdict = validate(run)[1]["run"]["verdict"]
    other = "closed" if verdict != "closed" else "transition"
    assert validate(run, "--require", verdict)[0].returncode == 0
    done, report = validate(run, "--require", other)
    assert done.returncode == 5 and report is not None
    assert f"the verdict is {verdict}" in done.stderr


def test_report_forms(run, validate, tmp_path):
    for form in ("md", "html"):
        done, _ = validate(run, report=f"report.{form}")
        assert done.returncode == 0, done.stderr
        text = (tmp_path / f"report.{form}").read_text()
        assert "final loss" in text and "Checklist" in text
        if form == "html":
            assert text.count("data:image/png;base64,") == 7 and "src=\"http" not in text and "<link" not in text
    for name in ("gates", "forces", "angles", "triality", "loss", "memory"):
        assert (tmp_path / "report-plots" / f"{name}.png").read_bytes()[:4] == b"\x89PNG"


def test_plots_stand_beside_the_report_by_default(run, nkat, tmp_path):
    (tmp_path / "reports").mkdir()
    (tmp_path / "elsewhere").mkdir()
    done = nkat("validate", run, "--output-report", tmp_path / "reports" / "a.md", cwd=tmp_path / "elsewhere")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "reports" / "a-transition.png").read_bytes()[:4] == b"\x89PNG"
    assert "](<a-transition.png>)" in (tmp_path / "reports" / "a.md").read_text()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_compare_sets_controls_and_seeds_side_by_side(run, validate, tmp_path):
    control = tmp_path / "control"
    shutil.copytree(run, control)
    config = json.loads((control / "config.json").read_text())
    (control / "config.json").write_text(json.dumps({**config, "control": "identity"}))
    seed = shutil.copytree(run, tmp_path / "seed")
    done, report = validate(run, "--compare", control, seed)
    assert done.returncode == 0, done.stderr
    transitions = [layer["layer"] for layer in report["layers"] if layer["verdict"] == "transition"]
    assert transitions and all(report["layers"][i]["specific"] is False for i in transitions)
    assert report["comparison"]["controls"][0]["transitions_in_both"] == transitions
    assert report["comparison"]["tau"][0]["runs"] == 2 and report["comparison"]["tau"][0]["range"] == 0


def test_gain_is_measured_with_the_model(run, validate, tmp_path):
    held_out = training.first_lines(training.DEMO / "validation.jsonl", tmp_path / "held-out.jsonl", 20)
    general = training.first_lines(training.DEMO / "general.jsonl", tmp_path / "general.jsonl", 10)
    done, report = validate(run, "--model-path", training.DEMO / "model", "--validation-data", held_out, "--general-data", general,
                            "--questions", 4, "--precision", "fp32", "--max-sequence-length", 96)
    assert done.returncode == 0, done.stderr
    statuses = {check["name"]: check["status"] for check in report["checks"]}
    assert statuses["base language kept"] != "not measured" and statuses["reasoning gain"] != "not measured"
    final = next(check for check in report["checks"] if check["name"] == "final loss")
    assert report["gain"]["loss"] == pytest.approx(final["value"], rel=1e-6)


WRONG = [
    (["--require", "open"], 2, "found 'open'"),
    (["--validation-data", "x.jsonl"], 2, "needs --model-path"),
    (["--base", "balanced"], 2, "--base needs --model-path"),
    (["--precision", "fp32"], 2, "--precision needs --model-path"),
    (["--tasks", "poetry"], 2, "found 'poetry'"),
    (["--output-report", "missing/report.md"], 3, "does not exist"),
    (["--output-report", "report.txt"], 2, ".md, .html, .json"),
    (["--output-report", ""], 2, "expected a file name"),
    (["--output-report", "/proc/report.md"], 4, "nothing can be written"),
    (["--output-report", "same.md", "--plot-phase-transition", "same.md"], 2, ".png"),
    (["--plot-phase-transition", "report-plots/gates.png"], 3, "report-plots"),
    (["--tasks", "math"], 2, "needs --model-path"),
    (["--model-path", training.DEMO / "model", "--tasks", "decision"], 2, "needs --validation-data"),
    (["--model-path", training.DEMO / "model", "--tasks", "math", "--general-data", "x.jsonl"], 2, "needs the task loss"),
    (["--model-path", training.DEMO / "model", "--ablate", "layers"], 2, "needs --validation-data"),
    (["another-run"], 2, "expected one checkpoint-dir, found 2"),
    (["--minimum-rise", "-1"], 2, "--minimum-rise"),
    (["--compare", "nowhere"], 3, "nowhere"),
    (["--model-path", "nowhere"], 3, "nowhere"),
    (["--model-path", training.DEMO / "model", "--validation-data", "nowhere.jsonl"], 3, "nowhere.jsonl"),
]


@pytest.mark.parametrize("words, code, message", WRONG, ids=lambda value: str(value)[:40])
def test_wrong_options_end_with_a_message(run, nkat, tmp_path, words, code, message):
    done = nkat("validate", "--checkpoint-dir", run, *words, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert not (tmp_path / "report.md").exists()


def test_foreign_folders_are_refused(nkat, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "missing", training.DEMO / "model", training.DEMO / "train.jsonl"):
        done = nkat("validate", folder, cwd=tmp_path)
        assert done.returncode == 3, (folder, done.stderr)
        assert str(folder) in done.stderr


def test_the_runs_own_files_are_never_overwritten(copied, nkat):
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    for output in ("metrics.jsonl", "config.json", "checkpoints/step-000150/manifest.json", "adapter/report.json"):
        for option in ("--output-report", "--plot-phase-transition"):
            done = nkat("validate", copied, option, copied / output, cwd=copied.parent)
            assert done.returncode == 2, (option, output, done.stderr)
    assert before == {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}


def test_the_commands_that_a_checklist_names_run(run, nkat, tmp_path, validate):
    general = training.first_lines(training.DEMO / "general.jsonl", tmp_path / "general.jsonl", 5)
    checks = validate(run)[1]["checks"]
    commands = [check["command"] for check in checks if check.get("command", "").startswith("nkat validate --checkpoint-dir")]
    assert len(commands) == 2
    for command in commands:
        words = command.replace("FILE", str(general)).split()[1:]
        done = nkat(*words, "--questions", 4, cwd=tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stderr}"


def test_interrupt_says_that_nothing_was_written(run, nkat_path, tmp_path):
    process = subprocess.Popen([str(nkat_path), "validate", "--checkpoint-dir", str(run), "--model-path", str(training.DEMO / "model"),
                                "--questions", "2000", "--tasks", "math", "--generation-batch", "2"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "math" in line:
            process.send_signal(signal.SIGINT)
            break
    rest = process.stderr.read()
    assert process.wait(60) == 75
    assert "nothing of this validation is kept" in rest and not (tmp_path / "report.md").exists()


def test_a_full_disk_leaves_the_old_report(run, nkat_path, tmp_path):
    report = tmp_path / "report.md"
    report.write_text("old")
    done = subprocess.run(["bash", "-c", 'ulimit -f 4; exec "$@"', "-", str(nkat_path), "validate", "--checkpoint-dir", str(run),
                           "--output-report", str(report), "--plot-phase-transition", str(tmp_path / "plot.png")],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 4, done.stderr
    assert report.read_text() == "old"
