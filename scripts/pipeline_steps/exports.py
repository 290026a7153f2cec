"""Export: of each entry of the config a file with the adapter and one of the base alone, or why there is none."""

import pathlib
import re

from pipeline_steps.children import Ended
from pipeline_steps.errors import CHECK_FAILED
from pipeline_steps.nkat_options import words_of
from pipeline_steps.pipeline import Outcome, Pipeline, read_json, writing
from pipeline_steps.record import identity, replace
from pipeline_steps.steps import hashes, inputs_of

# Options of `nkat export` that make no sense without an adapter, or that judge what is left of it.
OF_THE_ADAPTER = {"allow_base_mismatch", "min_retention", "max_noise", "maximum_kl"}
ERROR = re.compile(r"^\S+ error (.*)$", re.MULTILINE)  # a line of nkat's log
COMPANIONS = ("export.json", "Modelfile")  # that nkat writes beside the file


def export_names(entries: list[dict]) -> list[str]:
    """A name for each: its quantization, with a number where two share it."""
    names: list[str] = []
    for entry in entries:
        name = str(entry.get("quantization", "patched" if "patch" in entry else "q8_0"))
        twins = sum(one == name or one.startswith(name + "-") for one in names)
        names.append(f"{name}-{twins + 1}" if twins else name)
    return names


def read_report(ended: Ended) -> dict:
    """Empty where a check failed before there was one."""
    return {} if ended.code == CHECK_FAILED and not ended.output.strip() else read_json(ended.output, "nkat export")


def why_not_written(ended: Ended, report: dict, file: pathlib.Path) -> str:
    """Or "" if the file is in place."""
    if ended.code != CHECK_FAILED or (report.get("in_place", True) and file.exists()):
        return ""
    logits = report.get("logits") or {}
    said = ERROR.findall(ended.errors)
    if logits.get("maximum_kl") is not None and logits["mean_kl"] > logits["maximum_kl"]:
        cause = f"its mean KL from backbone + adapter is {logits['mean_kl']:.3g} nats a token, at most {logits['maximum_kl']:.3g} was required"
    else:
        cause = said[-1] if said else "nkat gave no reason"
    return f"NOT WRITTEN: {cause}"


def complaint(report: dict) -> str:
    lost = report.get("lost_layers") or []
    return "the self-test failed" + (f", the adapter is lost in {len(lost)} layers" if lost else "")


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
        # What is there is out of date, and must not be taken for this export's if this one leaves none.
        for stale in (file, data, *(folder / companion for companion in COMPANIONS)):
            stale.unlink(missing_ok=True)
        ended = pipeline.run_nkat(words, may_fail=True, keep_errors=True)
        report = read_report(ended)
        if report:
            replace(data, ended.output.encode())
        reason = why_not_written(ended, report, file)
        which = name if trained else f"{name}, base alone"
        message = f"export {which}: {reason or complaint(report)}" if ended.code else ""
        outputs = ([data] if report else []) + ([] if reason else [file])
        return Outcome({"file": str(file), "written": not reason, "reason": reason, "report": report}, outputs,
                       [writing([pipeline.nkat, *words], data)], ended.code, message)

    inputs = inputs_of(pipeline, "export", {"model_path": pipeline.config.train["model_path"], **options})
    return pipeline.step(f"export {name}: {kind}", inputs | {"trained": hashes(trained) if trained else []}, action)


def gguf_of(kind: str, entry: dict) -> dict[str, dict]:
    file = entry["result"]["file"]
    if not entry["result"]["written"]:
        return {}
    return {kind: {"file": file, "identity": entry["outputs"][file]["sha256"], "bytes": entry["outputs"][file]["size"]}}


def export(pipeline: Pipeline, trained: dict) -> dict[str, dict]:
    """By name: {"base": file, "adapter": file, "step", "base_step": the record's entries}; without the files that weren't written."""
    found = {}
    for name, options in zip(export_names(pipeline.config.export), pipeline.config.export):
        adapted = export_one(pipeline, name, options, trained)
        if "patch" in options:
            path = pathlib.Path(options["patch"])
            found[name] = {"base": {"file": str(path), "identity": identity(path), "bytes": path.stat().st_size}, "step": adapted}
        else:
            plain = {key: value for key, value in options.items() if key not in OF_THE_ADAPTER}
            base = export_one(pipeline, name, plain, None)
            found[name] = gguf_of("base", base) | {"step": adapted, "base_step": base}
        found[name] |= gguf_of("adapter", adapted)
    return found
