"""Running the program and others to be measured, and the figures that come out: medians and ratios with their range."""
import dataclasses
import json
import math
import os
import pathlib
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
NKAT = pathlib.Path(os.environ.get("NKAT", ROOT / "build" / "nkat"))
STEP_BENCHMARK = ROOT / "build" / "tests" / "train" / "train_benchmark"
THREADS = len(os.sched_getaffinity(0))
MIB, GIB = 2**20, 2**30


class Failed(Exception):
    """A command's exit code and last words."""

    def __init__(self, command, code, words):
        super().__init__(f"{' '.join(map(str, command))}\nexit {code}: {words[-2000:]}")
        self.code, self.words = code, words


# Linux counts what a process held before it became the command: in a child of this interpreter, all that this one holds. A
# child of this small one starts with nothing. Tells the peak in KiB and the exit code.
WAITER = """
import os, sys
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
os.write(int(sys.argv[1]), b"%d %d" % (usage.ru_maxrss, os.waitstatus_to_exitcode(status)))
"""


def measured(command, **options):
    """(standard output, peak bytes of the process). Failed if it fails."""
    told, tell = os.pipe()
    with tempfile.TemporaryFile("w+") as errors, os.fdopen(told) as told:
        with subprocess.Popen([sys.executable, "-I", "-S", "-c", WAITER, str(tell), *map(str, command)], stdout=subprocess.PIPE,
                              stderr=errors, text=True, pass_fds=[tell], **options) as child:
            os.close(tell)
            out = child.stdout.read()
        peak, code = map(int, (told.read() or f"0 {child.returncode}").split())
        if code != 0:
            errors.seek(0)
            raise Failed(command, code, errors.read().strip() or out.strip())
    return out, peak * 1024


@dataclasses.dataclass
class Run:
    """One `nkat train`: model folder, data, and the options that differ from the defaults."""

    model: pathlib.Path
    data: pathlib.Path
    folder: pathlib.Path
    options: dict

    def words(self):
        words = ["--model-path", self.model, "--output-dir", self.folder, "--train-data", self.data]
        for name, value in self.options.items():
            words += ["--" + name.replace("_", "-"), value]
        return words


def train(run):
    """(lines of metrics.jsonl but the first, which warms up where there are more; peak bytes of the process)."""
    shutil.rmtree(run.folder, ignore_errors=True)
    _, peak = measured([NKAT, "train", *run.words()])
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    return lines[1:] or lines, peak


def plan(model, options):
    """What `nkat plan` says, whether or not it fits."""
    words = [part for name, value in options.items() for part in ("--" + name.replace("_", "-"), value)]
    done = subprocess.run([str(NKAT), "plan", "--json", "--model-path", str(model), *map(str, words)], capture_output=True, text=True)
    if done.returncode not in (0, 4):
        raise Failed(["nkat", "plan", *words], done.returncode, done.stderr)
    return json.loads(done.stdout)


def planned_bytes(planned):
    """What tensors hold by the plan: a GPU's context is in its total and its budget, but not in what an allocator reports."""
    return planned["total_bytes"] - planned["context_bytes"]


def origin():
    """Date, commit, machine and command, which every table of figures stands below."""
    script = f'. {shlex.quote(str(ROOT / "scripts" / "common.sh"))}; origin "$@"'
    # nproc, which counts the machine's cores there, obeys OMP_NUM_THREADS.
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    return subprocess.run(["bash", "-c", script, *sys.argv], capture_output=True, text=True, check=True, env=environment).stdout


def bf16_units():
    """The processor's instructions that multiply BF16: none where BF16 is only another way to store."""
    flags = pathlib.Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split()
    return [flag for flag in ("avx512_bf16", "amx_bf16") if flag in flags]


def choices_of(command, option):
    """The values that `nkat COMMAND --help --json` lists for an option, or [] where it has none such."""
    text = subprocess.run([str(NKAT), command, "--help", "--json"], capture_output=True, text=True, check=True).stdout
    return next((one["choices"] for one in json.loads(text)["options"] if one["name"] == option), [])


def spread(values):
    """{"median", "range"} of some values."""
    return {"median": statistics.median(values), "range": [min(values), max(values)]}


def median_interval(values):
    """The closest two of the sorted values, as far from one end as from the other, between which the median of what they were
    drawn from lies in at least 95 % of all draws (the binomial test of the sign); none below six values."""
    count = len(values)
    outside = [2 * sum(math.comb(count, below) for below in range(cut + 1)) / 2**count for cut in range(count // 2)]
    cuts = [cut for cut, share in enumerate(outside) if share <= 0.05]
    ordered = sorted(values)
    return [ordered[cuts[-1]], ordered[-1 - cuts[-1]]] if cuts else None


def ratios(values, reference):
    """The spread of values over reference, turn by turn."""
    found = [value / other for value, other in zip(values, reference)]
    return {**spread(found), "median_interval": median_interval(found)}


def shown(ratio, digits=2):
    low, high = ratio["range"]
    return f"{ratio['median']:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def shown_with_interval(ratio, digits=3):
    interval = ratio["median_interval"]
    return shown(ratio, digits) + (f"; the median in {interval[0]:.{digits}f} to {interval[1]:.{digits}f} (95 %)" if interval else "")


def markdown(header, rows):
    lines = ["| " + " | ".join(map(str, cells)) + " |" for cells in rows]
    return "\n".join(["| " + " | ".join(header) + " |", "|" + "---|" * len(header), *lines]) + "\n"
