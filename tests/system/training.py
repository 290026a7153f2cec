"""A small training run on the shipped model, and how two runs are compared."""
import json
import pathlib

DEMO = pathlib.Path(__file__).resolve().parents[2] / "data" / "demo"
# Of a metrics line, what a stop may change.
MACHINE_KEYS = {"step_seconds", "tokens_per_second", "memory_bytes"}


def options(run, **changes):
    """The words of `nkat train` for a run of a few seconds; changes: option="value", None leaves one out."""
    values = {
        "model_path": DEMO / "model",
        "train_data": DEMO / "train.jsonl",
        "validation_data": None,
        "output_dir": run,
        "max_steps": 12,
        "batch_size": 2,
        "gradient_accumulation": 2,
        "max_sequence_length": 96,
        "learning_rate": 2e-2,
        "alpha_learning_rate": 1e-1,
        "warmup_steps": 2,
        "annealing_warmup": 4,
        "checkpoint_every": 4,
        "validate_every": 5,
        "precision": "fp32",
        "device": "cpu",
        **changes,
    }
    words = []
    for name, value in values.items():
        if value is not None:
            words += ["--" + name.replace("_", "-"), *map(str, value if isinstance(value, list) else [value])]
    return words


def lines(run):
    text = (run / "metrics.jsonl").read_text()
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def comparable(run):
    """Everything that must be equal after a stop and a restart."""
    kept = [{key: value for key, value in line.items() if key not in MACHINE_KEYS} for line in lines(run)]
    files = {name: (run / name).read_bytes() for name in ("adapter/adapter_model.safetensors", "adapter/adapter_config.json")}
    best = run / "adapter-best" / "adapter_model.safetensors"
    files["best"] = best.read_bytes() if best.exists() else b""
    return kept, files


def assert_same_run(left, right):
    left_lines, left_files = comparable(left)
    right_lines, right_files = comparable(right)
    assert left_lines == right_lines
    for name, content in left_files.items():
        assert content == right_files[name], f"{name} differs"


def first_lines(path, target, count):
    target.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:count]))
    return target
