import pytest

from tutumstream.gateway.dialect import TUTUM, Dialect, Wanted, segments, wanted
from tutumstream.gateway.listing import NAMED

CLOUD = Dialect(cloud=True)
TEAM = Dialect(cloud=True, namespace="team")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/events", Wanted(TUTUM, "events")),
        ("//v1//container/5a//logs/", Wanted(TUTUM, "container", "5a", "logs")),
        ("/api/v1/stack/", Wanted(TUTUM, "stack")),
        ("/api/v1/stack/5a/redeploy/", Wanted(TUTUM, "stack", "5a", "redeploy")),
        ("/api/v1/region/demo/here/", Wanted(TUTUM, "region", "demo/here")),
        ("/api/audit/v1/events", Wanted(CLOUD, "events")),
        ("/api/audit/v1/team/events/", Wanted(TEAM, "events")),
        ("/api/app/v1/service/5a/logs", Wanted(CLOUD, "service", "5a", "logs")),
        ("/api/app/v1/team/service/5a/", Wanted(TEAM, "service", "5a")),
        ("/api/infra/v1/node/", Wanted(CLOUD, "node")),
        ("/api/infra/v1/nodecluster/5a/", Wanted(CLOUD, "nodecluster", "5a")),
        ("/api/audit/v1/action/5a/", Wanted(CLOUD, "action", "5a")),
        ("/api/infra/v1/service/", None),
        ("/api/app/v1/../service/", None),
        ("/api/v1/", None),
        ("/v1", None),
        ("/api/app/v1/", None),
        ("/api/else/v1/service/", None),
        ("/", None),
        ("/stack/5a", None),
    ],
)
def test_paths_of_both_forms_are_understood(path: str, expected: Wanted | None) -> None:
    assert wanted([one.decode() for one in segments(path.encode())], NAMED) == expected


def test_uris_go_out_in_the_clients_form_and_come_back_the_same() -> None:
    for dialect, uri in (
        (TUTUM, "/api/v1/service/5a/"),
        (CLOUD, "/api/app/v1/service/5a/"),
        (TEAM, "/api/app/v1/team/service/5a/"),
    ):
        assert dialect.uri("/api/v1/service/5a/") == uri
        assert wanted([one.decode() for one in segments(uri.encode())], NAMED) == Wanted(dialect, "service", "5a")
    assert TEAM.uri("/api/v1/action/5a/") == "/api/audit/v1/action/5a/"
    assert CLOUD.uri("/api/v1/region/demo/here/") == "/api/infra/v1/region/demo/here/"


def test_whole_objects_are_translated_but_for_what_containers_say_themselves() -> None:
    shown = {
        "resource_uri": "/api/v1/service/5a/",
        "containers": ["/api/v1/container/1/"],
        "linked": [{"to_service": "/api/v1/service/6/"}],
        "labels": {"x": "/api/v1/service/5a/"},
        "run_command": "/api/v1/service/5a/",
        "name": "/api/v1 of mine",
        "cpu": 1,
    }
    translated = CLOUD.resource(shown)
    assert translated["resource_uri"] == "/api/app/v1/service/5a/"
    assert translated["containers"] == ["/api/app/v1/container/1/"]
    assert translated["linked"] == [{"to_service": "/api/app/v1/service/6/"}]
    assert (translated["labels"], translated["run_command"]) == (shown["labels"], shown["run_command"])
    assert (translated["name"], translated["cpu"]) == (shown["name"], 1)
    assert TUTUM.resource(shown) is shown
