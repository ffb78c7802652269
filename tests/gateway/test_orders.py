import pytest

from tutumstream.gateway.orders import check, order
from tutumstream.gateway.platform import Order, OrderError


def made(method: str, kind: str, rest: str = "", body: bytes = b"") -> Order:
    return order(method, kind, "5a", rest, body)


@pytest.mark.parametrize(
    ("method", "kind", "rest", "body", "verb", "target"),
    [
        ("POST", "container", "start", b"", "start", None),
        ("POST", "stack", "stop", b"{}", "stop", None),
        ("POST", "service", "redeploy", b"{}", "redeploy", None),
        ("POST", "service", "scale", b"", "scale", None),
        ("POST", "service", "scale", b'{"target_num_containers": 3}', "scale", 3),
        ("PATCH", "service", "", b'{"target_num_containers": 0}', "scale", 0),
        ("DELETE", "stack", "", b"{}", "terminate", None),
    ],
)
def test_requests_become_orders(method: str, kind: str, rest: str, body: bytes, verb: str, target: int | None) -> None:
    found = made(method, kind, rest, body)
    assert (found.verb, found.target, found.kind, found.uuid) == (verb, target, kind, "5a")


@pytest.mark.parametrize(
    ("method", "kind", "rest", "body", "status"),
    [
        ("POST", "container", "exec", b"", 405),
        ("POST", "container", "terminate", b"", 405),
        ("POST", "container", "scale", b"", 405),
        ("POST", "container", "start/../../x", b"", 405),
        ("PUT", "service", "", b"", 405),
        ("POST", "service", "", b"{}", 405),
        ("DELETE", "node", "", b"", 405),
        ("DELETE", "service", "start", b"", 405),
        ("PATCH", "stack", "", b'{"target_num_containers": 1}', 405),
        ("PATCH", "service", "", b"{}", 400),
        ("PATCH", "service", "", b'{"image": "x"}', 400),
        ("PATCH", "service", "", b'{"target_num_containers": -1}', 400),
        ("PATCH", "service", "", b'{"target_num_containers": 100000}', 400),
        ("PATCH", "service", "", b'{"target_num_containers": "3"}', 400),
        ("PATCH", "service", "", b"\xff", 400),
    ],
)
def test_everything_else_is_refused(method: str, kind: str, rest: str, body: bytes, status: int) -> None:
    with pytest.raises(OrderError) as refused:
        made(method, kind, rest, body)
    assert refused.value.status == status


def test_the_state_decides_what_may_be_asked() -> None:
    check(made("POST", "container", "start"), {"state": "Stopped"})
    for state in ("Running", "Terminated", "Terminating", "Unheard of"):
        with pytest.raises(OrderError) as refused:
            check(made("POST", "container", "start"), {"state": state})
        assert refused.value.status == 409
        assert state in str(refused.value)
    with pytest.raises(OrderError) as missing:
        check(made("POST", "container", "start"), None)
    assert missing.value.status == 404


def test_what_docker_waits_to_start_again_can_be_stopped() -> None:
    for kind in ("container", "service"):
        check(made("POST", kind, "stop"), {"state": "Stopped", "docker": {"restarting": True}})
        for docker in ({"restarting": False}, {}, None):
            with pytest.raises(OrderError):
                check(made("POST", kind, "stop"), {"state": "Stopped", "docker": docker})
        with pytest.raises(OrderError):
            check(made("POST", kind, "stop"), {"state": "Stopping", "docker": {"restarting": True}})


def test_what_takes_long_can_be_ended() -> None:
    for kind in ("service", "stack"):
        for state in ("Starting", "Redeploying"):
            check(made("POST", kind, "stop"), {"state": state})
            check(made("DELETE", kind), {"state": state})
