"""How often an address may fail to log in. Pure: the time is an argument."""

from collections import OrderedDict

FAILURES = 20
WINDOW = 60.0
GUESSES = 200
PEERS = 4096


class FailureLimit:
    """Counts refused credentials by peer, in windows of fixed length.

    A peer is an address together with the user name that it tried: behind one address of a container network live
    many clients, and one with an old key must not lock the others out.

    Args:
        failures: allowed in one window.
        window: seconds.
        guesses: what an address may fail under all names together before it has to wait where a guess costs us much.
        peers: remembered at most; the oldest is forgotten first, so that nobody can fill the memory.
    """

    def __init__(
        self, failures: int = FAILURES, window: float = WINDOW, peers: int = PEERS, guesses: int = GUESSES
    ) -> None:
        self._failures = failures
        self._guesses = guesses
        self._window = window
        self._limit = peers
        self._peers: OrderedDict[tuple[str, bytes | None], tuple[float, int]] = OrderedDict()

    def failed(self, address: str, user: bytes, now: float) -> None:
        """Note one refusal."""
        for who in (user, None):
            began, count = self._current(address, who, now)
            self._peers[address, who] = (began, count + 1)
            self._peers.move_to_end((address, who))
        while len(self._peers) > 2 * self._limit:
            self._peers.popitem(last=False)

    def forgiven(self, address: str, user: bytes, now: float) -> None:
        """Take one refusal back: a guess is noted before it is checked, and this one was right."""
        for who in (user, None):
            began, count = self._current(address, who, now)
            if count:
                self._peers[address, who] = (began, count - 1)

    def wait(self, address: str, user: bytes, now: float) -> float:
        """Seconds that this peer has to wait before it is heard again; 0 where it need not."""
        return self._wait(address, user, now, self._failures)

    def wait_to_guess(self, address: str, now: float) -> float:
        """The same for an address as a whole, where credentials are not known yet and checking them takes long."""
        return self._wait(address, None, now, self._guesses)

    def _wait(self, address: str, user: bytes | None, now: float, most: int) -> float:
        began, count = self._current(address, user, now)
        return began + self._window - now if count >= most else 0.0

    def _current(self, address: str, user: bytes | None, now: float) -> tuple[float, int]:
        began, count = self._peers.get((address, user), (now, 0))
        return (began, count) if now < began + self._window else (now, 0)
