"""Bars, and lines against logarithmic axes (measured points; dashed what was expected), drawn by gnuplot."""
import dataclasses
import math
import pathlib
import shutil
import subprocess

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#888888")  # Okabe and Ito


@dataclasses.dataclass
class Line:
    title: str
    points: list  # (x, y) or (x, y, smallest, largest)
    dashed: bool = False


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def round_values(low, high):
    """Round numbers from low to high, the coarsest kind of which there are three."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1,), (1, 2, 5), (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)):
        values = [step * 10.0**power for power in powers for step in steps if low <= step * 10.0**power <= high]
        if len(values) >= 3:
            break
    return values


@dataclasses.dataclass
class Panel:
    title: str
    x: str
    y: str
    lines: list

    def axes(self):
        """Ticks where the points are, and room around them."""
        xs = sorted({point[0] for line in self.lines for point in line.points})
        ys = [y for line in self.lines for point in line.points for y in point[1:]]
        low, high = min(ys) / 1.3, max(ys) * 1.3
        ticks = round_values(low, high)
        return (f"set logscale xy\nset xrange [{xs[0] / 1.2}:{xs[-1] * 1.2}]\nset yrange [{low}:{high}]\n"
                f"set xtics ({', '.join(map(str, xs))})\nset ytics ({', '.join(f'{tick:.10g}' for tick in ticks)})\n")

    def commands(self, number):
        text = self.axes() + f"set title {quoted(self.title)}\nset xlabel {quoted(self.x)}\nset ylabel {quoted(self.y)}\n"
        drawn = []
        for at, line in enumerate(self.lines):
            name, color = f"$d{number}_{at}", COLOURS[at % len(COLOURS)]
            text += f"{name} << END\n" + "\n".join(" ".join(map(str, point)) for point in line.points) + "\nEND\n"
            style = "lines dt 2" if line.dashed else "linespoints pt 7 ps 0.7"
            drawn.append(f"{name} using 1:2 with {style} lw 1.5 lc rgb '{color}' title {quoted(line.title)}")
            if not line.dashed and len(line.points[0]) == 4:
                drawn.append(f"{name} using 1:3:(0):($4-$3) with vectors heads size graph 0.01,90 lc rgb '{color}' notitle")
        return text + "plot " + ", \\\n  ".join(drawn) + "\n"


@dataclasses.dataclass
class Bars:
    title: str
    value: str
    rows: list  # (label, value, smallest, largest), from the top down
    level: float  # drawn dashed

    def commands(self, number):
        data = "\n".join(f"{-at} {middle} {low} {high}" for at, (_, middle, low, high) in enumerate(self.rows))
        end = 1.05 * max(self.level, *(row[3] for row in self.rows))
        step = min(value for value in round_values(end / 100, end) if value >= end / 5)
        labels = ", ".join(f"{quoted(label)} {-at}" for at, (label, *_) in enumerate(self.rows))
        return (f"$d{number} << END\n{data}\nEND\nunset logscale\nset title {quoted(self.title)}\nset xlabel {quoted(self.value)}\nunset ylabel\n"
                f"set xrange [0:{end}]\nset yrange [{0.4 - len(self.rows)}:0.6]\nset xtics {step}\nset ytics ({labels})\n"
                f"set arrow 1 from {self.level}, graph 0 to {self.level}, graph 1 nohead front dt 2 lw 1.5 lc rgb '{COLOURS[1]}'\n"
                f"plot $d{number} using (0):1:(0):2:($1-0.35):($1+0.35) with boxxyerror fs solid 0.8 noborder lc rgb '{COLOURS[0]}' notitle, \\\n"
                f"  $d{number} using 3:1:($4-$3):(0) with vectors heads size graph 0.012,90 lc rgb '#000000' notitle\nunset arrow 1\n")


def draw(path: pathlib.Path, panels):
    """Why there is no plot, or "" """
    path.unlink(missing_ok=True)
    if not shutil.which("gnuplot"):
        return "gnuplot was not found; scripts/setup installs it"
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    script = (f"set terminal pngcairo noenhanced size {560 * columns},{400 * rows} font 'sans,11'\nset output {quoted(str(path))}\n"
              "set key left top Left reverse samplen 2.5\nset grid lt 1 lw 0.5 lc rgb '#dddddd'\nset border 3\nset tics nomirror\nset rmargin 4\n"
              f"set multiplot layout {rows},{columns}\n" + "".join(panel.commands(at) for at, panel in enumerate(panels)) + "unset multiplot\n")
    done = subprocess.run(["gnuplot"], input=script, capture_output=True, text=True)
    return "" if done.returncode == 0 and path.exists() else f"gnuplot failed: {done.stderr.strip().splitlines()[-1:]}"
