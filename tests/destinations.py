"""Slack, PagerDuty and a webhook's receiver, as strict as their documentation, for unit tests and for whole processes.

    python -m tests.destinations --port 0 [--webhook-secret SECRET]

prints the port it listens on (127.0.0.1), then serves:

    POST /services/…                              Slack's incoming webhooks
    POST /generic/2010-04-15/create_event.json    PagerDuty Events API v1
    POST /v2/enqueue                              PagerDuty Events API v2
    POST /webhook…                                Standard Webhooks
    POST   /_control/answers                      {"path": "/services/a", "answers": [{"status": 429, "times": 2}, …]}
    GET    /_control/requests[?path=PREFIX]       what came, in order, as a JSON list
    DELETE /_control/requests                     forget requests and answers

A scripted answer is used up by requests to exactly its path; without one, the destination answers for itself. Fields of
an answer: `status` (0: the destination's own), `headers`, `body`, `delay` (seconds), `times` (-1: for ever), `hang` and
`cut` ("before" any answer or "during" its body).
"""

import argparse
import base64
import hashlib
import hmac
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

Moment = Literal["", "before", "during"]


class Scripted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One answer; the module's text says what its fields do."""

    status: int = 0
    headers: dict[str, str] = {}
    body: str = ""
    delay: float = 0.0
    times: int = 1
    hang: Moment = ""
    cut: Moment = ""


_OWN = Scripted()


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `/_control/answers` takes."""

    path: str
    answers: list[Scripted]


class Received(msgspec.Struct, frozen=True):
    """One request.

    Attributes:
        body: the JSON value; text where it is no JSON.
        at: seconds since 1970.
        status: what it was answered with; 0 where nothing was.
        problems: how it breaks the destination's contract, whatever it was answered.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    at: float
    status: int
    problems: list[str]


class Checked(msgspec.Struct, frozen=True):
    """What a destination makes of a request by itself."""

    status: int
    body: bytes
    problems: list[str]


Check = Callable[[Mapping[str, str], bytes], Checked]


class Destinations:
    """All of them, with scripts and memory.

    Args:
        clock: for delays.
        now: seconds since 1970, for the webhook's tolerance of five minutes.
        webhook_secret: "" takes unsigned webhooks.
    """

    def __init__(self, clock: IReactorTime, now: Callable[[], float], webhook_secret: str = "") -> None:
        self.requests: list[Received] = []
        self.now = now
        self.clock = clock
        self._scripts: dict[str, list[Scripted]] = {}
        self._checks: tuple[tuple[str, Check], ...] = (
            ("/services/", slack),
            ("/generic/2010-04-15/create_event.json", pagerduty_v1),
            ("/v2/enqueue", pagerduty_v2),
            ("/webhook", lambda headers, body: webhook(headers, body, webhook_secret, now())),
        )

    def site(self) -> Site:
        """To be served; `Site` keeps its own timeouts on the clock given here."""
        return Site(_Everything(self), reactor=self.clock)

    def script(self, path: str, *answers: Scripted) -> None:
        """Answer the next requests to this path like that."""
        self._scripts.setdefault(path, []).extend(answers)

    def forget(self) -> None:
        """Start anew."""
        self.requests.clear()
        self._scripts.clear()

    def bodies(self, prefix: str = "/") -> list[Any]:
        """The bodies that came to paths with this prefix."""
        return [one.body for one in self.requests if one.path.startswith(prefix)]

    def check(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Checked:
        """The destination's own judgement; `target` is the path with its query."""
        if method != "POST":
            return Checked(405, b"", ["not a POST"])
        path = target.partition("?")[0]
        for prefix, check in self._checks:
            if path.startswith(prefix):
                return check(headers, body)
        return Checked(404, b"no_service", ["no such path"])

    def next_answer(self, path: str) -> Scripted:
        """The scripted answer that is due, one with status 0 where there is none."""
        first = self.due(path)
        if first is not _OWN:
            queue = self._scripts[path]
            if first.times == 1:
                queue.pop(0)
            elif first.times > 1:
                queue[0] = msgspec.structs.replace(first, times=first.times - 1)
        return first

    def due(self, path: str) -> Scripted:
        """The same, not used up."""
        queue = self._scripts.get(path, [])
        return queue[0] if queue else _OWN


def slack(headers: Mapping[str, str], body: bytes) -> Checked:
    """Incoming webhooks: `ok` as text, or an error's name as text."""
    message = _object(headers, body)
    if message is None:
        return Checked(400, b"invalid_payload", ["no JSON object with its content type"])
    text = message.get("text")
    if not isinstance(text, str) or not text:
        return Checked(400, b"no_text", ["no text"])
    problems = [f"unknown key {name}" for name in message if name != "text"]
    if len(text) > 40_000:
        problems.append("text longer than 40,000 characters")
    return Checked(400, b"invalid_payload", problems) if problems else Checked(200, b"ok", [])


_V1_KEYS = {"service_key", "event_type", "incident_key", "description", "details", "client", "client_url", "contexts"}
_V2_KEYS = {"routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links", "images"}
_V2_PAYLOAD = {"summary", "source", "severity", "timestamp", "component", "group", "class", "custom_details"}
_ACTIONS = ("trigger", "acknowledge", "resolve")


def pagerduty_v1(headers: Mapping[str, str], body: bytes) -> Checked:
    """`create_event.json`, by reference/events-v1/openapiv3.json."""
    event = _object(headers, body)
    if event is None:
        return _invalid(["no JSON object with its content type"])
    problems = [f"unknown key {name}" for name in event.keys() - _V1_KEYS]
    problems += _texts(event, ("service_key",), 1, 255)
    if event.get("event_type") not in _ACTIONS:
        problems.append("event_type is none of trigger, acknowledge, resolve")
    if event.get("event_type") == "trigger":
        problems += _texts(event, ("description",), 1, 1024)
    else:
        problems += _texts(event, ("incident_key",), 1, 255)
        problems += [f"{name} with a trigger only" for name in ("client", "client_url", "contexts") if name in event]
    optional = [name for name in ("incident_key", "client", "client_url") if name in event]
    problems += _texts(event, tuple(optional), 1, 255)
    if not isinstance(event.get("details", {}), dict):
        problems.append("details is no object")
    return _invalid(problems) if problems else _processed(200, "incident_key", event.get("incident_key", "made-up"))


def pagerduty_v2(headers: Mapping[str, str], body: bytes) -> Checked:
    """`/v2/enqueue`, by reference/events-v2/openapiv3.json."""
    event = _object(headers, body)
    if event is None:
        return _invalid(["no JSON object with its content type"])
    problems = [f"unknown key {name}" for name in event.keys() - _V2_KEYS]
    problems += _texts(event, ("routing_key",), 32, 32)
    if event.get("event_action") not in _ACTIONS:
        problems.append("event_action is none of trigger, acknowledge, resolve")
    if event.get("event_action") != "trigger" or "dedup_key" in event:
        problems += _texts(event, ("dedup_key",), 1, 255)
    if len(body) > 512 * 1024:
        problems.append("longer than 512 KB")
    payload = event.get("payload")
    problems += _payload(payload) if isinstance(payload, dict) else ["payload is no object"]
    return _invalid(problems) if problems else _processed(202, "dedup_key", event.get("dedup_key", "made-up"))


def webhook(headers: Mapping[str, str], body: bytes, secret: str, now: float) -> Checked:
    """A receiver by the specification of Standard Webhooks, tolerance five minutes."""
    message = _object(headers, body)
    problems = [] if message is not None else ["no JSON object with its content type"]
    for name, kind in (("type", str), ("timestamp", str), ("data", dict)):
        if message is not None and not isinstance(message.get(name), kind):
            problems.append(f"{name} is missing or of the wrong type")
    identity, sent = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not identity or "." in identity:
        problems.append("webhook-id is missing or holds a dot")
    if not sent.isdigit() or abs(int(sent) - now) > 300:
        problems.append("webhook-timestamp is missing or too far off")
    if secret:
        key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
        mac = hmac.new(key, f"{identity}.{sent}.".encode() + body, hashlib.sha256)
        wanted = b"v1," + base64.b64encode(mac.digest())
        given = headers.get("webhook-signature", "").split()
        if not any(hmac.compare_digest(wanted, one.encode()) for one in given):
            return Checked(401, b'{"error":"signature"}', [*problems, "the signature does not match"])
    return Checked(400, b'{"error":"invalid"}', problems) if problems else Checked(204, b"", [])


def _payload(payload: Mapping[str, Any]) -> list[str]:
    problems = [f"unknown key payload.{name}" for name in payload.keys() - _V2_PAYLOAD]
    problems += _texts(payload, ("summary",), 1, 1024)
    problems += _texts(payload, ("source",), 1, 255)
    if payload.get("severity") not in ("critical", "warning", "error", "info"):
        problems.append("severity is none of critical, warning, error, info")
    if not isinstance(payload.get("custom_details", {}), dict):
        problems.append("custom_details is no object")
    return problems


def _texts(found: Mapping[str, Any], names: tuple[str, ...], shortest: int, longest: int) -> list[str]:
    return [
        f"{name} is no text of {shortest} to {longest} characters"
        for name in names
        if not isinstance(found.get(name), str) or not shortest <= len(found[name]) <= longest
    ]


def _object(headers: Mapping[str, str], body: bytes) -> dict[str, Any] | None:
    if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return None
    try:
        found = msgspec.json.decode(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _invalid(problems: list[str]) -> Checked:
    said = {"status": "invalid event", "message": "Event object is invalid", "errors": problems}
    return Checked(400, msgspec.json.encode(said), problems)


def _processed(status: int, name: str, key: object) -> Checked:
    return Checked(status, msgspec.json.encode({"status": "success", "message": "Event processed", name: key}), [])


class _Everything(Resource):
    """Every path."""

    isLeaf = True

    def __init__(self, destinations: Destinations) -> None:
        super().__init__()
        self._all = destinations

    def render(self, request: Any) -> Any:
        path = request.path.decode("ascii", "replace")
        if path.startswith("/_control/"):
            return self._control(request, path)
        raw = request.content.read()
        headers = {
            name.decode().lower(): values[0].decode("utf-8", "replace")
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        checked = self._all.check(request.method.decode(), request.uri.decode("ascii", "replace"), headers, raw)
        answer = self._all.next_answer(path)
        status = answer.status or checked.status
        quiet = answer.hang == "before" or answer.cut == "before"
        self._all.requests.append(
            Received(
                request.method.decode(),
                path,
                headers,
                _readable(raw),
                self._all.now(),
                0 if quiet else status,
                checked.problems,
            )
        )
        body = answer.body.encode() if answer.status else checked.body
        if answer.delay:
            self._all.clock.callLater(answer.delay, _answer, request, answer, status, body)
        else:
            _answer(request, answer, status, body)
        return NOT_DONE_YET

    def _control(self, request: Any, path: str) -> bytes:
        request.setHeader("Content-Type", "application/json")
        if path == "/_control/answers" and request.method == b"POST":
            try:
                script = msgspec.json.decode(request.content.read(), type=Script)
            except ValueError as problem:
                request.setResponseCode(400)
                return msgspec.json.encode({"error": str(problem)})
            self._all.script(script.path, *script.answers)
        elif path == "/_control/requests" and request.method == b"DELETE":
            self._all.forget()
        elif path == "/_control/requests" and request.method == b"GET":
            prefix = request.args.get(b"path", [b"/"])[0].decode()
            return msgspec.json.encode([one for one in self._all.requests if one.path.startswith(prefix)])
        else:
            request.setResponseCode(404)
        return b"{}"


def _answer(request: Any, answer: Scripted, status: int, body: bytes) -> None:
    if request.channel is None:
        return
    if answer.cut == "before":
        request.channel.transport.abortConnection()
        return
    if answer.hang == "before":
        return
    request.setResponseCode(status)
    for name, value in answer.headers.items():
        request.setHeader(name, value)
    if not (answer.cut or answer.hang):
        request.write(body)
        request.finish()
        return
    request.setHeader("Content-Length", str(len(body) + 100))
    request.write(body or b"half an answer")
    if answer.cut:
        # What was written goes out first; then the connection ends before its promise is kept.
        request.channel.loseConnection()


def _readable(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except ValueError:
        return raw.decode("utf-8", "replace")


def main(arguments: list[str]) -> None:
    """Serve until the process is ended."""
    from twisted.internet import reactor

    options = argparse.ArgumentParser(prog="python -m tests.destinations")
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--webhook-secret", default="")
    chosen = options.parse_args(arguments)
    running: Any = reactor
    served = Destinations(running, time.time, chosen.webhook_secret)
    port = running.listenTCP(chosen.port, served.site(), interface="127.0.0.1")
    sys.stdout.write(f"{port.getHost().port}\n")
    sys.stdout.flush()
    running.run()


if __name__ == "__main__":
    main(sys.argv[1:])
