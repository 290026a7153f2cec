"""The summary page: what was run, what came of it, and by which commands. Figures are those of the steps' JSON files."""

import json
import pathlib

from pipeline_steps import machine, plot, speed_tables
from pipeline_steps.page import Cards, Code, Failures, Heading, Link, Links, Picture, Remarks, Table, Text, to_html, to_markdown
from pipeline_steps.pipeline import Pipeline, shell
from pipeline_steps.record import replace

MIB = 2**20
NO_NEARER = "no nearer to the adapted model than its base"


def failures(pipeline: Pipeline) -> list[str]:
    return [entry["message"] for entry in pipeline.record.steps.values() if entry["code"]]


def report_of(files: dict) -> dict:
    """Of the export with adapter; empty where nkat gave none."""
    return files["step"]["result"]["report"]


def is_no_nearer(report: dict) -> bool:
    return (report.get("logits") or {}).get("nearer_than_base") is False


def remarks(exported: dict) -> list[str]:
    return [f"export {name}: the file is {NO_NEARER}: the adapter's effect is below the rounding of its type; take a finer one"
            for name, files in exported.items() if is_no_nearer(report_of(files))]


def number(value, digits: int = 3) -> str:
    return "not measured" if value is None else f"{value:.{digits}f}"


def interval(bounds) -> str:
    return f" ({bounds[0]:.3f} to {bounds[1]:.3f})" if bounds and None not in bounds else ""


def what_was_run(pipeline: Pipeline, trained: dict, exported: dict) -> list:
    train = pipeline.config.train
    report = next(filter(None, map(report_of, exported.values())), {})
    finished = max(entry["finished_at"] for entry in pipeline.record.steps.values())
    files = trained["inputs"]["files"]
    adapter = report.get("adapter") or {}
    rows = [["program", f"nkat {pipeline.version}"], ["config", pipeline.config.path], ["finished", finished],
            ["model", f"{train['model_path']}, SHA-256 of its weights {report.get('base_sha256', 'not given')}"],
            *(["data", f"{name}, SHA-256 {found}"] for name, found in files.items() if isinstance(found, str)),
            ["adapter", f"{trained['result']['checkpoint']}, SHA-256 {adapter.get('sha256', 'not given')}"],
            *([name, value] for name, value in machine.describe().items())]
    return [Heading("What was run", folded=True), Table(["what", ""], rows)]


def steps(pipeline: Pipeline) -> list:
    rows = [[name, "FAILED: " + entry["message"] if entry["code"] else "done", f"{entry['seconds']:.1f}"]
            for name, entry in pipeline.record.steps.items()]
    return [Heading("Steps", folded=True), Table(["step", "result", "seconds (of the last part, if interrupted)"], rows)]


def losses(trained: dict, report: dict) -> list:
    summary = trained["result"]["summary"]
    rows = [["training, first and last step", number(summary.get("loss_first")), number(summary.get("loss_last"))],
            ["validation, first measured and best " + f"(step {summary.get('best_step')})", number(summary.get("validation_loss_first")),
             number(summary.get("validation_loss_best"))]]
    gain = report.get("gain") or {}
    held_out = gain if "loss" in gain else None
    for found, what in ((held_out, "held-out, without and with the adapter"), (gain.get("general"), "general text, without and with the adapter")):
        if found:
            rows.append([what, number(found["base"]["loss"]) + interval(found["base"].get("interval")),
                         number(found["loss"]) + interval(found.get("interval"))])
    note = "" if held_out else " Held-out loss with and without the adapter: not measured, validate had no model or data for it."
    header = ["nats per target token (95 % interval)", "first, or without adapter", "last or best, or with it"]
    return [Heading("Loss", folded=True), Table(header, rows),
            Text(f"{summary['steps']} steps; gates open (σ > 0.5) at the end: {summary.get('open_gates', 'not measured')}." + note)]


def answers(report: dict) -> list:
    gain = report.get("gain") or {}
    decision, problems = gain.get("decision") or {}, gain.get("math") or {}
    scores = [("decisions, by generated answer", decision.get("generated")), ("decisions, by likelihood", decision.get("likelihood")),
              ("problems", problems.get("scores"))]
    rows = [[what, percent(found["all"]["base"]), percent(found["all"]), str(found["all"]["questions"]), f"{found['all']['p']:.2g}"]
            for what, found in scores if found]
    if not rows:
        return [Heading("Answers", folded=True), Text("Not measured: validate had no model, or its tasks are the loss alone.")]
    return [Heading("Answers", folded=True), Table(["right, % (95 % interval)", "without adapter", "with adapter", "questions", "McNemar's p"], rows)]


def percent(found: dict) -> str:
    low, high = found["interval"]
    return f"{100 * found['accuracy']:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def check_row(check: dict) -> list[str]:
    value = check["value"]
    shown = "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    return [check["name"], shown, check["threshold"], check["status"], check.get("note", "")]


def picture_or_why(path: pathlib.Path, about: str, complaint: str = "") -> Picture | Text:
    return Picture(path, about) if path.exists() else Text(f"No plot '{about}': {complaint or path.name + ' is missing'}.")


def verdict(pipeline: Pipeline, report: dict) -> list:
    """The verdict about the gates, their picture and the checklist."""
    run, folder = report["run"], pipeline.folder / "validation"
    layers = ", ".join(f"{count} {verdict}" for verdict, count in run["layers_by_verdict"].items() if count)
    tau = f"step {run['tau']}" if run.get("tau") is not None else "none"
    bounds = run.get("tau_interval")
    tau += f" ({bounds[0]} to {bounds[1]})" if bounds else ""
    links = [Link("validation report", folder / "report.html"), Link("its figures as JSON", folder / "report.json"),
             Link("this page as Markdown", pipeline.folder / "summary.md"), Link("record of all steps", pipeline.folder / "pipeline.json"),
             Link("adapter", pipeline.folder / "train" / "adapter" / "adapter_config.json")]
    return [Text(report.get("verdict", ""), lead=True),
            Text(f"Verdict: {run['verdict']}; layers: {layers}; transition at: {tau}."),
            picture_or_why(folder / "phase-transition.png", "gates"), Links(links),
            Heading("Checklist"), Table(["check", "value", "required", "status", "note"], [check_row(check) for check in report["checks"]])]


def survival(report: dict) -> str:
    layers = [one for one in report.get("ffn_down") or [] if one.get("change")]
    if not layers:
        return "not measured"
    shares, noises = ([one[key] for one in layers] for key in ("survived", "noise"))
    lost = report.get("lost_layers") or []
    text = f"{sum(shares) / len(shares):.3f} ({min(shares):.3f} to {max(shares):.3f}), noise {min(noises):.2g} to {max(noises):.2g}"
    return text + (f"; LOST in {len(lost)} of {len(layers)} layers" if lost else "; lost in none")


def divergence(report: dict) -> str:
    logits = report.get("logits")
    if not logits:
        return "not measured"
    text = f"{logits['mean_kl']:.2e} (base alone {number(logits.get('base_mean_kl'), 6)})"
    return text + (f"; {NO_NEARER.upper()}" if is_no_nearer(report) else "")


def serving(file: str, report: dict) -> str:
    return f"{shell(['llama-server', '-m', file])} -c {report.get('served_context') or min(4096, report['context_length'])}"


def exports(exported: dict) -> list:
    rows, served = [], []
    for name, files in exported.items():
        report = report_of(files)
        for kind, step in (("adapter", "step"), ("base", "base_step")):
            measured = [survival(report), divergence(report)] if kind == "adapter" else ["", ""]
            if kind in files:
                file = files[kind]
                link = Link(file["file"], pathlib.Path(file["file"]))
                rows.append([name, kind, link, f"{file['bytes'] / MIB:.1f}", str(file["identity"]), *measured])
            else:
                rows.append([name, kind, files[step]["result"].get("reason") or "NOT WRITTEN: see its step", "", "", *measured])
        if "adapter" in files:
            served.append(serving(files["adapter"]["file"], report))
    header = ["export", "kind", "file", "MiB", "SHA-256", "retained of the adapter's change to ffn_down: mean (range)",
              "KL from backbone + adapter, nats per token"]
    return [Heading("Exported files"), Cards(header, rows, title=2, bars=("MiB",)), *([Text("Serve with:"), Code(served)] if served else [])]


def plots(pipeline: Pipeline, measured: dict) -> list:
    path = pipeline.folder / "performance" / "performance.png"
    path.unlink(missing_ok=True)
    complaint = plot.draw(path, speed_tables.panels(measured))
    about = "tokens per second and loss in llama.cpp: base and exported file; bars span all repeats"
    return [Heading("Plots"), picture_or_why(pipeline.folder / "train" / "training.png", "training"), picture_or_why(path, about, complaint)]


def commands(pipeline: Pipeline) -> list:
    blocks: list = [Heading("Commands", folded=True), Text("Every figure above comes from one of these; each step's JSON is in pipeline.json.")]
    for name, entry in pipeline.record.steps.items():
        blocks += [Text(f"{name}:"), Code(entry["commands"])]
    return blocks


def write(pipeline: Pipeline, found: dict) -> pathlib.Path:
    trained, exported, measured = found["train"], found["export"], found["performance"]
    report = json.loads((pipeline.folder / "validation" / "report.json").read_text())
    failed, noted = failures(pipeline), remarks(exported)
    blocks = [*([Failures(failed)] if failed else []), *([Remarks(noted)] if noted else []), *verdict(pipeline, report), *exports(exported),
              *plots(pipeline, measured), *speed_tables.blocks(measured), *losses(trained, report), *answers(report),
              *what_was_run(pipeline, trained, exported), *steps(pipeline), *commands(pipeline)]
    title = f"NKAT-SO8T: {pipeline.folder}"
    page = pipeline.folder / "summary.html"
    replace(pipeline.folder / "summary.md", to_markdown(title, blocks, pipeline.folder).encode())
    replace(page, to_html(title, blocks, pipeline.folder).encode())
    return page
