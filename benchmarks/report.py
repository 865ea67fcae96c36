"""How figures are written: median and p99 of each side, and the ratio of the medians."""

from __future__ import annotations

import statistics


def p99(values: list[float]) -> float:
    """The 99th percentile, by nearest rank."""
    return sorted(values)[min(len(values) - 1, round(0.99 * len(values)))]


def table(title: str, unit: str, ours: list[float], baseline: list[float], names: tuple[str, str]) -> None:
    """Prints both sides and what the baseline takes as a multiple of ours."""
    print(f"\n{title}")
    for name, values in zip(names, (ours, baseline), strict=True):
        median = statistics.median(values)
        print(f"  {name:<34} n={len(values):<5} median {median:9.2f} {unit}   p99 {p99(values):9.2f} {unit}")
    ratio = statistics.median(baseline) / max(statistics.median(ours), 1e-9)
    print(f"  {names[1]} takes {ratio:.1f} times as long as {names[0]} (medians)")
