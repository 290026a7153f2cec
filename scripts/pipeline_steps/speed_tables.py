"""The performance test's part of the summary page: tables and the panels of its plot."""

from pipeline_steps.page import Heading, Table, Text
from pipeline_steps.performance import LOSS, PERPLEXITY, missing_speeds, ratios, spread

SPEEDS = {"prompt_tokens_per_second": "prompt", "new_tokens_per_second": "generation"}


def text_of(values: list[float], digits: int) -> str:
    middle, low, high = spread(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def not_measured(what: str, measured: dict) -> Text:
    return Text(f"{what[0].upper()}{what[1:]}: not measured: {measured['missing'][what]}.")


def is_measured(runs: list[dict], key: str) -> bool:
    return all(run[key] is not None for run in runs)


def runs_of(measured: dict) -> dict:
    step = measured["speed"]
    return step["result"].get("runs", {}) if step else {}


def speed(measured: dict) -> list:
    if measured["speed"] is None:
        return [not_measured("speed", measured)]
    runs = runs_of(measured)
    if not runs:
        return [Text("Speed: FAILED: " + measured["speed"]["message"])]
    rows = []
    for name, kinds in runs.items():
        for key, what in SPEEDS.items():
            values = {kind: [run[key] for run in found] for kind, found in kinds.items() if is_measured(found, key)}
            ratio = text_of(ratios(kinds["base"], kinds["adapter"], key), 3) if len(values) == 2 else "not measured"
            rows.append([name, what, *(text_of(values[kind], 1) if kind in values else "not measured" for kind in ("base", "adapter")), ratio])
    first = next(iter(next(iter(runs.values())).values()))
    facts = first[0]
    tool = f"llama-bench, build {facts['build']}" if "build" in facts else f"the library xllamacpp, context {facts['context']}"
    about = (f"Measured by {tool}, on {facts['device']}, threads: {facts['threads']}; a prompt of {facts['prompt_tokens']} tokens, then an answer of "
             f"{facts['new_tokens']} from an empty cache, llama.cpp's defaults otherwise; {len(first)} repeats, base and exported file in turn.")
    header = ["export", "tokens per second of", "base: median (smallest to largest)", "with adapter", "with adapter / base, run by run"]
    lacking = [not_measured(what, measured) for what in missing_speeds(runs)]
    return [Text(about), Table(header, rows), *lacking]


def results_of(measured: dict, what: str) -> dict[str, dict[str, dict]]:
    """By export and kind; failed measurements are left out."""
    entries = measured.get(what) or {}
    return {name: {kind: entry["result"] for kind, entry in kinds.items() if entry["result"]} for name, kinds in entries.items()}


def loss_cell(found: dict | None) -> str:
    return f"{found['loss']:.5f}; {found['perplexity']:.4g}" if found else "not measured"


def loss(measured: dict) -> list:
    if not measured.get("samples"):
        return [not_measured(LOSS, measured)]
    samples, nkat = measured["samples"]["result"], measured["nkat"]["result"]
    rows = [["nkat eval, before export", loss_cell(nkat["base"]), loss_cell(nkat), ""]]
    for name, kinds in results_of(measured, "loss").items():
        above = f"{kinds['adapter']['loss'] - nkat['loss']:+.5f}" if "adapter" in kinds else "not measured"
        rows.append([f"{name} in llama.cpp", loss_cell(kinds.get("base")), loss_cell(kinds.get("adapter")), above])
    about = (f"Loss on target tokens: mean -ln p in nats over {samples['target_tokens']} target tokens of {samples['samples']} records, the same "
             f"for all, and e to its power. Each record stands in a context of its own, {measured['context']} tokens allocated (the short rope "
             "factors), F32 cache, no flash attention; nkat's figure is in the training's precision. llama.cpp multiplies quantized weights by "
             "activations that it rounds to 8 bits, so that the loss isn't of the file's weights alone: of the shipped model it moves by up to "
             "2e-3 nats.")
    blocks: list = [Text(about), Table(["loss on target tokens, nats; e^loss", "base", "with adapter", "nats above nkat's, with adapter"], rows)]
    return blocks + ([not_measured(LOSS, measured)] if LOSS in measured["missing"] else [])


def perplexity_cell(found: dict | None) -> str:
    return f"{found['perplexity']:.4f} ± {found['standard_error']:.4f}" if found else "not measured"


def perplexity(measured: dict) -> list:
    if not measured.get("perplexity"):
        return [not_measured(PERPLEXITY, measured)] if measured.get("samples") else []
    rows = [[name, *(perplexity_cell(kinds.get(kind)) for kind in ("base", "adapter"))] for name, kinds in results_of(measured, "perplexity").items()]
    about = (f"Perplexity of the plain text by llama-perplexity: of the same records, role tags removed, in windows of {measured['context']} tokens, "
             "of which the second half counts; all text, questions too, outside the form that the adapter was trained on. ±: the program's "
             "standard error.")
    return [Text(about), Table(["perplexity of the plain text", "base", "with adapter"], rows)]


def blocks(measured: dict) -> list:
    return [Heading("Performance", folded=True), *speed(measured), *loss(measured), *perplexity(measured)]


def bars_of(entries: dict, numbers_of, label_of) -> dict:
    """numbers_of: (value, smallest, largest) of what was measured of one file; a file that wasn't has no bar."""
    def bar(found):
        numbers = numbers_of(found) if found else None
        return (*numbers, label_of(numbers[0])) if numbers else None

    bars = {name: (bar(kinds.get("base")), bar(kinds.get("adapter"))) for name, kinds in entries.items()}
    return bars if any(any(pair) for pair in bars.values()) else {}


def panels(measured: dict) -> list:
    found = []
    for key, what in SPEEDS.items():
        def numbers_of(runs, key=key):
            return spread([run[key] for run in runs]) if is_measured(runs, key) else None

        bars = bars_of(runs_of(measured), numbers_of, lambda value: f"{value:.4g}")
        if bars:
            found.append((what, "tokens per second, median and range", bars, None))
    bars = bars_of(results_of(measured, "loss"), lambda result: (result["loss"],) * 3, lambda value: f"{value:.4f}")
    if bars:
        found.append(("held-out loss; dashed: adapter in nkat", "nats per target token", bars, measured["nkat"]["result"]["loss"]))
    return found
