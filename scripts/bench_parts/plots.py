"""Bars, and lines against logarithmic axes (measured points; dashed what was expected), drawn by gnuplot."""
import dataclasses
import pathlib
import shutil
import subprocess

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#888888")  # Okabe and Ito


@dataclasses.dataclass
class Line:
    title: str
    points: list  # (x, y) or (x, y, smallest, largest)
    dashed: bool = False


@dataclasses.dataclass
class Panel:
    title: str
    x: str
    y: str
    lines: list

    def commands(self, number):
        text = f"set logscale xy\nset autoscale\nset xtics norotate autofreq\nset title '{self.title}'\nset xlabel '{self.x}'\nset ylabel '{self.y}'\n"
        drawn = []
        for at, line in enumerate(self.lines):
            name, colour = f"$d{number}_{at}", COLOURS[at % len(COLOURS)]
            text += f"{name} << END\n" + "\n".join(" ".join(map(str, point)) for point in line.points) + "\nEND\n"
            style = "lines dt 2" if line.dashed else "linespoints pt 7 ps 0.7"
            drawn.append(f"{name} using 1:2 with {style} lw 1.5 lc rgb '{colour}' title '{line.title}'")
            if not line.dashed and len(line.points[0]) == 4:
                drawn.append(f"{name} using 1:3:(0):($4-$3) with vectors heads size graph 0.01,90 lc rgb '{colour}' notitle")
        return text + "plot " + ", \\\n  ".join(drawn) + "\n"


@dataclasses.dataclass
class Bars:
    title: str
    y: str
    rows: list  # (label, value, smallest, largest)
    level: float  # drawn dashed

    def commands(self, number):
        data = "\n".join(f'{at} {middle} {low} {high} "{label}"' for at, (label, middle, low, high) in enumerate(self.rows))
        return (f"$d{number} << END\n{data}\nEND\nunset logscale\nset title '{self.title}'\nunset xlabel\nset ylabel '{self.y}'\nset yrange [0:*]\n"
                f"set xrange [-0.6:{len(self.rows) - 0.4}]\nset xtics rotate by -25\nplot $d{number} using 1:2:(0.7):xtic(5) with boxes fs solid 0.8 "
                f"lc rgb '{COLOURS[0]}' notitle, \\\n  $d{number} using 1:3:(0):($4-$3) with vectors heads size graph 0.012,90 lc rgb '#000000' notitle, "
                f"\\\n  {self.level} with lines dt 2 lc rgb '{COLOURS[1]}' notitle\n")


def draw(path: pathlib.Path, panels, columns=2):
    """Why there is no plot, or "" """
    if not shutil.which("gnuplot"):
        return "gnuplot was not found; scripts/setup installs it"
    rows = -(-len(panels) // columns)
    quoted = str(path).replace("'", "''")
    script = (f"set terminal pngcairo noenhanced size {560 * columns},{380 * rows} font 'sans,11'\nset output '{quoted}'\n"
              "set key left top samplen 1.5\nset grid lc rgb '#dddddd'\nset border 3\nset tics nomirror\n"
              f"set multiplot layout {rows},{columns}\n" + "".join(panel.commands(at) for at, panel in enumerate(panels)) + "unset multiplot\n")
    done = subprocess.run(["gnuplot"], input=script, capture_output=True, text=True)
    return "" if done.returncode == 0 and path.exists() else f"gnuplot failed: {done.stderr.strip().splitlines()[-1:]}"
