from __future__ import annotations

from deploy.fleet.cost import Shape, gateway_scrape, main, watchdog_scrape
from monitor.gpu import Field

SMALL, LARGE = Shape(1, cards=1, replicas=1), Shape(1, cards=2, replicas=1)


def test_every_reading_of_a_card_is_counted():
    more = watchdog_scrape(LARGE).series - watchdog_scrape(SMALL).series

    assert more > len(Field) - 5  # some readings are one number in two metrics, few in none


def test_each_replica_adds_the_same():
    counts = [gateway_scrape(replicas).series for replicas in (1, 2, 3)]

    assert counts[2] - counts[1] == counts[1] - counts[0] > 0


def test_the_table_grows_with_the_hosts_and_not_with_anything_else(capsys):
    main(["--hosts", "10", "--cards", "1", "--replicas", "1"])
    ten = capsys.readouterr().out
    main(["--hosts", "20", "--cards", "1", "--replicas", "1"])
    twenty = capsys.readouterr().out

    def series(text):
        line = next(line for line in text.splitlines() if "series of all hosts" in line)
        return int(line.split("|")[2].replace(",", ""))

    assert series(twenty) == 2 * series(ten) > 0
    assert "| messages between watchdogs | none |" in ten
