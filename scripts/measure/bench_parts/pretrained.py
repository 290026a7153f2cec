"""The peers on a pretrained model: nkat trains the GGUF file itself, transformers the folder that `nkat export` makes of it.

The precision is BF16; on a processor without units for it, where transformers is faster in float32, float32 as well.
"""
from bench_parts import measure, peers
from bench_parts.peers import OURS, REFERENCE, WITH_HOOKS, Base

SMOLLM2 = measure.ROOT / ".deps" / "smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
QUANTIZATIONS = {"bf16": "bf16", "fp32": "f32"}  # the folder's, so that nothing has to be converted when it is loaded


def exported_base(work, model, precision):
    """The base with its folder, which is written once."""
    folder = work / f"{model.stem}-{model.stat().st_size}-{precision}"
    if not folder.exists():
        measure.measured([measure.NKAT, "export", "--model-path", model, "--output", folder, "--format", "hf", "--quantization",
                          QUANTIZATIONS[precision]])
    return Base(model, folder, precision)


def precisions():
    return ["bf16"] if measure.bf16_units() else ["bf16", "fp32"]


def why(units):
    if units:
        return f"The processor multiplies BF16 ({', '.join(units)}): both train in it."
    return "The processor has no units for BF16 (neither avx512_bf16 nor amx_bf16): transformers is faster in float32; ratios are within a precision."


def run(work, settings):
    folder = work / "pretrained"
    folder.mkdir(exist_ok=True)
    bases = [exported_base(folder, settings.model, precision) for precision in settings.precisions]
    training = peers.write_training(folder, settings, bases[0].theirs)
    contenders = {name: how for name, how in (OURS | WITH_HOOKS).items() if not settings.small or name in ("nkat", REFERENCE)}
    rounds = [{base.precision: peers.one_round(training, base, contenders) for base in bases} for _ in range(settings.rounds)]
    rows = {base.precision: peers.summaries([done[base.precision] for done in rounds], contenders) for base in bases}
    units = measure.bf16_units()
    tables = [peers.table(found, f"{settings.model.name}, {precision}") for precision, found in rows.items()]
    return (
        {"model": settings.model.name, "bf16_units": units, "global_batch_tokens": training.tokens, "rows": rows, "rounds": rounds},
        "\n".join([why(units) + "\n", *tables]),
        [peers.bars(found, f"pretrained, {precision}") for precision, found in rows.items()],
    )
