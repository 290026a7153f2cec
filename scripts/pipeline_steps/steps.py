"""Training, validation and export: the commands of nkat, what their results depend on, and what is kept of them."""

import json
import pathlib

from pipeline_steps.nkat_options import options_of, words_of
from pipeline_steps.pipeline import Outcome, Pipeline, read_json, say, shell
from pipeline_steps.record import identity, replace

# What a run may be resumed with (train/train_config.cpp); any other change begins a new one.
RESUMABLE = {"max_steps", "checkpoint_every", "keep_checkpoints", "validate_every", "validation_data", "log_every", "device",
             "vram_budget_gib", "checkpointing", "tokens_per_micro_batch"}
# Options of `nkat export` that make no sense without an adapter, or that judge what is left of it.
OF_THE_ADAPTER = {"allow_base_mismatch", "minimum_survived", "maximum_noise", "maximum_kl"}


def inputs_of(pipeline: Pipeline, command: str, options: dict) -> dict:
    """Options, and what is in the files that they name."""
    known = options_of(pipeline.nkat, command)
    files = {str(path): identity(path) for key, value in options.items() for path in known[key].paths(value)}
    return {"options": options, "files": files}


def set_aside_if_changed(run: pathlib.Path, before: dict | None, options: dict) -> None:
    """A run that was begun with other options is kept under another name, since nkat won't go on with it."""
    if before is None or not (run / "config.json").exists():
        return
    old = before["inputs"]["options"]
    changed = [key for key in {**old, **options} if old.get(key) != options.get(key) and key not in RESUMABLE]
    if not changed:
        return
    number = next(n for n in range(1, 10**6) if not run.with_name(f"{run.name}-{n}").exists())
    run.rename(run.with_name(f"{run.name}-{number}"))
    say(f"train: {', '.join(sorted(changed))} changed; the old run is kept as {run}-{number}")


def train(pipeline: Pipeline) -> dict:
    options, run = pipeline.config.train, pipeline.folder / "train"
    words = ["train", *words_of(options), "--output-dir", str(run)]

    def action(before: dict | None) -> Outcome:
        set_aside_if_changed(run, before, options)
        pipeline.run_nkat(words)
        summary = json.loads((run / "summary.json").read_text())
        newest = max((run / "checkpoints").glob("step-*"), key=lambda path: int(path.name.split("-")[1]))
        kept = [run / "summary.json", run / "metrics.jsonl", newest / "adapter_model.safetensors"]
        return Outcome({"summary": summary, "checkpoint": str(newest)}, kept, [shell([pipeline.nkat, *words])])

    return pipeline.step("train", inputs_of(pipeline, "train", options), action)


def hashes(entry: dict) -> list[str]:
    return [output["sha256"] for output in entry["outputs"].values()]


def validate(pipeline: Pipeline, trained: dict) -> dict:
    folder = pipeline.folder / "validation"
    report, plot, data = folder / "report.html", folder / "phase-transition.png", folder / "report.json"
    options = pipeline.config.validate
    words = ["validate", "--checkpoint-dir", str(pipeline.folder / "train"), *words_of(options), "--output-report", str(report),
             "--plot-phase-transition", str(plot), "--json"]

    def action() -> Outcome:
        folder.mkdir(exist_ok=True)
        code, output = pipeline.run_nkat(words, may_fail=True)
        content = read_json(output, "nkat validate")
        replace(data, output.encode())
        verdict = content["run"]["verdict"]
        message = f"validation: the verdict is '{verdict}', required was '{options.get('require')}'" if code else ""
        command = shell([pipeline.nkat, *words]) + f" > {data}"
        return Outcome({"verdict": verdict}, [data, report, plot], [command], code, message)

    inputs = inputs_of(pipeline, "validate", options) | {"trained": hashes(trained)}
    return pipeline.step("validate", inputs, action)


def export_names(entries: list[dict]) -> list[str]:
    """A name for each: its quantization, with a number where two share it."""
    names: list[str] = []
    for entry in entries:
        name = str(entry.get("quantization", "patched" if "patch" in entry else "q8_0"))
        twins = sum(one == name or one.startswith(name + "-") for one in names)
        names.append(f"{name}-{twins + 1}" if twins else name)
    return names


def export_one(pipeline: Pipeline, name: str, options: dict, trained: dict | None) -> dict:
    """Without `trained`: the base alone."""
    kind = "adapter" if trained else "base"
    folder = pipeline.folder / "export" / name / kind
    file, data = folder / f"{kind}-{name}.gguf", folder / "report.json"
    words = ["export", "--model-path", pipeline.config.train["model_path"], *words_of(options), "--output", str(file), "--json"]
    if trained:
        words += ["--adapter", trained["result"]["checkpoint"]]

    def action() -> Outcome:
        folder.mkdir(parents=True, exist_ok=True)
        code, output = pipeline.run_nkat(words, may_fail=True)
        report = read_json(output, "nkat export")
        replace(data, output.encode())
        lost = report.get("lost_layers") or []
        message = f"export {name}: the self-test failed" + (f", the adapter is lost in {len(lost)} layers" if lost else "") if code else ""
        outputs = [data] + ([file] if file.exists() else [])
        return Outcome({"file": str(file), "written": file.exists(), "report": report}, outputs,
                       [shell([pipeline.nkat, *words]) + f" > {data}"], code, message)

    inputs = inputs_of(pipeline, "export", {"model_path": pipeline.config.train["model_path"], **options})
    return pipeline.step(f"export {name}: {kind}", inputs | {"trained": hashes(trained) if trained else []}, action)


def gguf_of(entry: dict) -> dict:
    file = entry["result"]["file"]
    return {"file": file, "identity": entry["outputs"][file]["sha256"], "bytes": entry["outputs"][file]["size"]}


def export(pipeline: Pipeline, trained: dict) -> dict[str, dict]:
    """By name: {"base": file, "adapter": file, "step": the record's entry}; no "adapter" where none was published."""
    found = {}
    for name, options in zip(export_names(pipeline.config.export), pipeline.config.export):
        adapted = export_one(pipeline, name, options, trained)
        if "patch" in options:
            path = pathlib.Path(options["patch"])
            base = {"file": str(path), "identity": identity(path), "bytes": path.stat().st_size}
        else:
            plain = {key: value for key, value in options.items() if key not in OF_THE_ADAPTER}
            base = gguf_of(export_one(pipeline, name, plain, None))
        found[name] = {"base": base, "step": adapted} | ({"adapter": gguf_of(adapted)} if adapted["result"]["written"] else {})
    return found
