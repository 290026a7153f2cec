"""Does `auto` pick the fastest plan that fits? Its neighbors in recomputation and packing, timed beside it in turns.

The budget is put half-way between what no recomputation and what all of it needs for one sample at a time.
"""
from bench_parts import measure
from bench_parts.plots import Bars
from bench_parts.random_model import make_model
from bench_parts.samples import write_full_samples

LENGTH, SAMPLES = 256, 8
UNLIMITED = 64


def neighbors(layers, tokens, most):
    """{name: (recomputed layers, tokens a micro-batch)} around what auto chose."""
    chosen = {"auto": (layers, tokens)}
    if layers > 0:
        chosen["one layer less recomputes"] = (layers - 1, tokens)
    if layers < most:
        chosen["one layer more recomputes"] = (layers + 1, tokens)
    if tokens >= 2 * LENGTH:
        chosen["half the packing"] = (layers, tokens // 2)
    return {**chosen, "twice the packing": (layers, 2 * tokens)}


def run(work, settings):
    model = make_model(work / "model", settings.sizes)
    data = write_full_samples(work / "auto.jsonl", SAMPLES, LENGTH)
    most = settings.sizes["num_hidden_layers"]
    base = {"device": "cpu", "precision": "bf16", "max_sequence_length": LENGTH, "gradient_accumulation": SAMPLES}
    ends = [
        measure.plan(model, {**base, "tokens_per_micro_batch": "none", "checkpointing": how, "vram_budget_gib": UNLIMITED})["total_bytes"]
        for how in ("none", "full")
    ]
    budget = sum(ends) / 2 / measure.GIB
    auto = measure.plan(model, {**base, "vram_budget_gib": budget})
    choices = neighbors(auto["recomputed_layers"], auto["micro_batch_tokens"], most)
    fits, seconds = {}, {name: [] for name in choices}
    for name, (layers, tokens) in choices.items():
        plan = measure.plan(model, {**base, "checkpointing": layers, "tokens_per_micro_batch": tokens, "vram_budget_gib": budget})
        fits[name] = plan["fits"]
    for _ in range(settings.rounds):
        for name, (layers, tokens) in choices.items():
            lines, _ = measure.train(measure.Run(model, data, work / "run", {
                **base, "max_steps": settings.steps + 1, "checkpointing": layers, "tokens_per_micro_batch": tokens, "vram_budget_gib": UNLIMITED}))
            seconds[name].append(sum(line["step_seconds"] for line in lines))
    ratios = {name: measure.ratios(seconds[name], seconds["auto"]) for name in choices}
    record = {
        "budget_gib": budget,
        "choices": {
            name: {
                "recomputed_layers": choices[name][0],
                "tokens": choices[name][1],
                "fits": fits[name],
                "seconds": seconds[name],
                "ratio": ratios[name],
            }
            for name in choices
        },
    }
    rows = [(name, *choices[name], "yes" if fits[name] else "no", measure.shown(ratios[name])) for name in choices]
    bars = Bars(
        "plans beside what auto chose",
        "time over auto's",
        [
            (name.replace(" recomputes", "") + ("" if fits[name] else ", too large"), ratios[name]["median"], *ratios[name]["range"])
            for name in choices
        ],
        1.0,
    )
    return (
        record,
        measure.markdown((f"plan, budget {budget:.2f} GiB", "layers recomputed", "tokens a micro-batch", "fits", "time over auto's"), rows),
        [bars],
    )
