"""Which test catches which wrong program: measured, printed, and drawn.

    python tests/kill_matrix.py                     print it
    python tests/kill_matrix.py --write             and keep it in tests/broken/
    python tests/kill_matrix.py --write 05_broadcast    measure this step alone

Every wrong program is graded by all tests of its step, which takes some minutes. Of
steps that are not measured anew, the matrix stays as it was. Steps that are gone are
dropped from it.
"""

import argparse
import csv
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path[1:1] = [str(Path(__file__).resolve().parent.parent / "exercises")]

import proofs
from proofs import Broken

TABLE = proofs.BROKEN / "matrix.csv"
PICTURE = proofs.BROKEN / "matrix.svg"
PATIENCE = 0.4  # most of these programs are to fail
CELL, NAMES = 14, 320  # pixels


@dataclass(frozen=True)
class Row:
    """What became of one wrong program."""

    step: str
    program: str
    meant: str  # the test that is to catch it
    caught_by: tuple[str, ...]


def measure(broken: Broken) -> Row:
    """Grade one wrong program by all tests of its step."""
    with tempfile.TemporaryDirectory(prefix="matrix-") as folder:
        broken.write(Path(folder))
        verdicts = proofs.grade(broken.step, Path(folder), patience=PATIENCE)
    caught_by = tuple(test for test, verdict in verdicts.items() if verdict.report)
    return Row(broken.step, broken.name, broken.test, caught_by)


def as_text(rows: Sequence[Row], steps: Sequence[str]) -> str:
    """Return a matrix for each step: # is the test that is meant, x another one."""
    return "\n\n".join(_text_of(step, rows) for step in steps)


def _text_of(step: str, rows: Sequence[Row]) -> str:
    tests = [expected.test for expected in proofs.expected(step)]
    lines = [f"{step}"]
    lines += [f"  {chr(97 + n)} {test}" for n, test in enumerate(tests)]
    lines.append(f"  {''.ljust(36)} {' '.join(chr(97 + n) for n in range(len(tests)))}")
    for row in (row for row in rows if row.step == step):
        lines.append(f"  {row.program.ljust(36)} {' '.join(_marks(row, tests))}")
    return "\n".join(lines)


def _marks(row: Row, tests: Sequence[str]) -> Iterator[str]:
    for test in tests:
        caught = test in row.caught_by
        yield "." if not caught else "#" if test == row.meant else "x"


def as_svg(rows: Sequence[Row]) -> str:
    """Return the picture: a square for each catch, a full one if it was meant."""
    parts: list[str] = []
    height = CELL
    width = 0
    for step in proofs.STEPS:
        tests = [expected.test for expected in proofs.expected(step)]
        parts.append(_label(0, height, f"{step}", "step"))
        for row in (row for row in rows if row.step == step):
            height += CELL
            parts.append(_label(CELL, height, row.program, "program"))
            for n, mark in enumerate(_marks(row, tests)):
                parts.append(_square(NAMES + n * CELL, height, mark, tests[n]))
        width = max(width, NAMES + len(tests) * CELL)
        height += 2 * CELL
    style = (
        "text{font:11px monospace;fill:#333}.step{font-weight:bold}"
        "rect{stroke:#888}.meant{fill:#0072b2}.also{fill:#9ecae1}.no{fill:none}"
        "@media(prefers-color-scheme:dark){text{fill:#ddd}}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        f"<title>Which test catches which wrong program</title>"
        f"<style>{style}</style>{''.join(parts)}</svg>\n"
    )


def _label(x: int, y: int, text: str, kind: str) -> str:
    return f'<text x="{x}" y="{y}" class="{kind}">{text}</text>\n'


def _square(x: int, y: int, mark: str, test: str) -> str:
    kind = {"#": "meant", "x": "also", ".": "no"}[mark]
    size = CELL - 3
    return (
        f'<rect x="{x}" y="{y - size + 2}" width="{size}" height="{size}"'
        f' class="{kind}"><title>{test}</title></rect>\n'
    )


def write(rows: Sequence[Row]) -> None:
    """Keep the matrix in tests/broken/."""
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["step", "program", "meant", "caught by"])
        for row in rows:
            writer.writerow([row.step, row.program, row.meant, " ".join(row.caught_by)])
    PICTURE.write_text(as_svg(rows), encoding="utf-8")


def read() -> list[Row]:
    """Return the matrix that was kept."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    return [Row(step, name, meant, tuple(by.split())) for step, name, meant, by in rows]


def main() -> None:
    """Measure, print, and if wanted keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="keep it")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("step", nargs="*", help="only these (default: all of them)")
    options = parser.parse_args()
    if unknown := [step for step in options.step if step not in proofs.STEPS]:
        parser.error(f"no step {unknown[0]!r}; there are {', '.join(proofs.STEPS)}")
    steps = options.step or list(proofs.STEPS)
    programs = [broken for broken in proofs.broken_programs() if broken.step in steps]
    with ThreadPoolExecutor(options.jobs) as pool:
        rows = list(pool.map(measure, programs))
    print(as_text(rows, steps))
    if options.write:
        kept = proofs.STEPS.keys() - steps
        others = [row for row in read() if row.step in kept]
        write(sorted(others + rows, key=lambda row: row.step))  # stable


if __name__ == "__main__":
    main()
