"""What each wire format means, over HTTP; docs/api.md has the table."""

from __future__ import annotations

import pytest

from tests.service.gateway.fake_worker import logit_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOCUMENTS = ["a", "aaaa", "aaaaaaa"]
BEST_FIRST = [2, 1, 0]


@pytest.fixture
def gateway(one_for_all):
    return one_for_all[0]


@pytest.fixture
def worker(one_for_all):
    return one_for_all[1]


def indexes(results: list[dict]) -> list[int]:
    return [one["index"] for one in results]


class TestJinaAndVllm:
    async def test_the_answer_has_every_field_of_both(self, gateway):
        reply = await gateway.post({"model": "any", "query": "q", "documents": DOCUMENTS})
        body = reply.body
        assert set(body) == {"id", "model", "usage", "results", "meta"}
        assert body["usage"] == {"prompt_tokens": 11, "total_tokens": 11}
        assert indexes(body["results"]) == BEST_FIRST
        assert set(body["results"][0]) == {"index", "relevance_score", "document"}

    @pytest.mark.parametrize(
        ("asked", "echoed"),
        [
            pytest.param({}, {"text": "aaaaaaa"}, id="as Jina and vLLM do, when left out"),
            pytest.param({"return_documents": True}, {"text": "aaaaaaa"}, id="when asked"),
            pytest.param({"return_documents": False}, None, id="not when unwanted"),
            pytest.param({"return_documents": None}, {"text": "aaaaaaa"}, id="null is left out"),
        ],
    )
    async def test_documents_come_back(self, gateway, asked, echoed):
        reply = await gateway.post({"query": "q", "documents": DOCUMENTS, **asked})
        assert reply.body["results"][0].get("document") == echoed

    async def test_objects_come_back_as_they_came(self, gateway):
        documents = [{"text": "a", "id": 7}, {"text": "aaaa", "title": "t"}]
        reply = await gateway.post({"query": {"text": "q"}, "documents": documents})
        assert [one["document"] for one in reply.body["results"]] == documents[::-1]

    async def test_top_n_cuts(self, gateway):
        reply = await gateway.post({"query": "q", "documents": DOCUMENTS, "top_n": 1})
        assert indexes(reply.body["results"]) == [2]

    async def test_logits_on_request(self, gateway):
        reply = await gateway.post({"query": "q", "documents": DOCUMENTS, "use_activation": False})
        assert [one["relevance_score"] for one in reply.body["results"]] == [
            logit_of(DOCUMENTS[index]) for index in BEST_FIRST
        ]

    async def test_the_model_that_answered_is_named(self, gateway):
        reply = await gateway.post({"query": "q", "documents": ["a"], "model": "rerank-v9"})
        assert reply.body["model"] == "fake-reranker"
        assert reply.body["meta"]["warnings"] == [
            "the model 'rerank-v9' is not served here; 'fake-reranker' answered"
        ]

    async def test_instruction_and_cutting_reach_the_engine(self, gateway, worker):
        await gateway.post(
            {"query": "q", "documents": ["a"], "instruction": "find", "max_tokens_per_doc": 64}
        )
        assert worker.jobs[0]["instruction"] == "find"
        assert worker.jobs[0]["max_tokens_per_doc"] == 64

    @pytest.mark.parametrize("instruction", ["", None])
    async def test_no_instruction_is_the_engines_own(self, gateway, worker, instruction):
        await gateway.post({"query": "q", "documents": ["a"], "instruction": instruction})
        assert "instruction" not in worker.jobs[0]

    async def test_a_truncated_document_says_so(self, gateway, worker):
        await cut_everything(worker)
        reply = await gateway.post({"query": "q", "documents": ["a"]})
        assert reply.body["results"][0]["truncated"] is True
        assert reply.body["results"][0]["span"] == [10, 20]
        assert reply.body["meta"]["warnings"] == [
            "documents[0] did not fit whole and was truncated"
        ]


async def cut_everything(worker) -> None:
    from aiohttp import web

    async def cut(_worker, job):
        score = {"logit": 1.0, "tokens": 5, "truncated": True, "span": [10, 20]}
        return web.json_response({"scores": [score] * len(job["documents"]), "score_s": 0.0})

    worker.answer = cut


class TestCohereV1:
    async def test_a_body_of_its_client_is_read(self, gateway, worker):
        reply = await gateway.post(
            {
                "model": "rerank-english-v3.0",
                "query": "q",
                "documents": [
                    {"title": "A", "body": "x"},
                    {"title": "B", "body": "y", "text": "t"},
                ],
                "rank_fields": ["title", "body"],
                "max_chunks_per_doc": 10,
                "return_documents": True,
            }
        )
        assert worker.documents == ["title: A\nbody: x", "title: B\nbody: y"]
        assert reply.body["meta"]["api_version"] == {"version": "1"}
        assert reply.body["meta"]["billed_units"] == {"search_units": 1}
        assert "the field 'max_chunks_per_doc' has no effect here" in reply.body["meta"]["warnings"]

    async def test_a_document_without_the_rank_fields_is_named(self, gateway):
        reply = await gateway.post(
            {"query": "q", "documents": [{"a": "x"}, {"b": "y"}], "rank_fields": ["a"]}
        )
        assert (reply.status, reply.error["param"]) == (422, "documents[1]")


class TestCohereV2:
    async def post(self, gateway, **fields):
        body = {"model": "rerank-v3.5", "query": "q", "documents": DOCUMENTS, **fields}
        return await gateway.post(body, "/v2/rerank")

    async def test_the_answer_is_cohere_shaped(self, gateway):
        reply = await self.post(gateway, top_n=2)
        assert set(reply.body) == {"id", "results", "meta"}
        assert indexes(reply.body["results"]) == [2, 1]
        assert set(reply.body["results"][0]) == {"index", "relevance_score"}
        assert reply.body["meta"]["api_version"] == {"version": "2"}
        assert reply.body["meta"]["tokens"] == {"input_tokens": 11, "output_tokens": 0}

    async def test_a_search_unit_is_a_hundred_documents(self, gateway):
        reply = await self.post(gateway, documents=[str(number) for number in range(101)])
        assert reply.body["meta"]["billed_units"] == {"search_units": 2}

    async def test_documents_come_back_when_asked(self, gateway):
        reply = await self.post(gateway, return_documents=True)
        assert reply.body["results"][0]["document"] == {"text": "aaaaaaa"}


class TestTei:
    async def post(self, gateway, **fields):
        return await gateway.post({"query": "q", "texts": DOCUMENTS, **fields}, "/rerank")

    async def test_the_answer_is_a_bare_list(self, gateway):
        reply = await self.post(gateway)
        assert indexes(reply.body) == BEST_FIRST
        assert set(reply.body[0]) == {"index", "score"}
        assert 0 <= reply.body[0]["score"] <= 1

    async def test_raw_scores_are_logits(self, gateway):
        reply = await self.post(gateway, raw_scores=True)
        assert reply.body[0]["score"] == logit_of(DOCUMENTS[2])

    async def test_texts_come_back_when_asked(self, gateway):
        reply = await self.post(gateway, return_text=True)
        assert reply.body[0]["text"] == "aaaaaaa"

    @pytest.mark.parametrize(
        ("asked", "status"),
        [
            pytest.param({}, 200, id="a text that does not fit is cut"),
            pytest.param({"truncate": True}, 200, id="also when allowed"),
            pytest.param({"truncate": False}, 422, id="and refused when forbidden"),
        ],
    )
    async def test_truncate(self, gateway, worker, asked, status):
        await cut_everything(worker)
        reply = await self.post(gateway, **asked)
        assert reply.status == status
        if status == 422:
            assert reply.error["param"] == "texts[0]"

    async def test_errors_name_its_own_fields(self, gateway):
        reply = await self.post(gateway, texts=["a", None])
        assert (reply.status, reply.error["param"]) == (422, "texts[1]")

    async def test_it_is_not_mixed_with_documents(self, gateway):
        reply = await self.post(gateway, documents=["a"])
        assert (reply.status, reply.error["param"]) == (422, "texts")


@pytest.mark.parametrize("path", ["/v1/score", "/score"])
class TestVllmScore:
    @pytest.mark.parametrize(
        "sides",
        [
            ("text_1", "text_2"),
            ("data_1", "data_2"),
            ("queries", "documents"),
            ("queries", "items"),
        ],
    )
    async def test_one_against_many_in_the_order_of_the_request(self, gateway, path, sides):
        left, right = sides
        reply = await gateway.post({left: "q", right: DOCUMENTS}, path)
        assert set(reply.body) == {"id", "object", "created", "model", "data", "usage"}
        assert indexes(reply.body["data"]) == [0, 1, 2]
        scores = [one["score"] for one in reply.body["data"]]
        assert scores == sorted(scores)

    async def test_one_against_one(self, gateway, path):
        reply = await gateway.post({"text_1": "q", "text_2": "a"}, path)
        assert len(reply.body["data"]) == 1

    async def test_many_against_as_many_asks_each_query_once(self, gateway, worker, path):
        reply = await gateway.post(
            {"text_1": ["p", "q", "p"], "text_2": DOCUMENTS, "use_activation": False}, path
        )
        assert [one["score"] for one in reply.body["data"]] == [logit_of(one) for one in DOCUMENTS]
        asked = sorted((job["query"], job["documents"]) for job in worker.jobs)
        assert asked == [("p", ["a", "aaaaaaa"]), ("q", ["aaaa"])]

    @pytest.mark.parametrize(
        ("fields", "param"),
        [
            pytest.param({"text_1": ["a", "b"], "text_2": ["c"]}, "text_1", id="many against one"),
            pytest.param({"text_1": "a"}, "body", id="one side"),
            pytest.param({"text_1": "a", "documents": ["b"]}, "body", id="sides of two pairs"),
            pytest.param({"text_1": "a", "text_2": []}, "text_2", id="an empty side"),
            pytest.param({"text_1": ["a", " "], "text_2": ["c", "d"]}, "text_1[1]", id="no query"),
            pytest.param({"text_1": "a", "text_2": ["b", 5]}, "text_2[1]", id="a number"),
            pytest.param({"text_1": "a", "text_2": 5}, "text_2", id="a side that is no text"),
        ],
    )
    async def test_what_is_wrong_is_named(self, gateway, path, fields, param):
        reply = await gateway.post(fields, path)
        assert (reply.status, reply.error["param"]) == (422, param), reply.error

    async def test_an_error_of_the_engine_names_its_field(self, gateway, worker, path):
        from tests.service.gateway import fake_worker

        worker.answer = fake_worker.error(422, "documents[1] is too long", "documents[1]")
        reply = await gateway.post({"text_1": "q", "text_2": ["a", "b"]}, path)
        assert (reply.error["param"], reply.error["message"]) == (
            "text_2[1]",
            "text_2[1] is too long",
        )
