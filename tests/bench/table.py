"""Outcomes as text: one aligned table a scenario, and the notes below."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

from scenarios import LATE, Metric, Outcome, Scenario
from servers import Server

PREFIXES = [(1e9, "G"), (1e6, "M"), (1e3, "k"), (1, "")]
LATE_SETTLE = 5.0  # seconds; a backlog longer than this is worth a note
GENERATOR_FULL = 0.9  # of one processor
GENERATOR_LATE = 0.005  # seconds
QUIET = 0.9  # of the processors idle before a run


def figure(value: float, unit: str) -> str:
    """Return a figure with three digits that count, and its unit: 21.0 M/s, 0.12 ms."""
    if math.isinf(value):
        return f"> {LATE:.0f} s"
    if unit == "s":
        return f"{_digits(value * 1000)} ms"
    size, prefix = next((p for p in PREFIXES if abs(value) >= p[0]), (1, ""))
    return f"{_digits(value / size)} {prefix}{unit}"


def _digits(value: float) -> str:
    return f"{value:.{max(0, 2 - math.floor(math.log10(max(abs(value), 0.01))))}f}"


def median(outcomes: Iterable[Outcome], key: str) -> float | None:
    """Return the median of a figure over the runs that gave one; None if none did."""
    values = [o.values[key] for o in outcomes if not o.failure]
    return statistics.median(values) if values else None


def failures(outcomes: Iterable[Outcome]) -> str:
    """Return what went wrong in any of the runs: "froze", "dropped 3 (1 of 5)"."""
    runs = list(outcomes)
    failed = [o.failure for o in runs if o.failure]
    if not failed or len(failed) == len(runs) == 1:
        return "".join(failed)
    return f"{failed[0]} ({len(failed)} of {len(runs)})"


def ratio(value: float | None, reference: float | None) -> str:
    """Return value as a multiple of the reference's: "0.06x"; "" without either."""
    if not value or not reference or math.isinf(value) or math.isinf(reference):
        return ""
    factor = value / reference
    return f"{factor:.0f}x" if factor >= 100 else f"{factor:.2g}x"


def render(
    scenario: Scenario, servers: Sequence[Server], outcomes: Sequence[Outcome]
) -> str:
    """Return the table of one scenario; ratios are to the first server."""
    mine = [o for o in outcomes if o.scenario == scenario.name]
    head = ["server"]
    for metric in scenario.metrics:
        head += [metric.title, "ratio"]
    rows = [head]
    runs = {s.name: [o for o in mine if o.server == s.name] for s in servers}
    first = next(iter(runs.values()), [])
    for name, own in runs.items():
        if own:
            rows.append([name, *_cells(scenario.metrics, own, first)])
    return "\n".join([f"{scenario.name}: {scenario.title}", "", *_align(rows)])


def _cells(
    metrics: Sequence[Metric], own: Sequence[Outcome], first: Sequence[Outcome]
) -> list[str]:
    """Return the cells of one server; a failure takes the place of its figures."""
    trouble = failures(own)
    cells = []
    for metric in metrics:
        value = median(own, metric.key)
        text = "" if value is None else figure(value, metric.unit)
        cells += [text, ratio(value, median(first, metric.key))]
    if trouble:
        cells[0] = f"{cells[0]} {trouble}".strip()
    return cells


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)]
        lines.append("  " + "  ".join(cells).rstrip())
    lines.insert(1, "  " + "  ".join("-" * width for width in widths))
    return lines


def notes(outcomes: Sequence[Outcome]) -> list[str]:
    """Return what a reader must know to trust the figures."""
    found = []
    for o in outcomes:
        where = f"{o.server} in {o.scenario}"
        drain, busy = o.values.get("drain", 0), o.values.get("busy", 0)
        if drain > LATE_SETTLE:
            found.append(f"{where}: {drain:.0f} s until the backlog had arrived")
        if busy > GENERATOR_FULL:
            found.append(f"{where}: the generator was at its limit, not the server")
        if o.values.get("lag", 0) > GENERATOR_LATE:
            lag = figure(o.values["lag"], "s")
            found.append(f"{where}: 1 line in 100 left the generator {lag} late")
    if noisy := [o for o in outcomes if o.idle < QUIET]:
        worst = min(o.idle for o in noisy)
        found.append(
            f"the machine was busy with something else before {len(noisy)} of "
            f"{len(outcomes)} runs (idle {worst:.0%} at worst): repeat when it is quiet"
        )
    return found
