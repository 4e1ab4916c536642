"""What one fault did: the row of `build/faults.json` and of the table."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a fault promises; seconds. None: not promised."""

    detected_s: float | None = None
    recovered_s: float | None = None
    may_be_wrong: bool = False


@dataclass(slots=True)
class Result:
    """One fault's measurements.

    Attributes:
        detected_s: from the injury until the incident can be seen in `/status`.
        recovered_s: from then until every replica is healthy again.
        failed: requests without an answer. wrong: answered 200 with the wrong document first, which
            only the canary can notice.
        must_act: whether the watchdog had to act; its twin is the fault where it must not.
    """

    id: str
    name: str
    must_act: bool
    detected_s: float | None = None
    recovered_s: float | None = None
    sent: int = 0
    failed: int = 0
    wrong: int = 0
    actions: list[str] = field(default_factory=list)
    ok: bool = True
    why: str = ""

    def judge(self, bounds: Bounds, incidents: int, trouble: str, slack: float) -> None:
        """Fill in `ok` and `why`, which names every bound that was missed.

        Args:
            slack: what times may be late by, as a factor, where the machine is shared.
            trouble: why the run itself did not get to its end; empty when it did.
        """
        missed = [trouble] if trouble else []
        if self.failed:
            missed.append(f"{self.failed} of {self.sent} requests failed")
        if self.must_act and incidents != 1:
            missed.append(f"{incidents} incidents instead of one")
        if not self.must_act and (incidents or self.actions):
            missed.append(f"acted, and must not: {incidents} incidents, {self.actions}")
        for name, value, bound in (
            ("detected", self.detected_s, bounds.detected_s),
            ("recovered", self.recovered_s, bounds.recovered_s),
        ):
            if bound is not None and (value is None or value > slack * bound):
                missed.append(f"{name} in {value} s, promised {bound:g} s")
        if self.wrong and not bounds.may_be_wrong:
            missed.append(f"{self.wrong} of {self.sent} answers were wrong")
        self.ok = not missed
        self.why = "; ".join(missed)
