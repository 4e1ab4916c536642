"""Unmodified clients from PyPI against our API; docs/api.md has the table. Extra: `clients`."""

from __future__ import annotations

import warnings

import pytest
import requests

QUERY = "how do I fix an attribute error in python"
DOCUMENTS = [
    "Bananas are yellow.",
    "An attribute error in python: fix it by checking the name.",
    "Python is a snake.",
]
BEST = 1

pytestmark = [
    pytest.mark.real,
    # what the clients' own code warns of is not ours to fix
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(180),
]


def load(name: str):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, exc_type=ImportError)


@pytest.fixture(autouse=True)
def _no_internet(monkeypatch):
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    monkeypatch.setenv("CO_API_KEY", "unused")


def test_requests_as_in_the_article(url):
    body = {"query": QUERY, "documents": DOCUMENTS, "return_documents": True}
    results = requests.post(f"{url}/v1/rerank", json=body, timeout=10).json()["results"]
    assert results[0]["index"] == BEST
    assert results[0]["document"]["text"] == DOCUMENTS[BEST]
    assert 0 <= results[0]["relevance_score"] <= 1


def test_cohere_v1(url):
    client = load("cohere").Client(api_key="unused", base_url=url)
    answer = client.rerank(query=QUERY, documents=DOCUMENTS, top_n=2, return_documents=True)
    assert answer.results[0].index == BEST
    assert len(answer.results) == 2
    assert answer.results[0].document.text == DOCUMENTS[BEST]
    assert answer.meta.billed_units.search_units == 1


def test_cohere_v1_documents_with_fields(url):
    client = load("cohere").Client(api_key="unused", base_url=url)
    documents = [{"title": text, "text": "x"} for text in DOCUMENTS]
    answer = client.rerank(query=QUERY, documents=documents, rank_fields=["title"])
    assert answer.results[0].index == BEST


def test_cohere_v2(url):
    client = load("cohere").ClientV2(api_key="unused", base_url=url)
    answer = client.rerank(model="rerank-v3.5", query=QUERY, documents=DOCUMENTS, top_n=1)
    assert [one.index for one in answer.results] == [BEST]
    assert answer.meta.billed_units.search_units == 1


async def test_cohere_v2_async(url):
    client = load("cohere").AsyncClientV2(api_key="unused", base_url=url)
    answer = await client.rerank(model="rerank-v3.5", query=QUERY, documents=DOCUMENTS)
    assert answer.results[0].index == BEST


def test_cohere_reads_our_errors(url):
    cohere = load("cohere")
    client = cohere.ClientV2(api_key="unused", base_url=url)
    with pytest.raises(cohere.UnprocessableEntityError) as refused:
        client.rerank(model="m", query="", documents=DOCUMENTS)
    assert refused.value.body["error"]["param"] == "query"


@pytest.mark.parametrize(
    ("model", "base"),
    [
        ("hosted_vllm/any", ""),
        ("jina_ai/any", "/v1"),
        ("cohere/rerank-v3.5", ""),
    ],
)
def test_litellm(url, model, base):
    answer = load("litellm").rerank(
        model=model,
        query=QUERY,
        documents=DOCUMENTS,
        top_n=2,
        return_documents=True,
        api_base=url + base,
        api_key="unused",
    )
    assert answer.results[0]["index"] == BEST
    assert len(answer.results) == 2


def test_langchain_cohere(url):
    core = load("langchain_core.documents")
    reranker = load("langchain_cohere").CohereRerank(
        model="any", cohere_api_key="unused", base_url=url, top_n=1
    )
    documents = [core.Document(text) for text in DOCUMENTS]
    (best,) = reranker.compress_documents(documents, QUERY)
    assert best.page_content == DOCUMENTS[BEST]


def test_langchain_jina(url, monkeypatch):
    core = load("langchain_core.documents")
    jina = load("langchain_community.document_compressors.jina_rerank")
    # the one client whose address is a constant of its module
    monkeypatch.setattr(jina, "JINA_API_URL", f"{url}/v1/rerank")
    documents = [core.Document(text) for text in DOCUMENTS]
    (best,) = jina.JinaRerank(jina_api_key="unused", top_n=1).compress_documents(documents, QUERY)
    assert best.page_content == DOCUMENTS[BEST]


def nodes(schema):
    return [schema.NodeWithScore(node=schema.TextNode(text=text), score=0.0) for text in DOCUMENTS]


def test_llama_index_cohere(url):
    schema = load("llama_index.core.schema")
    reranker = load("llama_index.postprocessor.cohere_rerank").CohereRerank(
        api_key="unused", base_url=url, top_n=1, model="any"
    )
    (best,) = reranker.postprocess_nodes(nodes(schema), query_str=QUERY)
    assert best.node.text == DOCUMENTS[BEST]


def test_llama_index_tei(url):
    schema = load("llama_index.core.schema")
    tei = load("llama_index.postprocessor.tei_rerank")
    reranker = tei.TextEmbeddingInference(base_url=url, top_n=1)
    (best,) = reranker.postprocess_nodes(nodes(schema), query_str=QUERY)
    assert best.node.text == DOCUMENTS[BEST]


def test_haystack_tei(url):
    documents = [load("haystack").Document(content=text) for text in DOCUMENTS]
    rankers = load("haystack_integrations.components.rankers.huggingface_api")
    ranker = rankers.HuggingFaceTEIRanker(url=url, top_k=1, token=None)
    (best,) = ranker.run(query=QUERY, documents=documents)["documents"]
    assert best.content == DOCUMENTS[BEST]


def test_haystack_cohere(url):
    documents = [load("haystack").Document(content=text) for text in DOCUMENTS]
    secret = load("haystack.utils").Secret
    ranker = load("haystack_integrations.components.rankers.cohere").CohereRanker(
        model="any", api_base_url=url, api_key=secret.from_token("unused"), top_k=1
    )
    (best,) = ranker.run(query=QUERY, documents=documents)["documents"]
    assert best.content == DOCUMENTS[BEST]


def test_text_embeddings_inference_by_hand(url):
    body = {"query": QUERY, "texts": DOCUMENTS, "raw_scores": False, "return_text": True}
    answer = requests.post(f"{url}/rerank", json=body, timeout=10).json()
    assert (answer[0]["index"], answer[0]["text"]) == (BEST, DOCUMENTS[BEST])


def test_vllm_score_by_hand(url):
    body = {"model": "any", "queries": QUERY, "documents": DOCUMENTS}
    data = requests.post(f"{url}/v1/score", json=body, timeout=10).json()["data"]
    assert max(data, key=lambda one: one["score"])["index"] == BEST
