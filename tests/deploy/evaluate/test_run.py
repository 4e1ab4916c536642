import json
from dataclasses import replace

import pytest

from deploy.evaluate.dataset import DataError
from deploy.evaluate.endpoint import EndpointError, parse_target
from deploy.evaluate.keep import keep
from deploy.evaluate.session import Plan, Watch, evaluate
from deploy.evaluate.shipped import load
from deploy.evaluate.system import cut
from tests.deploy.evaluate.server import Endpoint, serving


def plan(server, **changes):
    whole = Plan(
        dataset=load(),
        targets=(parse_target(f"ours={server.url}"), "bm25"),
        pairs=(("en", "en"), ("en", "fr")),
        queries=4,
    )
    return replace(whole, **changes)


def run(wanted):
    counts = []
    answers = []
    outcome = evaluate(wanted, Watch(begin=counts.append, done=answers.append))
    assert counts == [len(answers)]
    return outcome


def test_the_table_is_right_for_an_endpoint_that_knows_the_answers():
    data = load()
    answer = {data.queries[f"q-en-{n:02}"].text: f"{n:02}" for n in range(1, 31)}
    number = {each.text: key.rpartition("-")[2] for key, each in data.documents.items()}
    oracle = Endpoint(scorer=lambda query, text: float(answer[query] == number[text]))
    with serving(oracle) as server:
        outcome = run(plan(server))
    assert [pair.ndcg_at_10 for pair in outcome.results[0].pairs] == [1.0, 1.0]
    assert outcome.results[0].mean.ci95 == (1.0, 1.0)
    assert outcome.comparisons[0].difference > 0


def test_an_endpoint_that_scores_everything_alike_gains_nothing_by_the_order():
    with serving(Endpoint(scorer=lambda *_: 0.5)) as server:
        outcome = run(plan(server, queries=None, targets=(parse_target(server.url),)))
    assert outcome.results[0].mean.ndcg_at_10 < 0.35


def test_a_run_that_was_broken_off_goes_on_where_it_was(tmp_path):
    with serving(Endpoint()) as server:
        whole = run(plan(server, folder=tmp_path))
        asked = len(server.bodies)
        kept = (tmp_path / "answers.jsonl").read_text().splitlines()
        (tmp_path / "answers.jsonl").write_text("\n".join(kept[:5]) + "\n")
        again = run(plan(server, folder=tmp_path))
    missing = sum(json.loads(line)["system"] == "ours" for line in kept[5:])
    assert len(server.bodies) - asked == missing
    assert again.results[0].pairs == whole.results[0].pairs


def test_what_was_answered_before_a_failure_is_kept(tmp_path):
    # every fourth request is refused for good
    broken = Endpoint(refuse=[])
    with serving(broken) as server:
        wanted = plan(server, folder=tmp_path, concurrency=1, targets=(parse_target(server.url),))
        broken.scorer = lambda query, text: 1 / (len(broken.bodies) < 4)
        with pytest.raises(EndpointError):
            run(wanted)
        broken.scorer = lambda query, text: 0.0
        before = len(broken.bodies)
        outcome = run(wanted)
    assert len((tmp_path / "answers.jsonl").read_text().splitlines()) == 8
    assert len(broken.bodies) - before == 5
    assert outcome.results[0].mean.queries == 8


def test_everything_that_a_report_needs_is_left_in_the_folder(tmp_path):
    with serving(Endpoint()) as server:
        outcome = run(plan(server, folder=tmp_path))
    files = {path.name for path in keep(outcome, tmp_path)}
    assert files == {
        "report.md", "result.json", "result.csv", "heatmap-ours.png", "heatmap-bm25.png",
        "run-ours.trec", "run-bm25.trec",
    }  # fmt: skip
    assert json.loads((tmp_path / "result.json").read_text()) == json.loads(
        json.dumps(outcome.to_json())
    )
    assert len((tmp_path / "result.csv").read_text().splitlines()) == 1 + 2 * 3
    assert len((tmp_path / "run-ours.trec").read_text().splitlines()) == 8 * 30
    assert (tmp_path / "heatmap-ours.png").read_bytes().startswith(b"\x89PNG")


def test_two_systems_of_one_name_are_refused():
    with serving(Endpoint()) as server:
        target = parse_target(server.url)
        with pytest.raises(DataError, match="one name"):
            run(plan(server, targets=(target, target)))


def test_bm25_can_choose_the_candidates():
    with serving(Endpoint()) as server:
        run(plan(server, candidates="bm25:5", targets=(parse_target(server.url),)))
    assert {len(body["documents"]) for _, body in server.bodies} == {5}


@pytest.mark.parametrize(
    ("lengths", "sizes"),
    [
        pytest.param([10] * 5, [5], id="a short list is one request"),
        pytest.param([10] * 250, [100, 100, 50], id="not more than 100 documents"),
        pytest.param([15_000] * 5, [2, 2, 1], id="not more than 40,000 characters"),
        pytest.param([90_000, 10], [1, 1], id="a huge document goes alone"),
        pytest.param([], [], id="nothing"),
    ],
)
def test_long_lists_are_cut_into_requests(lengths, sizes):
    assert [len(part) for part in cut(["x" * length for length in lengths])] == sizes


def test_a_list_in_several_requests_is_one_ranking():
    data = load()
    long = {
        key: replace(text, text=text.text * 40)
        for key, text in data.documents.items()
        if text.lang == "en"
    }
    with serving(Endpoint()) as server:
        wanted = plan(server, pairs=(("en", "en"),), targets=(parse_target(server.url),), queries=1)
        whole = run(wanted)
        once = len(server.bodies)
        parts = run(replace(wanted, dataset=replace(data, documents=long)))
    assert once == 1
    assert len(server.bodies) > 5
    ranking = [answer.scores for answer in parts.answers.values()]
    assert ranking == [tuple(sorted(ranking[0], reverse=True))]
    assert len(ranking[0]) == 30
    assert [set(each.documents) for each in parts.answers.values()] == [
        set(each.documents) for each in whole.answers.values()
    ]


def test_an_endpoint_that_is_too_slow_for_a_request_is_asked_for_less_and_ranks_the_same():
    alone = {"pairs": (("en", "en"),), "queries": 3, "concurrency": 1}
    with serving(Endpoint()) as fast, serving(Endpoint(most=9)) as slow:
        right = run(plan(fast, targets=(parse_target(f"ours={fast.url}"),), **alone))
        found = run(plan(slow, targets=(parse_target(f"ours={slow.url}"),), **alone))

    ranked = [[answer.scores for answer in one.answers.values()] for one in (right, found)]
    assert ranked[0] == ranked[1]
    sizes = [len(body["documents"]) for _, body in slow.bodies]
    assert sizes[0] == 30
    # what was learnt by the first question holds for the others
    assert max(sizes[-5:]) < 30


def test_one_document_that_is_too_much_ends_the_run_and_says_why(monkeypatch):
    monkeypatch.setattr("deploy.evaluate.endpoint.TRIES", 1)
    with serving(Endpoint(most=0)) as server, pytest.raises(EndpointError, match="not scored"):
        run(plan(server, queries=1))
