import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.docker.model import CORPUS, container_id
from tutumstream.gateway.docker.facts import Binding, Membership, Port
from tutumstream.gateway.docker.reading import (
    ITEMS_LIMIT,
    TEXT_LIMIT,
    integer,
    nanoseconds,
    read_container,
    read_engine,
    read_ids,
    read_labels,
    signal_number,
)


def inspected(**changes: Any) -> bytes:
    """The captured answer, with whole sections changed."""
    found = json.loads((CORPUS / "30-api-container-inspect.json").read_text())
    for name, value in changes.items():
        found[name] = {**found[name], **value} if isinstance(value, dict) else value
    return json.dumps(found).encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)

FIELDS = [
    *("Status", "ExitCode", "StartedAt", "Labels", "Cmd", "Env", "Image", "StopTimeout", "StopSignal", "Ports"),
    *("ExposedPorts", "Networks", "RestartPolicy", "Devices", "Dns", "Memory", "CapAdd", "NetworkMode"),
]


class ReadContainerTests(SynchronousTestCase):
    def test_a_real_answer_is_read(self) -> None:
        one = read_container(inspected())
        self.assertEqual((one.name, one.image, one.status, one.exit_code), ("fix", "busybox", "running", None))
        self.assertEqual(one.labels["com.docker.compose.project"], "shop")
        self.assertEqual(one.created, 1795447693874298236)
        self.assertEqual(one.started, 1795447693995426684)
        self.assertEqual(one.finished, 0)
        self.assertEqual(one.ports, (Port(inner_port=80, outer_port=None, protocol="tcp"),))
        options = one.options
        self.assertEqual((options.autorestart, options.run_command, options.memory), ("ON_FAILURE", "sleep 100", 64))
        self.assertEqual(options.bindings, (Binding(host_path=None, container_path="/data", rewritable=True),))

    def test_environment_variables_are_not_even_read(self) -> None:
        one = read_container(inspected(Config={"Env": ["SECRET=s3cret"]}))
        self.assertNotIn("s3cret", repr(one))

    def test_exit_codes(self) -> None:
        ended = {"Running": False, "FinishedAt": "2026-11-23T15:30:00Z"}
        # It ended so fast that Docker noted the end before the start.
        early = {"Running": False, "FinishedAt": "2026-11-23T15:28:13.9Z"}
        refused = {"Running": False, "StartedAt": "0001-01-01T00:00:00Z", "ExitCode": 127}
        for state, code in (
            ({**ended, "ExitCode": 3}, 3),
            ({**ended, "ExitCode": 0}, 0),
            ({**early, "ExitCode": 5}, 5),
            (refused, 127),
            ({"Running": True, "ExitCode": 0}, None),
            ({"Running": True, "Restarting": True, "ExitCode": 7, "FinishedAt": "2026-11-23T15:30:00Z"}, 7),
            ({"Running": False, "ExitCode": 0}, None),
            ({**ended, "ExitCode": "many"}, None),
        ):
            self.assertEqual(read_container(inspected(State=state)).exit_code, code, state)

    def test_restarts_memory_and_health(self) -> None:
        for word, health in (("healthy", "healthy"), ("starting", "starting"), ("none", ""), ("<b>", ""), (7, "")):
            one = read_container(inspected(RestartCount=4, State={"OOMKilled": True, "Health": {"Status": word}}))
            self.assertEqual((one.restart_count, one.oom_killed, one.health), (4, True, health))
        self.assertEqual(read_container(inspected()).retries, 3)
        for strange in (-1, "x", None, [], 10**30):
            policy = {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": strange}}
            self.assertLessEqual(read_container(inspected(HostConfig=policy)).retries, 1_000_000)
            self.assertLessEqual(read_container(inspected(RestartCount=strange)).restart_count, 1_000_000)
        podman = read_container(inspected(State={"Healthcheck": {"Status": "unhealthy"}, "OOMKilled": "yes"}))
        self.assertEqual((podman.health, podman.oom_killed, podman.restart_count), ("unhealthy", False, 0))

    def test_podman_does_not_tell_who_stopped_something(self) -> None:
        self.assertTrue(read_engine(b'{"ServerVersion": "29.0"}').tells_stops)
        self.assertFalse(read_engine(b'{"ServerVersion": "4.3.1", "BuildahVersion": "1.28.2"}').tells_stops)

    def test_what_has_ended_is_neither_well_nor_ill(self) -> None:
        """Docker calls it unhealthy then, whatever it was."""
        for status, health in (("running", "unhealthy"), ("paused", "unhealthy"), ("exited", ""), ("restarting", "")):
            one = read_container(inspected(State={"Status": status, "Health": {"Status": "unhealthy"}}))
            self.assertEqual(one.health, health)

    def test_a_health_check_is_one_unless_it_is_turned_off(self) -> None:
        for test, probed in ((["CMD", "true"], True), (["NONE"], False), ([], False), ("true", False), (None, False)):
            self.assertEqual(read_container(inspected(Config={"Healthcheck": {"Test": test}})).probed, probed, test)
        self.assertFalse(read_container(inspected()).probed)

    def test_ports_on_both_families_count_once(self) -> None:
        rows = [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}]
        published = {"80/tcp": rows, "53/udp": None, "x/tcp": rows, "81": [{"HostPort": ""}]}
        one = read_container(inspected(NetworkSettings={"Ports": published}))
        self.assertEqual(
            one.ports,
            (
                Port(inner_port=53, outer_port=None, protocol="udp"),
                Port(inner_port=80, outer_port=8080, protocol="tcp"),
                Port(inner_port=81, outer_port=None, protocol="tcp"),
            ),
        )

    def test_a_stop_grace_is_kept_within_reason(self) -> None:
        for given_grace, kept in ((None, 10), (30, 30), (-1, 0), (10**9, 3600), ("x", 10)):
            self.assertEqual(read_container(inspected(Config={"StopTimeout": given_grace})).stop_timeout, kept)

    def test_networks_give_the_addresses(self) -> None:
        networks = {"none": {"IPAddress": ""}, "net": {"IPAddress": "172.18.0.2", "MacAddress": "02:42"}, "odd": None}
        one = read_container(inspected(NetworkSettings={"Networks": networks}))
        self.assertEqual((one.private_ip, one.options.mac_address), ("172.18.0.2", "02:42"))

    def test_commands_read_as_one_types_them(self) -> None:
        one = read_container(inspected(Config={"Cmd": ["sh", "-c", "echo a b"], "Entrypoint": "/run.sh"}))
        self.assertEqual((one.options.run_command, one.options.entrypoint), ("sh -c 'echo a b'", "/run.sh"))

    def test_bind_mounts_show_their_path(self) -> None:
        mounts = [{"Type": "bind", "Source": "/srv", "Destination": "/data", "RW": False}, 7]
        one = read_container(inspected(Mounts=mounts))
        self.assertEqual(one.options.bindings[0], Binding(host_path="/srv", container_path="/data", rewritable=False))

    def test_what_is_no_container_is_refused(self) -> None:
        for raw in (b"[]", b"{}", b'{"Id": "../secrets"}', b"not json", b"\xff", b"[" * 100_000):
            self.assertRaises(ValueError, read_container, raw)

    def test_everything_is_cut(self) -> None:
        huge = "x" * 1_000_000
        labels = {"huge": huge, **{f"{n}": "x" for n in range(ITEMS_LIMIT + 5)}}
        one = read_container(inspected(Name="/" + huge, Config={"Labels": labels, "Cmd": [huge], "Image": huge}))
        self.assertEqual(len(one.labels["huge"]), TEXT_LIMIT)
        self.assertEqual(len(one.labels), ITEMS_LIMIT)
        self.assertLessEqual(max(len(one.name), len(one.image), len(one.options.run_command)), TEXT_LIMIT)

    @given(st.dictionaries(st.sampled_from(["State", "Config", "HostConfig", "NetworkSettings", "Mounts"]), JSON))
    def test_no_shape_of_a_section_hides_a_container(self, sections: dict[str, Any]) -> None:
        raw = json.dumps({"Id": container_id(1), "Name": "/web", **sections}).encode()
        self.assertEqual(read_container(raw).name, "web")

    @given(
        st.sampled_from(["State", "Config", "HostConfig", "NetworkSettings"]),
        st.dictionaries(st.sampled_from(FIELDS), JSON),
    )
    def test_no_shape_of_a_field_hides_a_container(self, section: str, fields: dict[str, Any]) -> None:
        raw = json.dumps({"Id": container_id(1), "Name": "/web", section: fields}).encode()
        self.assertEqual(read_container(raw).name, "web")


class ReadOthersTests(SynchronousTestCase):
    def test_the_engine_is_read(self) -> None:
        engine = read_engine((CORPUS / "30-api-info.json").read_bytes())
        self.assertEqual((engine.hostname, engine.version, engine.graphdriver), ("vm", "20.10.24+dfsg1", "overlay2"))
        self.assertEqual((engine.execdriver, engine.cpus, engine.memory), ("runc", 2, 24105))
        self.assertEqual(
            engine.swarm,
            Membership(
                state="active",
                node="kdfle5rzs70sgzid28bk4cbv0",
                manager=True,
                cluster="eskksbbi9h525rt9gbg1at75u",
                cluster_name="default",
            ),
        )

    def test_an_engine_that_says_nothing_is_an_engine(self) -> None:
        self.assertEqual(read_engine(b"{}").cpus, 0)

    def test_a_list_gives_ids_and_only_ids(self) -> None:
        ids = read_ids((CORPUS / "30-api-containers.json").read_bytes())
        self.assertEqual([len(one) for one in ids], [64, 64])
        self.assertEqual(read_ids(b'[{"Id": "../../secrets"}]'), [])
        self.assertRaises(ValueError, read_ids, b'{"message": "no"}')

    def test_labels_that_are_none_are_left_out(self) -> None:
        self.assertEqual(read_labels({"a": "b", "c": 1, "d": None}), {"a": "b"})
        self.assertEqual(read_labels(["a"]), {})
        self.assertEqual(read_labels(None), {})

    def test_times(self) -> None:
        self.assertEqual(nanoseconds("1970-01-01T00:00:01Z"), 1_000_000_000)
        self.assertEqual(nanoseconds("2026-11-23T15:28:13.5+01:00"), nanoseconds("2026-11-23T14:28:13.5Z"))
        for nothing in ("0001-01-01T00:00:00Z", "", None, 7, "yesterday", "2026-13-01T00:00:00Z"):
            self.assertEqual(nanoseconds(nothing), 0)

    def test_numbers(self) -> None:
        for value, number in ((7, 7), ("7", 7), ("-1", -1), (True, None), ("9" * 99, None), ("7x", None), ("٣", None)):
            self.assertEqual(integer(value), number, value)

    def test_signals(self) -> None:
        for value, number in (("SIGTERM", 15), ("quit", 3), ("15", 15), ("SIGRTMIN+3", 37), ("RTMIN", 34), ("?", None)):
            self.assertEqual(signal_number(value), number, value)
