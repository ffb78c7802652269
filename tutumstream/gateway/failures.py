"""How often an address may fail to log in. Pure: the time is an argument."""

from collections import OrderedDict

FAILURES = 20
WINDOW = 60.0
PEERS = 4096


class FailureLimit:
    """Counts refused credentials by peer, in windows of fixed length.

    A peer is an address together with the user name that it tried: behind one address of a container network live
    many clients, and one with an old key must not lock the others out.

    Args:
        failures: allowed in one window.
        window: seconds.
        peers: remembered at most; the oldest is forgotten first, so that nobody can fill the memory.
    """

    def __init__(self, failures: int = FAILURES, window: float = WINDOW, peers: int = PEERS) -> None:
        self._failures = failures
        self._window = window
        self._limit = peers
        self._peers: OrderedDict[tuple[str, bytes], tuple[float, int]] = OrderedDict()

    def failed(self, address: str, user: bytes, now: float) -> None:
        """Note one refusal."""
        began, count = self._current(address, user, now)
        self._peers[address, user] = (began, count + 1)
        while len(self._peers) > self._limit:
            self._peers.popitem(last=False)

    def wait(self, address: str, user: bytes, now: float) -> float:
        """Seconds that this peer has to wait before it is heard again; 0 where it need not."""
        began, count = self._current(address, user, now)
        return began + self._window - now if count >= self._failures else 0.0

    def _current(self, address: str, user: bytes, now: float) -> tuple[float, int]:
        began, count = self._peers.get((address, user), (now, 0))
        return (began, count) if now < began + self._window else (now, 0)
