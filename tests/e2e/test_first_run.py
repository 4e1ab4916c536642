"""What a newcomer does: `up` with no settings but ports, on the real embedded model."""

from __future__ import annotations

import json

import pytest
import requests

from tests.e2e.stack import stack
from tests.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

CALLS = {
    "Chinese on English": (
        "如何重置我的密码?",
        "To reset your password, open the settings page and choose a new one.",
        [
            "The museum is closed on Mondays and on public holidays.",
            "Boil the pasta for nine minutes and drain it well.",
            "The ferry to the island leaves every morning at nine.",
        ],
    ),
    "Arabic on French": (
        "ما هي أعراض الإنفلونزا؟",  # codespell:ignore
        "La grippe se manifeste par de la fièvre, des courbatures et une grande fatigue.",
        [
            "Le train pour Lyon part toutes les heures de la gare principale.",
            "La recette demande trois œufs, du beurre et un peu de sel.",
            "Le musée présente des peintures du dix-neuvième siècle.",
        ],
    ),
    "Japanese on Vietnamese": (
        "コーヒーの入れ方を教えてください",
        "Để pha cà phê, hãy xay hạt, đun nước nóng rồi rót từ từ lên bột cà phê.",
        [
            "Chuyến tàu đến Đà Nẵng khởi hành lúc tám giờ sáng.",
            "Thư viện thành phố mở cửa từ thứ hai đến thứ sáu.",
            "Anh ấy mua một chiếc xe đạp mới để đi làm.",
        ],
    ),
    "Spanish on Portuguese": (
        "¿Cómo se planta un árbol?",
        "Para plantar uma árvore, cave um buraco largo, coloque a muda e regue bem.",
        [
            "O banco fecha às quinze horas e não abre aos sábados.",
            "A receita leva farinha, ovos e chocolate em pó.",
            "O novo telefone tem uma bateria que dura dois dias.",
        ],
    ),
    "Swahili on English": (
        "Ni nini husababisha malaria?",
        "Malaria is caused by parasites that are spread by the bites of infected mosquitoes.",
        [
            "The stock market rose by two percent on Tuesday.",
            "She painted the kitchen in a light shade of blue.",
            "The train to the coast was delayed by heavy snow.",
        ],
    ),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with stack(tmp_path_factory.mktemp("up"), engine="embedded") as started:
        started.start("up", "up")
        started.wait_ready(limit_s=120)
        yield started


@pytest.mark.parametrize("pair", CALLS)
def test_the_right_document_is_first_across_languages(running, pair):
    query, right, others = CALLS[pair]
    documents = [*others[:2], right, *others[2:]]

    results = running.rerank(query=query, documents=documents).json()["results"]

    assert results[0]["index"] == 2, results
    assert results[0]["relevance_score"] > 2 * results[1]["relevance_score"], results


def test_everything_says_that_this_is_the_embedded_model(running):
    model = requests.get(f"{running.url}/v1/models", timeout=5).json()["data"][0]
    page = requests.get(f"{running.watchdog_url}/", timeout=5).text

    # `up` says it when it sees that the gateway is ready, and it need not be the first to see
    until("up tells its notice", lambda: "note    " in running.log("up"))
    for text in (model["notice"], running.log("up"), running.cli("status").stdout, page):
        assert "multilingual-e5-small" in text
        assert "vllm" in text


def test_the_commands_tell_the_same(running):
    status = json.loads(running.cli("status", "--json").stdout)
    table = running.cli("rerank", "how do I reset my password", "a ferry", "reset your password")

    assert status["state"] == "healthy"
    assert status["replicas"][0]["engine"] == "embedded"
    assert running.cli("doctor").returncode in (0, 1, 2)
    assert running.cli("incidents").stdout.strip() == "no incidents"
    assert table.returncode == 0
    assert table.stdout.index("reset your password") < table.stdout.index("a ferry")
