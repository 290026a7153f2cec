"""Bars of base beside exported file, drawn by gnuplot: tokens per second of prompt and answer, and the loss on held-out text."""

import pathlib
import shutil
import subprocess

BASE, ADAPTER, LINE = "#888888", "#0072B2", "#D55E00"  # Okabe and Ito
WIDTH, HEIGHT = 1200, 440

# (title, unit, {export: (base, adapter)}, each (value, smallest, largest, label) or None; a level to draw, dashed, or None)
Panel = tuple[str, str, dict[str, tuple], float | None]


def panel_commands(panel: Panel, number: int) -> str:
    title, unit, bars, level = panel
    missing = ("NaN", "NaN", "NaN", "")
    rows = [f"{at} " + " ".join(f'{middle} {low} {high} "{label}"' for middle, low, high, label in (base or missing, adapter or missing))
            for at, (base, adapter) in enumerate(bars.values())]
    tics = ", ".join(f"'{name}' {at}" for at, name in enumerate(bars))
    settings = (f"$data{number} << END\n" + "\n".join(rows) + f"\nEND\nset title '{title}'\nset ylabel '{unit}'\nset xtics ({tics})\n"
                f"set xrange [-0.6:{len(bars) - 0.4}]\nset yrange [0:*]\n")
    drawn = []
    for shift, column, color, label in ((-0.2, 2, BASE, "base"), (0.2, 6, ADAPTER, "adapter")):
        at = f"$data{number} using ($1{shift:+}):{column}"
        drawn.append(f"{at}:(0.36) with boxes fs solid 0.8 lc rgb '{color}' title '{label}'")
        # Lines with cross-strokes, since gnuplot's error bars have a white point. Without a range there is nothing to mark.
        low, high = column + 1, column + 2
        drawn.append(f"$data{number} using ($1{shift:+}):{low}:(0):(${low} < ${high} ? ${high}-${low} : NaN) with vectors heads size graph 0.012,90 "
                     "lc rgb '#000000' lw 1.5 notitle")
        drawn.append(f"$data{number} using ($1{shift:+}):{column + 2}:{column + 3} with labels offset 0,0.7 font ',9' notitle")
    if level is not None:
        drawn.append(f"{level} with lines dt 2 lw 1.5 lc rgb '{LINE}' notitle")
    return settings + "plot " + ", \\\n  ".join(drawn) + "\n"


def draw(path: pathlib.Path, panels: list[Panel]) -> str:
    """Why there is no plot, or "" """
    if not panels:
        return "nothing was measured"
    if not shutil.which("gnuplot"):
        return "gnuplot was not found; scripts/setup installs it"
    script = (f"set terminal pngcairo noenhanced size {WIDTH},{HEIGHT} font 'sans,11'\nset output '{str(path).replace(chr(39), chr(39) * 2)}'\n"
              "set key below center horizontal samplen 1.5 width 1\nset grid ytics lc rgb '#dddddd'\nset border 3\nset tics nomirror\n"
              "set offsets 0,0,graph 0.25,0\n"
              f"set multiplot layout 1,{len(panels)}\n" + "".join(panel_commands(panel, i) for i, panel in enumerate(panels)) + "unset multiplot\n")
    done = subprocess.run(["gnuplot"], input=script, capture_output=True, text=True)
    return "" if done.returncode == 0 and path.exists() else f"gnuplot failed: {done.stderr.strip().splitlines()[-1:]}"
