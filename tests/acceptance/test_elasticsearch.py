"""The tutorial's own words: "post the information to Elasticsearch for later analysis". To a strict one."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen

import pytest

from tests.acceptance.running_destinations import RunningDestinations
from tests.acceptance.service import RunningService, Serve, until
from tests.running_tutum import RunningTutum

pytestmark = pytest.mark.acceptance

CORPUS: Final = Path(__file__).parent.parent / "corpus" / "tutum"
KEY: Final = "ApiKey aWQ6c2VjcmV0a2V5"
BULK: Final = "/_bulk"
PRIVATE: Final = {"container_envvars", "calculated_envvars", "link_variables"}


class RunningElasticsearch(RunningDestinations):
    """The strict Elasticsearch as a process of its own."""

    command = ("tests.elasticsearch_server", "--authorization", KEY)

    def variables(self, index: str = "tutum-events") -> dict[str, str]:
        """Those that store everything here."""
        return {
            "ELASTICSEARCH_URL": self.origin,
            "ELASTICSEARCH_API_KEY": "id:secretkey",
            "ELASTICSEARCH_INDEX": index,
            "SLACK_URL": "",
            "PAGERDUTY_KEY": "",
            "WEBHOOK_URL": "",
            "WEBHOOK_SECRET": "",
        }

    def hits(self) -> list[dict[str, Any]]:
        """All documents, with index and id."""
        request = Request(f"{self.origin}/*/_search?size=10000", headers={"Authorization": KEY})
        with urlopen(request, timeout=10) as answer:
            return list(json.load(answer)["hits"]["hits"])

    def wait_for_documents(self, count: int) -> list[dict[str, Any]]:
        """The documents, as soon as there are that many."""
        until(lambda: len(self.hits()) >= count, f"{count} documents", 30)
        return [one["_source"] for one in self.hits()]


@pytest.fixture
def store() -> Iterator[RunningElasticsearch]:
    with RunningElasticsearch() as running:
        yield running


def story(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CORPUS / f"events/{name}.jsonl").read_text().splitlines()]


def send(tutum: RunningTutum, events: list[dict[str, Any]]) -> None:
    for event in events:
        tutum.send(json.dumps(event))


def begun(serve: Serve, environment: dict[str, str]) -> RunningService:
    service = serve(**environment)
    service.wait_until_connected()
    return service


def test_every_event_of_a_story_becomes_a_document_with_its_resource(
    serve: Serve, tutum: RunningTutum, store: RunningElasticsearch
) -> None:
    events = story("stack_redeploy")
    service = begun(serve, store.variables("tutum-events-%Y.%m.%d"))
    send(tutum, events)
    documents = store.wait_for_documents(1 + len(events))
    assert [one["action"] for one in documents if one["type"] == "stream"] == ["open"]
    # Several are under way at once: they come in any order.
    assert_stored(store, events)
    for document in documents:
        assert document["@timestamp"] == document["received_at"]
        assert sorted(document.get("parent", {}).values()) == sorted(document["parents"])
    found = [document for document in documents if "resource" in document]
    assert {one["type"] for one in found} >= {"stack", "service", "container"}
    for document in found:
        assert document["resource"]["resource_uri"] == document["resource_uri"]
        assert document.get("name") == document["resource"].get("name")
        assert document["resource"].keys() & PRIVATE == set()
    for hit in store.hits():
        assert hit["_id"] == hit["_source"]["id"]
        assert hit["_index"] == f"tutum-events-{hit['_source']['@timestamp'][:10].replace('-', '.')}"
    assert [one["problems"] for one in store.requests() if one["problems"]] == []
    assert store.requests("/_")[0]["path"] == "/_index_template/tutumstream-tutum-events"
    assert service.terminate() == 0
    assert service.told(level="warn") + service.told(level="error") == []
    assert "destinations: elasticsearch, and this log" in service.told()
    assert not any("secretkey" in line for line in [*service.lines, *service.errors])


def test_trouble_loses_no_document_and_makes_none_twice(
    serve: Serve, tutum: RunningTutum, store: RunningElasticsearch
) -> None:
    store.script(
        BULK,
        {"status": 503},
        # It stores them, and nobody hears of it.
        {"cut": "before"},
        {"status": 429, "headers": {"Retry-After": "1"}},
        {"status": 413},
        {"status": 200, "body": "<html>a proxy's own page</html>"},
    )
    events = story("node_failure")
    service = begun(serve, store.variables())
    send(tutum, events)
    store.wait_for_documents(1 + len(events))
    assert service.terminate() == 0
    assert_stored(store, events)
    assert service.errors == []


def test_a_killed_service_stores_what_it_had_written_down_when_it_is_back(
    serve: Serve, tutum: RunningTutum, store: RunningElasticsearch
) -> None:
    # Stored, and nobody hears of it; then nothing, until the end.
    store.script(BULK, {"cut": "before"}, {"hang": "before", "times": -1})
    events = story("node_failure")
    assert events[-1]["type"] == "stack", "the log tells of it"
    service = begun(serve, store.variables())
    send(tutum, events)
    service.wait_for_line(f"stack:{events[-1]['action']}:{events[-1]['state']}")
    service.kill()
    store.forget()
    service.start()
    service.wait_until_connected()
    # Both times, the opening of the stream is an event too.
    store.wait_for_documents(2 + len(events))
    assert service.terminate() == 0
    assert_stored(store, events)


def assert_stored(store: RunningElasticsearch, events: list[dict[str, Any]]) -> None:
    """Each of them, and each once."""
    documents = [one["_source"] for one in store.hits() if one["_source"]["type"] != "stream"]
    keys = sorted(events[0])

    def shown(one: dict[str, Any]) -> str:
        return json.dumps([one[key] for key in keys])

    assert sorted(map(shown, documents)) == sorted(map(shown, events))
