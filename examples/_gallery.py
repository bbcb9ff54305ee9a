"""Write the gallery's table in ``README.md``: run every example both ways, take its figures and its picture.

    OPENBLAS_NUM_THREADS=1 python examples/_gallery.py

Each example runs whole in a process of its own; one that takes longer than ``--limit`` seconds is stopped and runs
quickly instead, and its row says so.  Figures and pictures are gathered in ``--out``; with ``--keep`` what is there
already is not run again, so that one example is measured anew by removing its ``.json``.

The package is imported from bytecode, as an installed one is: reading its source would add 0.1 s to each first call.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from _harness import COMPILED, INTERPRETED, duration

import autograd_jit

FOLDER = Path(__file__).parent
README = FOLDER / "README.md"
PICTURES = FOLDER / "pictures"
BEGIN, END = "<!-- gallery: begin -->", "<!-- gallery: end -->"
WIDTH, HEIGHT, COLOURS = 240, 160, 64  # of a thumbnail: at most so many pixels, and so many different ones
HEADER = """\
| | example | interpreted | compiled | ratio | in all |
|---|---|--:|--:|--:|--:|"""


def names() -> list[str]:
    """The examples that the harness runs."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if "\nEXAMPLE = " in path.read_text())


def run(name: str, out: Path, quick: bool, limit: float | None) -> None:
    """Run an example both ways; its figures and pictures lie in ``out`` afterwards."""
    command = [sys.executable, str(FOLDER / f"{name}.py"), "--compare", "--out", str(out)]
    command += ["--figures", str(out / f"{name}.json")] + ["--quick"] * quick
    subprocess.run(command, check=True, timeout=limit, env=environment(out))


def environment(out: Path) -> dict[str, str]:
    """That of this process, with bytecode in ``out``, whatever is said of bytecode here."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str((out / "bytecode").resolve())}


def compile_to_bytecode(out: Path) -> None:
    """What the installation of a package does."""
    folders = [str(Path(autograd_jit.__file__).parent), str(FOLDER)]
    subprocess.run([sys.executable, "-m", "compileall", "-q", *folders], check=True, env=environment(out))


def measure(name: str, out: Path, limit: float) -> None:
    """Run an example whole if that takes no longer than ``limit`` seconds, else quickly."""
    try:
        run(name, out, quick=False, limit=limit)
    except subprocess.TimeoutExpired:
        run(name, out, quick=True, limit=None)


def thumbnail(picture: Path, folder: Path) -> Path:
    """A small copy of ``picture`` in ``folder``, in few colours."""
    from PIL import Image  # comes with Matplotlib

    path = folder / picture.name
    with Image.open(picture) as image:
        small = image.convert("RGB")
    small.thumbnail((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    small.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    return path


def row(figures: dict[str, Any], picture: Path | None) -> str:
    """An example's line of the table; ``picture`` is its thumbnail."""
    name, per_step = figures["name"], figures["per_step"]
    shown = f"![]({picture.parent.name}/{picture.name})" if picture else ""
    title = figures["title"].replace("``", "`").replace("|", "\\|")
    steps = f"{figures['steps']:,} {figures['step']}s" + (", quick run" if figures["quick"] else "")
    times = [duration(per_step[way]) for way in (INTERPRETED, COMPILED)]
    ratios = [f"{figures[ratio]:.1f}" for ratio in ("speed_up", "total_speed_up")]
    return "| " + " | ".join([shown, f"[`{name}`]({name}.py) {title} ({steps})", *times, *ratios]) + " |"


def table(out: Path) -> str:
    """The whole table, of what lies in ``out``; makes the thumbnails."""
    PICTURES.mkdir(exist_ok=True)
    rows = []
    for name in names():
        picture = out / f"{name}.png"
        small = thumbnail(picture, PICTURES) if picture.exists() else None
        rows.append(row(json.loads((out / f"{name}.json").read_text()), small))
    return "\n".join([HEADER, *rows])


def between_markers(text: str, inside: str) -> str:
    """``text`` with ``inside`` in place of what stood between the markers."""
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{inside}\n{END}{after}"


def main() -> None:
    """Measure, make thumbnails, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--out", type=Path, default=Path("out/gallery"), help="where figures and pictures are gathered")
    parser.add_argument("--limit", type=float, default=30, help="seconds that a whole run may take (default: 30)")
    parser.add_argument("--keep", action="store_true", help="do not run what --out already has figures of")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    compile_to_bytecode(options.out)
    for name in names():
        if not (options.keep and (options.out / f"{name}.json").exists()):
            measure(name, options.out, options.limit)
    README.write_text(between_markers(README.read_text(), table(options.out)))


if __name__ == "__main__":
    main()
