"""The status page at `/`: one document, no script and no other file, for a desk and a phone.

Pure: from a snapshot and the journal's last lines to text.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from monitor.cardbook import CardView
from monitor.gpu import Field
from monitor.incident import Incident
from monitor.journal import Transition
from monitor.page import card_status, overall, replica_status
from monitor.snapshot import Snapshot

_WIDTH, _HEIGHT = 120, 24
_GOOD = {"healthy", "ok", "serving"}
_WAITING = {
    *("starting", "stopped", "stopping", "draining", "drained"),
    *("suspect", "unknown", "degraded", "starved"),
}

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="refresh" content="5"><title>{{ state }} · rankguard on {{ host }}</title>
<style>
:root{color-scheme:light dark;--line:#8884;--good:#1a7f37;--bad:#cf222e;--wait:#9a6700}
@media(prefers-color-scheme:dark){:root{--good:#3fb950;--bad:#f85149;--wait:#d29922}}
*{box-sizing:border-box}
body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;padding:1rem;max-width:70rem}
h1{font-size:1.3rem;margin:0 0 .2rem}h2{font-size:1rem;margin:1.6rem 0 .4rem}
p,ul{margin:.2rem 0}small,.dim{opacity:.7}
.cards{display:grid;gap:.7rem;grid-template-columns:repeat(auto-fill,minmax(17rem,1fr))}
.card{border:1px solid var(--line);border-left:4px solid var(--line);border-radius:6px;
padding:.5rem .7rem;overflow-wrap:anywhere}
.good{border-left-color:var(--good)}.bad{border-left-color:var(--bad)}
.wait{border-left-color:var(--wait)}
b.good{color:var(--good)}b.bad{color:var(--bad)}b.wait{color:var(--wait)}
svg{display:block;width:100%;height:24px;margin:.3rem 0}
polyline{fill:none;stroke:currentColor;stroke-width:1.5;vector-effect:non-scaling-stroke}
ol{padding-left:1.2rem}time{font-variant-numeric:tabular-nums;opacity:.7}
</style></head><body>
<h1>rankguard on {{ host }} is <b class="{{ tone(state) }}">{{ state }}</b></h1>
<p class="dim">{{ now }} · watchdog up {{ uptime }} · {{ ticks }} rounds, the last took
{{ tick_ms }} ms</p>
{% for notice in notices %}<p><b class="wait">{{ notice }}</b></p>{% endfor %}
<h2>Replicas</h2><div class="cards">
{% for r, line in replicas %}<div class="card {{ tone(r.state) }}">
<b>{{ r.id }}</b> · <b class="{{ tone(r.state) }}">{{ r.state }}</b> <small>{{ r.reason }}</small>
{% if r.detail %}<p>{{ r.detail }}</p>{% endif %}{{ line }}
<p><small>{{ r.engine or "no engine yet" }} · {{ r.model or "" }}</small></p>
<p><small>generation {{ r.generation }} · {{ r.restarts }} restarts · {{ r.inflight }} in flight
· {{ r.docs_per_s }} documents/s{% if r.gpu_uuid %} · {{ r.gpu_uuid }}{% endif %}</small></p>
{% if r.notice %}<p><small>{{ r.notice }}</small></p>{% endif %}</div>{% endfor %}
</div>
{% if cards %}<h2>GPUs</h2><div class="cards">
{% for c, line, figures in cards %}<div class="card {{ tone(c.state) }}">
<b>{{ c.index }} · {{ c.name }}</b> · <b class="{{ tone(c.state) }}">{{ c.state }}</b>
{% if c.cordoned %}<small>cordoned</small>{% endif %}
{% if c.fault %}<p>cannot be read: {{ c.fault }}</p>{% endif %}
{% for name in c.findings %}<p><b class="bad">{{ name }}</b></p>{% endfor %}{{ line }}
<p><small>{{ figures }}</small></p><p><small>{{ c.uuid }}</small></p></div>{% endfor %}
</div>{% endif %}
<h2>Incidents</h2>{% if not incidents %}<p class="dim">none so far</p>{% endif %}
{% for one in incidents %}
<div id="incident-{{ one.id }}" class="card {{ 'wait' if one.over else 'bad' }}">
<b>{{ one.id }} {{ one.name }}</b> · {{ one.status }} · {{ one.reason }}
· <a href="/runbooks/{{ one.name }}.md">runbook</a>
<p>{{ one.summary }}</p><p><small>{{ one.times }}</small></p>
{% if one.actions %}<ol>{% for action in one.actions %}<li>{{ action }}</li>{% endfor %}</ol>
{% endif %}</div>{% endfor %}
<h2>What happened</h2>{% if not transitions %}<p class="dim">nothing yet</p>{% endif %}<ul>
{% for one in transitions %}<li><time>{{ one.when }}</time> {{ one.text }}</li>{% endfor %}</ul>
<p class="dim"><a href="/status">/status</a> · <a href="/metrics">/metrics</a></p>
</body></html>
"""


class PageRenderer:
    """Renders the page; compiled once, and safe for several threads."""

    def __init__(self) -> None:
        environment = Environment(autoescape=True, trim_blocks=True)
        self._template = environment.from_string(_PAGE)

    def render(
        self,
        snapshot: Snapshot,
        incidents: Sequence[Incident],
        transitions: Sequence[Transition],
        host: str,
    ) -> str:
        """The document; `incidents` newest first, open ones included."""
        return self._template.render(
            state=overall(snapshot),
            host=host,
            now=_when(snapshot.at, "%Y-%m-%d %H:%M:%S"),
            uptime=_span(snapshot.at - snapshot.started_at),
            ticks=snapshot.counters.ticks,
            tick_ms=f"{1000 * snapshot.tick_s:.1f}",
            notices=snapshot.notices,
            tone=tone,
            replicas=[
                (replica_status(view), Markup(sparkline(view.recent)))  # noqa: S704 - our numbers
                for view in snapshot.replicas
            ],
            cards=[
                (
                    card_status(view),
                    Markup(sparkline(view.utilization, 1.0)),  # noqa: S704 - our numbers
                    figures(view),
                )
                for view in snapshot.cards
            ],
            incidents=[_incident(incident) for incident in incidents],
            transitions=[_transition(one) for one in transitions],
        )


def tone(state: str) -> str:
    """good, wait or bad: the colour of a state."""
    if state in _GOOD:
        return "good"
    return "wait" if state in _WAITING else "bad"


def sparkline(values: Sequence[float], top: float | None = None) -> str:
    """An SVG line over the last values; empty for fewer than two.

    Args:
        top: the value at the upper edge; None: the largest.
    """
    if len(values) < 2:
        return ""
    highest = max(values) if top is None else top
    scale = (_HEIGHT - 2) / highest if highest > 0 else 0.0
    step = _WIDTH / (len(values) - 1)
    points = " ".join(
        f"{index * step:.1f},{_HEIGHT - 1 - value * scale:.1f}"
        for index, value in enumerate(values)
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img"'
        f' aria-label="last {len(values)} values"><polyline points="{points}"/></svg>'
    )


def figures(view: CardView) -> str:
    """The card's main readings in one line; those that are missing are left out."""
    number = view.sample.number
    shown = []
    used, total = number(Field.MEMORY_USED), number(Field.MEMORY_TOTAL)
    if used is not None and total:
        shown.append(f"{used / 2**30:.1f} of {total / 2**30:.0f} GiB")
    for field, scale, unit in (
        (Field.UTILIZATION, 100.0, "%"),
        (Field.TEMPERATURE, 1.0, "°C"),
        (Field.POWER, 1.0, "W"),
        (Field.ECC_UNCORRECTED, 1.0, "uncorrected errors"),
    ):
        value = number(field)
        if value is not None and not (field is Field.ECC_UNCORRECTED and value == 0):
            shown.append(f"{value * scale:.0f} {unit}")
    shown += [f"{count} of XID {xid}" for xid, count in sorted(view.xids.items())]
    return " · ".join(shown)


def _incident(incident: Incident) -> dict[str, Any]:
    times = [f"since {_when(incident.started_at)}", f"detected in {incident.detected_s:.1f} s"]
    if incident.recovered_s is not None:
        times.append(f"over after {_span(incident.recovered_s)}")
    return {
        "id": incident.id,
        "name": incident.name,
        "status": incident.status.value,
        "over": incident.resolved_at is not None,
        "reason": incident.reason,
        "summary": incident.summary,
        "times": " · ".join(times),
        "actions": incident.actions,
    }


def _transition(one: Transition) -> dict[str, str]:
    generation = "" if one.generation is None else f"/{one.generation}"
    detail = f" — {one.detail}" if one.detail else ""
    return {
        "when": _when(one.at),
        "text": f"{one.subject}{generation}: {one.old} → {one.new} ({one.reason}){detail}",
    }


def _when(at: float, form: str = "%m-%d %H:%M:%S") -> str:
    return time.strftime(form, time.localtime(at))


def _span(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, hours = seconds / 60, seconds / 3600
    return f"{minutes:.0f} min" if minutes < 100 else f"{hours:.1f} h"
