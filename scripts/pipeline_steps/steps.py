"""Training and validation: the commands of nkat, what their results depend on, and what is kept of them."""

import json
import pathlib

from pipeline_steps.nkat_options import options_of, words_of
from pipeline_steps.pipeline import Outcome, Pipeline, read_json, say, shell, writing
from pipeline_steps.record import identity, replace


def inputs_of(pipeline: Pipeline, command: str, options: dict) -> dict:
    """Options, and what is in the files that they name."""
    known = options_of(pipeline.nkat, command)
    files = {str(path): identity(path) for key, value in options.items() for path in known[key].paths(value)}
    return {"options": options, "files": files}


def newest_checkpoint(run: pathlib.Path) -> tuple[int, pathlib.Path] | None:
    found = [(int(path.name.split("-")[1]), path) for path in (run / "checkpoints").glob("step-*")]
    return max(found, default=None)


def what_changed(pipeline: Pipeline, old: dict, new: dict) -> list[str]:
    """Of the inputs, all that a run can't be resumed with: options, and files or folders that they name."""
    before, options, known = old["options"], new["options"], options_of(pipeline.nkat, "train")
    resumable = {key for key, option in known.items() if option.resume == "may_change"}
    changed = {key for key in {**before, **options} if before.get(key) != options.get(key)} - resumable
    paths = {str(path) for key, value in options.items() if key not in resumable | changed for path in known[key].paths(value)}
    return sorted(changed) + sorted(path for path in paths if old["files"].get(path) != new["files"][path])


def set_aside_if_changed(pipeline: Pipeline, run: pathlib.Path, before: dict | None, inputs: dict) -> None:
    """Renames a run that was started with other options or files, or that is beyond max_steps: nkat refuses other options, doesn't
    see other data under the same name, and undoes no step."""
    if before is None or not (run / "config.json").exists():
        return
    changed, done, steps = what_changed(pipeline, before["inputs"], inputs), newest_checkpoint(run), inputs["options"].get("max_steps")
    if changed:
        reason = f"{', '.join(changed)} changed"
    elif done is not None and steps is not None and done[0] > steps:
        reason = f"{done[0]} steps are done, max_steps is {steps}"
    else:
        return
    number = next(n for n in range(1, 10**6) if not run.with_name(f"{run.name}-{n}").exists())
    run.rename(run.with_name(f"{run.name}-{number}"))
    say(f"train: {reason}; the old run is kept as {run}-{number}")


def train(pipeline: Pipeline) -> dict:
    options, run = pipeline.config.train, pipeline.folder / "train"
    words, inputs = ["train", *words_of(options), "--output-dir", str(run)], inputs_of(pipeline, "train", options)

    def action() -> Outcome:
        pipeline.run_nkat(words)
        summary = json.loads((run / "summary.json").read_text())
        _, newest = newest_checkpoint(run)
        kept = [run / "summary.json", run / "metrics.jsonl", newest / "adapter_model.safetensors"]
        return Outcome({"summary": summary, "checkpoint": str(newest)}, kept, [shell([pipeline.nkat, *words])])

    return pipeline.step("train", inputs, action, lambda before: set_aside_if_changed(pipeline, run, before, inputs))


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
        ended = pipeline.run_nkat(words, may_fail=True)
        code, content = ended.code, read_json(ended.output, "nkat validate")
        replace(data, ended.output.encode())
        verdict = content["run"]["verdict"]
        message = f"validation: the verdict is '{verdict}', required was '{options.get('require')}'" if code else ""
        command = writing([pipeline.nkat, *words], data)
        return Outcome({"verdict": verdict}, [data, report, plot], [command], code, message)

    inputs = inputs_of(pipeline, "validate", options) | {"trained": hashes(trained)}
    return pipeline.step("validate", inputs, action)
