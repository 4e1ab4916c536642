import pytest

from deploy.bench.bare import outcome, picture
from deploy.bench.bare.outcome import Outcome
from deploy.bench.bare.overhead import Overhead
from deploy.bench.latency import Sample, summarize
from deploy.bench.versus import Agreement, ByLoad, Run, Shape

SAME = Agreement(pairs=40, largest=0.01, same_order=1.0)


def run(docs_per_s, *, failed=0):
    """A run of one request of 100 documents, and failed ones beside it."""
    ended = 100 / docs_per_s
    samples = [Sample(0.0, 0.0, ended, 100)]
    samples += [Sample(0.0, 0.0, ended, 100, error="503") for _ in range(failed)]
    return Run(summarize(samples), cpu_ms_per_doc=1.5)


def comparison(ours, bare, *, clients=1, failed=0):
    return ByLoad(Shape(clients, 100, 500), (run(ours, failed=failed),), (run(bare),))


def found(*, defaults=1.5, same=1.1, repeated=30.0, p50=0.5, p99=2.0, failed=0):
    ratios = {"unique_defaults": defaults, "unique_same_settings": same, "repeated": repeated}
    return Outcome(
        {
            name: [comparison(100 * each, 100, failed=failed), comparison(100 * each, 100)]
            for name, each in ratios.items()
        },
        {"bare": SAME, "bare_same": SAME},
        Overhead(100, p50, p99, 1.0, 1.0, 1.0, 1.0),
        Overhead(100, 9.0, 99.0, 1.0, 1.0, 1.0, 1.0),
    )


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        pytest.param({}, [], id="all met"),
        pytest.param({"defaults": 1.29}, ["unique_defaults"], id="slower than 1.3 x"),
        pytest.param({"same": 0.99}, ["unique_same_settings"], id="slower than bare vLLM"),
        pytest.param({"repeated": 19.0}, ["repeated"], id="the cache saves too little"),
        pytest.param({"p50": 1.1}, ["gateway adds, p50"], id="a slow gateway"),
        pytest.param({"p99": 3.1}, ["gateway adds, p99"], id="a slow gateway, now and then"),
        pytest.param({"failed": 1}, ["failed requests"], id="fast, but not answering"),
    ],
)
def test_each_target_is_judged(change, missed):
    assert [row.name for row in outcome.targets(found(**change)) if not row.met] == missed


@pytest.mark.parametrize(("largest", "agreed"), [(0.05, True), (0.06, False)])
def test_scores_that_differ_by_more_than_rounding_end_the_comparison(largest, agreed):
    assert outcome.agrees(Agreement(40, largest, 1.0)) is agreed


def test_the_json_has_the_shape_that_tools_rely_on():
    body = outcome.to_body(found(), {"command": "x"})
    for name in ("unique_defaults", "unique_same_settings", "repeated"):
        one = body[name]
        assert set(one["ratio_docs_per_s"]) == {"median", "min", "max"}
        assert {"docs_per_s", "p50_ms", "p99_ms", "cpu_ms_per_doc"} <= set(one["ours"])
        assert set(one["ours"]) == set(one["bare"])
        assert [load["documents"] for load in one["by_load"]] == [100, 100]
        assert set(one["by_load"][0]) >= {"ratio_docs_per_s", "ours", "bare", "clients"}
    assert body["unique_defaults"]["ratio_docs_per_s"]["median"] == pytest.approx(1.5)
    assert (body["gateway_overhead_ms"]["p50"], body["gateway_overhead_ms"]["p99"]) == (0.5, 2.0)
    assert body["run"] == {"command": "x"}


def test_the_picture_is_a_png(tmp_path):
    picture.write(found().comparisons, tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")
