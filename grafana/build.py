"""Turns the dashboards into Grafana's JSON: `python -m grafana.build` writes `grafana/json`.

The only module that needs grafana-foundation-sdk (extra `dev`, Python 3.11 and newer). The JSON is
committed, and a test compares it with what this makes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.builders import (
    common,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import dashboard as boards
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import prometheus as prometheus_model

from grafana.dashboards.all import DASHBOARDS
from grafana.panel import RUNBOOKS, Dashboard, Look, Panel, Query, Variable

FOLDER = Path(__file__).with_name("json")
SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG = "rankguard"
_INCIDENTS = 'increase(rankguard_incidents_total{host=~"$host"}[1m]) > 0'

_BUILDERS: dict[Look, Any] = {
    Look.STAT: stat.Panel,
    Look.LINES: timeseries.Panel,
    Look.STATES: statetimeline.Panel,
    Look.HEATMAP: heatmap.Panel,
    Look.TABLE: table.Panel,
}


def encode(dashboard: Dashboard) -> str:
    """The JSON of one dashboard, keys sorted, so that a change is a small difference."""
    text: str = JSONEncoder(sort_keys=True, indent=1).encode(build(dashboard))
    return text + "\n"


def build(dashboard: Dashboard) -> model.Dashboard:
    """Grafana's own value of one dashboard."""
    builder = (
        boards.Dashboard(dashboard.title)
        .uid(dashboard.uid)
        .description(dashboard.description)
        .tags([TAG])
        .refresh("10s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(_siblings())
        .annotation(_incidents())
        .with_variable(_source_variable())
    )
    for variable in dashboard.variables:
        builder = builder.with_variable(_variable(variable))
    for row in dashboard.rows:
        builder = builder.with_row(boards.Row(row.title))
        for panel in row.panels:
            builder = builder.with_panel(_panel(panel))
    return builder.build()


def _siblings() -> boards.DashboardLink:
    link = boards.DashboardLink("rankguard").type(model.DashboardLinkType.DASHBOARDS)
    return link.tags([TAG]).as_dropdown(True).include_vars(True).keep_time(True)


def _incidents() -> boards.AnnotationQuery:
    query = boards.AnnotationQuery().name("Incidents").datasource(SOURCE).enable(True)
    return query.icon_color("red").expr(_INCIDENTS)


def _source_variable() -> boards.DatasourceVariable:
    return boards.DatasourceVariable("datasource").label("Data source").type("prometheus")


def _variable(variable: Variable) -> boards.QueryVariable:
    return (
        boards.QueryVariable(variable.name)
        .label(variable.label)
        .datasource(SOURCE)
        .query(f"label_values({variable.metric}, {variable.key})")
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(model.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def _panel(panel: Panel) -> Any:
    """The builder of one panel; their classes have the same methods and no common base."""
    builder = (
        _BUILDERS[panel.look]()
        .title(panel.title)
        .description(panel.description)
        .datasource(SOURCE)
        .unit(panel.unit.value)
        .span(panel.width)
        .height(panel.height)
        .thresholds(_steps(panel))
    )
    for position, query in enumerate(panel.queries):
        builder = builder.with_target(_target(panel, query, chr(ord("A") + position)))
    if panel.runbooks:
        builder = builder.links([_runbook(name) for name in panel.runbooks])
    if panel.none:
        builder = builder.no_value(panel.none)
    if panel.words:
        builder = builder.mappings([_words(panel)])
    if panel.least is not None:
        builder = builder.min(panel.least)
    if panel.most is not None:
        builder = builder.max(panel.most)
    return _styled(builder, panel)


def _runbook(name: str) -> boards.DashboardLink:
    link = boards.DashboardLink(f"Runbook: {name}").type(model.DashboardLinkType.LINK)
    return link.url(f"{RUNBOOKS}/{name}.md").target_blank(True)


def _styled(builder: Any, panel: Panel) -> Any:
    """What only one look has."""
    if panel.look is Look.STAT:
        return builder.color_mode(common_model.BigValueColorMode.BACKGROUND_SOLID).reduce_options(
            common.ReduceDataOptions().calcs(["lastNotNull"])
        )
    if panel.look is Look.LINES:
        return _lines(builder, panel)
    if panel.look is Look.STATES:
        return builder.show_value(common_model.VisibilityMode.AUTO).merge_values(True)
    if panel.look is Look.HEATMAP:
        return builder.calculate(False).show_legend()
    return builder


def _lines(builder: Any, panel: Panel) -> Any:
    builder = (
        builder.line_width(1)
        .fill_opacity(30 if panel.stacked else 8)
        .show_points(common_model.VisibilityMode.NEVER)
        # a gap is a gap: what failed to be read is not drawn as if it were known
        .span_nulls(False)
        .legend(
            common.VizLegendOptions()
            .display_mode(common_model.LegendDisplayMode.TABLE)
            .placement(common_model.LegendPlacement.BOTTOM)
            .calcs(["lastNotNull", "max"])
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(common_model.TooltipDisplayMode.MULTI))
    )
    if panel.stacked:
        builder = builder.stacking(
            common.StackingConfig().mode(common_model.StackingMode.NORMAL).group("A")
        )
    if panel.limit is not None:
        builder = builder.with_target(_target(panel, panel.limit, "Z"))
        dashed = {"fill": "dash", "dash": [8, 8]}
        builder = builder.override_by_name(
            panel.limit.legend,
            [
                model.DynamicConfigValue("custom.lineStyle", dashed),
                model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": "red"}),
                model.DynamicConfigValue("custom.fillOpacity", 0),
            ],
        )
    return builder


def _target(panel: Panel, query: Query, ref_id: str) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).ref_id(ref_id).datasource(SOURCE)
    if query.legend:
        target = target.legend_format(query.legend)
    if panel.look is Look.TABLE:
        return target.instant().format(prometheus_model.PromQueryFormat.TABLE)
    if panel.look is Look.STAT:
        return target.instant()
    if panel.look is Look.HEATMAP:
        return target.range().format(prometheus_model.PromQueryFormat.HEATMAP)
    return target.range()


def _steps(panel: Panel) -> boards.ThresholdsConfig:
    steps = [model.Threshold(value, color) for value, color in panel.steps]
    return boards.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


def _words(panel: Panel) -> model.ValueMap:
    options = {
        str(word.value): model.ValueMappingResult(text=word.text, color=word.color, index=position)
        for position, word in enumerate(panel.words)
    }
    return model.ValueMap(options=options)


def main() -> int:
    """Write every dashboard's JSON."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.json"):
        old.unlink()
    for dashboard in DASHBOARDS:
        path = FOLDER / f"{dashboard.uid}.json"
        path.write_text(encode(dashboard), encoding="utf-8")
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
