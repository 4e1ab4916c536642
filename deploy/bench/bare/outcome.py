"""What was found, as `build/bench.json` and as a verdict on each target. PURE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from deploy.bench.bare.overhead import Overhead
from deploy.bench.versus import Agreement, ByLoad, spread, to_json

LARGEST_DIFFERENCE = 0.05
"""Between two sides' scores of one pair. On CPU they are equal to four digits; a template that
loses its last newline moves the scores of the same tiny model by 0.04 to 0.84, half of them by
more than 0.4."""

RATIOS: Mapping[str, float] = {
    "unique_defaults": 1.3,
    "unique_same_settings": 1.0,
    "repeated": 20.0,
}
"""Least median of documents per second, ours over theirs: the promises of the design."""

OVERHEAD_MS: Mapping[str, float] = {"p50": 1.0, "p99": 3.0}


@dataclass(frozen=True, slots=True)
class Target:
    """One promise and what was measured."""

    name: str
    wanted: str
    found: str
    met: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """All comparisons of one run, by the names in `RATIOS`.

    Attributes:
        agreements: of our scores with each bare side's, by that side's name.
        overhead: of the gateway, before an engine that answers at once.
        overhead_vllm: the same before vLLM, whose own spread it drowns in.
    """

    comparisons: Mapping[str, Sequence[ByLoad]]
    agreements: Mapping[str, Agreement]
    overhead: Overhead
    overhead_vllm: Overhead

    @property
    def failed(self) -> int:
        """Requests that got no good answer, on any side."""
        return sum(
            run.summary.failed
            for found in self.comparisons.values()
            for each in found
            for run in (*each.ours, *each.theirs)
        )


def agrees(found: Agreement) -> bool:
    return found.largest <= LARGEST_DIFFERENCE


def targets(outcome: Outcome) -> list[Target]:
    """Every promise, met or not."""
    rows = []
    for name, least in RATIOS.items():
        ratios = [ratio for each in outcome.comparisons[name] for ratio in each.ratios]
        found = spread(ratios)
        words = f"{found['median']:.2f} ({found['min']:.2f} to {found['max']:.2f})"
        rows.append(Target(name, f"at least {least:g} x", words, found["median"] >= least))
    for name, most in OVERHEAD_MS.items():
        added = outcome.overhead.p50 if name == "p50" else outcome.overhead.p99
        rows.append(
            Target(
                f"gateway adds, {name}", f"at most {most:g} ms", f"{added:.2f} ms", added <= most
            )
        )
    rows.append(Target("failed requests", "0", str(outcome.failed), outcome.failed == 0))
    return rows


def to_body(outcome: Outcome, run: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON of the whole run; `p50` and `p99` of the overhead are differences."""
    return {
        **{name: to_json(found) for name, found in outcome.comparisons.items()},
        "gateway_overhead_ms": {
            **asdict(outcome.overhead),
            "with_vllm": asdict(outcome.overhead_vllm),
        },
        "agreement": {name: asdict(each) for name, each in outcome.agreements.items()},
        "targets": [asdict(each) for each in targets(outcome)],
        "run": dict(run),
    }
