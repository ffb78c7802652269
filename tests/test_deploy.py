"""What `deploy/` promises: files that parse, name only variables that exist, and agree with the settings."""

import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

from tutumstream.gateway.settings import read as read_gateway
from tutumstream.settings import Variables
from tutumstream.variables import SECRETS

CHECKOUT: Final = Path(__file__).parents[1]
DEPLOY: Final = CHECKOUT / "deploy"
UNIT: Final = (DEPLOY / "tutumstream.service").read_text()
KNOWN: Final = {*SECRETS, *Variables.model_fields, *(f"{name}_FILE" for name in SECRETS), "TUTUM_USERNAME"}


@cache
def load(name: str) -> Any:
    return YAML(typ="safe", pure=True).load(DEPLOY / name)


@pytest.fixture
def services() -> dict[str, Any]:
    """Those of the compose file, anchors resolved."""
    found: dict[str, Any] = load("compose.yaml")["services"]
    return found


def test_compose_has_a_profile_for_each_source(services: dict[str, Any]) -> None:
    assert {name: service["profiles"] for name, service in services.items()} == {
        "stream": ["stream"],
        "docker": ["docker"],
    }
    assert services["docker"]["command"] == ["--docker"]


def test_compose_gives_away_nothing_that_is_not_needed(services: dict[str, Any]) -> None:
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service
        assert "cap_add" not in service
        assert "ports" not in service


def test_compose_keeps_the_state_in_a_volume_of_its_own(services: dict[str, Any]) -> None:
    volumes = load("compose.yaml")["volumes"]
    kept = {name: service["volumes"][0].split(":") for name, service in services.items()}
    assert {name: place for name, (_, place) in kept.items()} == dict.fromkeys(services, "/var/lib/tutumstream")
    assert {volume for volume, _ in kept.values()} == set(volumes)


def test_compose_gives_the_socket_only_to_the_service_that_reads_it(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if "docker.sock" in str(service["volumes"])] == ["docker"]
    assert services["docker"]["group_add"]


def test_compose_takes_every_secret_from_a_file(services: dict[str, Any]) -> None:
    defined = load("compose.yaml")["secrets"]
    for service in services.values():
        files = {name: value for name, value in service["environment"].items() if name.endswith("_FILE")}
        assert set(files.values()) == {f"/run/secrets/{name}" for name in service["secrets"]}
        assert set(service["secrets"]) <= set(defined)
        assert not set(service["environment"]) & set(SECRETS)


def test_no_file_names_a_variable_that_the_service_does_not_read(services: dict[str, Any]) -> None:
    named = {name for service in services.values() for name in service["environment"]}
    named |= set(load("tutum.yml")["tutumstream"]["environment"])
    named |= set(re.findall(r"^Environment=(\w+)=", UNIT, re.MULTILINE))
    assert named - KNOWN == set()


def test_the_stack_file_sets_the_four_variables_of_the_tutorial() -> None:
    service = load("tutum.yml")["tutumstream"]
    assert set(service["environment"]) == {"TUTUM_USERNAME", "TUTUM_TOKEN", "SLACK_URL", "PAGERDUTY_KEY"}
    assert service["image"]
    assert service["volumes"] == ["/var/lib/tutumstream"]


def test_the_unit_loads_each_secret_that_it_names() -> None:
    loaded = set(re.findall(r"^LoadCredential=(\w+):/etc/tutumstream/\1$", UNIT, re.MULTILINE))
    named = dict(re.findall(r"^Environment=(\w+)_FILE=%d/(\w+)$", UNIT, re.MULTILINE))
    assert named == {name.upper(): name for name in loaded}
    assert loaded == {"tutum_token", "slack_url", "pagerduty_key"}


def test_the_image_keeps_its_state_and_its_probes_where_the_settings_say() -> None:
    dockerfile = (CHECKOUT / "Dockerfile").read_text()
    assert f"TUTUMSTREAM_LISTEN={Variables().TUTUMSTREAM_LISTEN}" in dockerfile
    assert dockerfile.count("/var/lib/tutumstream") == 4
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", dockerfile, re.MULTILINE)


def gateway(name: str) -> Any:
    return load(f"gateway/{name}")


@pytest.mark.parametrize("name", ["compose.yaml", "stack.yaml"])
def test_only_the_proxy_sees_dockers_own_socket(name: str) -> None:
    services = gateway(name)["services"]
    assert [one for one, service in services.items() if "/var/run/docker.sock" in str(service["volumes"])] == [
        "docker-proxy"
    ]
    assert services["gateway"]["environment"]["DOCKER_HOST"] == "unix:///run/docker-proxy/docker.sock"
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("name", ["compose.yaml", "stack.yaml"])
def test_the_gateway_and_tutumstream_share_one_key_from_a_file(name: str) -> None:
    services = gateway(name)["services"]
    for service in (services["gateway"], services["tutumstream"]):
        assert service["environment"]["TUTUM_TOKEN_FILE"] == "/run/secrets/tutum_token"
        assert set(service["environment"]) - KNOWN - {"DOCKER_HOST"} == set()
        assert set(service["secrets"]) <= set(gateway(name)["secrets"])
    assert services["tutumstream"]["environment"]["TUTUM_STREAM_HOST"] == "ws://gateway:8780"


@pytest.mark.parametrize("name", ["compose.yaml", "stack.yaml"])
def test_the_gateways_options_are_taken_and_reach_no_other_machine(name: str) -> None:
    service = gateway(name)["services"]["gateway"]
    environment = {**service["environment"], "TUTUM_TOKEN": "k3y"}
    del environment["TUTUM_TOKEN_FILE"]
    listen = service["command"][service["command"].index("--listen") + 1]
    found = read_gateway({"listen": listen, "without-tls": "--without-tls" in service["command"]}, environment, str)
    assert found.listen == "tcp:8780"
    assert found.allow == frozenset()
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_the_gateways_unit_takes_its_users_as_a_credential() -> None:
    unit = (DEPLOY / "tutumgateway.service").read_text()
    assert "LoadCredential=users:/etc/tutumgateway/users\nEnvironment=TUTUMGATEWAY_USERS=%d/users\n" in unit
    assert "twistd -n --pidfile= tutumgateway\n" in unit
    assert "StateDirectory=tutumgateway\n" in unit


def test_the_proxys_rules_are_those_of_the_clients() -> None:
    rules = re.findall(r"^    acl \w+ path_reg (\S+)$", (DEPLOY / "gateway" / "haproxy.cfg").read_text(), re.MULTILINE)
    container, service = "0a" * 32, "1b" * 12 + "c"
    asked = ["/_ping"] + [
        f"/v1.41/{path}"
        for path in (
            *("info", "events", "nodes", "tasks", "services", "containers/json"),
            *(f"containers/{container}{rest}" for rest in ("/json", "/logs", "/start", "/stop", "/restart", "")),
            *(f"services/{service}{rest}" for rest in ("", "/update", "/logs")),
            f"tasks/{service}/logs",
        )
    ]
    assert [path for path in asked if not any(re.search(rule, path) for rule in rules)] == []
    for path in ("secrets", "swarm", f"containers/{container}/exec", f"containers/{container}/attach/ws", "info/../x"):
        assert not any(re.search(rule, f"/v1.41/{path}") for rule in rules), path
