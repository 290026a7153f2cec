"""What part of bare matrix products' speed a micro-batch reaches, and what the adapter adds to the same pass without M."""
import json

from bench_parts import measure
from bench_parts.random_model import make_model

LENGTHS = (190, 181, 141)  # a packed micro-batch of 512 tokens
WINDOW_TOKENS = 6080  # of 32 samples: how many micro-batches share what is done once a step


def fractions(found):
    """From one run of train_benchmark step."""
    seconds = found["seconds"]
    wide = seconds.get("products_float32", seconds["products"])
    best = [min(pair) for pair in zip(seconds["products"], wide)]
    batches = WINDOW_TOKENS / found["tokens"]
    with_adapter = [batches * step + once for step, once in zip(seconds["with_blocks"], seconds["once_a_step"])]
    return {
        "of_products": measure.ratios(seconds["products"], seconds["with_blocks"]),
        "of_float32_products": measure.ratios(wide, seconds["with_blocks"]),
        "of_best_products": measure.ratios(best, seconds["with_blocks"]),
        "adapter_in_a_pass": measure.ratios(seconds["with_blocks"], seconds["without_blocks"]),
        "adapter_in_a_step": measure.ratios(with_adapter, [batches * step for step in seconds["without_blocks"]]),
    }


def run(work, settings):
    model = make_model(work / "model", settings.sizes)
    # A CPU's clock and neighbors change by the second: many short rounds, each with every contender.
    out, _ = measure.measured([measure.STEP_BENCHMARK, "step", model, "--lengths", ",".join(map(str, LENGTHS)), "--rounds", 5 * settings.rounds])
    found = json.loads(out)
    parts = fractions(found)
    rows = [("micro-batch, of the speed of its products in BF16", measure.shown(parts["of_products"])),
            ("of its products in float32", measure.shown(parts["of_float32_products"])),
            ("of the faster of both", measure.shown(parts["of_best_products"])),
            ("time of a micro-batch with M over without", measure.shown_with_interval(parts["adapter_in_a_pass"])),
            (f"of a step of {WINDOW_TOKENS} tokens, with what is done once in it", measure.shown_with_interval(parts["adapter_in_a_step"]))]
    return (
        {"run": found, **parts},
        measure.markdown((f"{found['tokens']} tokens in {len(LENGTHS)} samples, {found['threads']} threads", "ratio"), rows),
        [],
    )
