"""Outcomes as a picture; the only module that needs matplotlib."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scenarios import Outcome, Scenario
from servers import Server
from table import failures, figure, median

REFERENCE = "#D55E00"  # vermilion and grey-blue: told apart by every kind of eye
OTHERS = "#7A93AC"
TROUBLE = "#555555"
COLUMNS = 2


def draw(
    path: Path,
    scenarios: Sequence[Scenario],
    servers: Sequence[Server],
    outcomes: Sequence[Outcome],
) -> None:
    """Write one panel a scenario, showing its first figure, to an SVG or PNG file.

    Raises ImportError without matplotlib.
    """
    from matplotlib.figure import Figure

    rows = math.ceil(len(scenarios) / COLUMNS)
    columns = min(COLUMNS, len(scenarios))
    height = rows * (0.9 + 0.3 * len(servers))
    canvas = Figure(figsize=(5.2 * columns, height), layout="constrained")
    panels = canvas.subplots(rows, columns, squeeze=False).flat
    for panel, scenario in zip(panels, scenarios, strict=False):
        mine = [o for o in outcomes if o.scenario == scenario.name]
        _bars(panel, scenario, servers, mine)
    for panel in list(panels):
        panel.set_visible(False)
    canvas.savefig(path)


def _bars(
    panel: Any,
    scenario: Scenario,
    servers: Sequence[Server],
    outcomes: Sequence[Outcome],
) -> None:
    """Draw the servers of one scenario as bars on a logarithmic scale."""
    metric = scenario.metrics[0]
    runs = {s.name: [o for o in outcomes if o.server == s.name] for s in servers}
    values = {name: median(own, metric.key) for name, own in runs.items()}
    finite = [v for v in values.values() if v and math.isfinite(v)]
    floor = min(finite, default=1.0) / 3
    for row, (name, value) in enumerate(values.items()):
        good = value is not None and math.isfinite(value)
        width = value if good and value else floor
        label = failures(runs[name]) if value is None else figure(value, metric.unit)
        colour = REFERENCE if row == 0 else OTHERS
        panel.barh(row, width if good else 0, color=colour, height=0.7)
        panel.text(width * 1.1, row, label, va="center", size=8, color=TROUBLE)
    better = "more" if metric.more_is_better else "less"
    panel.set_xscale("log")
    panel.xaxis.set_minor_formatter("")  # the bars bear their figures
    panel.set_xlim(floor, max(finite, default=1.0) * 8)
    panel.set_yticks(range(len(values)), list(values), size=8)
    panel.invert_yaxis()
    panel.set_title(scenario.title, size=9, loc="left")
    panel.set_xlabel(f"{metric.title} ({better} is better, log scale)", size=8)
    panel.tick_params(axis="x", labelsize=7)
    panel.spines[["top", "right", "left"]].set_visible(False)
