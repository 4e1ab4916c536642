"""What one fault did: the row of `build/faults.json` and of the table."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a fault promises; seconds. None: not promised.

    Attributes:
        load_ratio: recovery over the time that the engine itself took to load.
        may_be_wrong: until the canary notices, answers may be wrong.
        may_refuse: a request that was in flight at three ends may be answered 422.
    """

    detected_s: float | None = None
    recovered_s: float | None = None
    load_ratio: float | None = None
    may_be_wrong: bool = False
    may_refuse: bool = False


@dataclass(slots=True)
class Result:
    """One fault's measurements.

    Attributes:
        must_act: whether the watchdog had to act; its twin is the fault where it must not.
        detected_s: from the injury until the incident can be seen in `/status`.
        recovered_s: from then until every replica is healthy again.
        load_s: what the engine that came back took itself, from the start of its process until
            it called itself ready.
        restarts: of all replicas together.
        failed: requests without an answer. refused: those of them that were taken for poison.
        wrong: answered 200 with the wrong document first, which only the canary can notice.
        incidents: names of those that were opened.
        figures: what else was measured, name -> value with the unit in the name.
    """

    id: str
    name: str
    must_act: bool
    detected_s: float | None = None
    recovered_s: float | None = None
    sent: int = 0
    failed: int = 0
    wrong: int = 0
    refused: int = 0
    actions: list[str] = field(default_factory=list)
    ok: bool = True
    why: str = ""
    restarts: int = 0
    load_s: float | None = None
    incidents: list[str] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def load_ratio(self) -> float | None:
        if self.recovered_s is None or not self.load_s:
            return None
        return round(self.recovered_s / self.load_s, 3)

    def missed(self, bounds: Bounds, slack: float) -> list[str]:
        """Every bound that was not kept, in words.

        Args:
            slack: what times may be late by, as a factor, where the machine is shared.
        """
        found = []
        lost = self.failed - (self.refused if bounds.may_refuse else 0)
        if lost:
            found.append(f"{lost} of {self.sent} requests failed")
        for name, value, bound in (
            ("detected", self.detected_s, bounds.detected_s),
            ("recovered", self.recovered_s, bounds.recovered_s),
        ):
            if bound is not None and (value is None or value > slack * bound):
                found.append(f"{name} in {value} s, promised {bound:g} s")
        ratio = self.load_ratio
        if bounds.load_ratio is not None and (ratio is None or ratio > slack * bounds.load_ratio):
            found.append(f"recovery took {ratio} of the load time, promised {bounds.load_ratio:g}")
        if self.wrong and not bounds.may_be_wrong:
            found.append(f"{self.wrong} of {self.sent} answers were wrong")
        return found
