from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.gateway.access import Access, Credentials
from tutumstream.gateway.failures import FAILURES, GUESSES, WINDOW
from tutumstream.gateway.gate import GUESSED_AT_ONCE, Asked, Gate, Granted, Refused, host_of
from tutumstream.gateway.users import HashedKey, hash_key

BOB = hash_key("bob", b"b0b", b"s" * 16, cost=(16, 8, 1))
"""Its scrypt is run once for all tests; what it costs is of no interest here."""


class Scrypt:
    """Stands in for the thread that hashes: counts, and answers when it is told to, or at once."""

    def __init__(self) -> None:
        self.guesses: list[bytes] = []
        self.waiting: list[Deferred[Any]] | None = None

    def __call__(self, work: Any, key: bytes) -> Deferred[Any]:
        self.guesses.append(key)
        if self.waiting is None:
            return maybeDeferred(lambda: key == b"b0b" and work.__self__.user == "bob")
        waiting: Deferred[Any] = Deferred()
        self.waiting.append(waiting)
        return waiting


class GateCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.scrypt = Clock(), Scrypt()
        self.access = Access([Credentials("alice", "k3y")], [BOB], self.scrypt)
        self.gate = Gate(self.access, self.clock)

    def judge(self, pair: str | None = "alice:k3y", **asked: Any) -> Granted | Refused:
        return self.successResultOf(self.begin(pair, **asked))

    def begin(self, pair: str | None, gate: Gate | None = None, **asked: Any) -> Deferred[Granted | Refused]:
        header = None if pair is None else f"ApiKey {pair}".encode()
        wanted = {"query": {}, "address": "192.0.2.1", "host": "gateway:8780", "origin": None, **asked}
        return (gate or self.gate).judge(Asked(authorization=header, **wanted))


class TestHashedKeys(GateCase):
    def test_a_right_key_is_hashed_once_and_known_from_then_on(self) -> None:
        self.assertEqual([self.judge("bob:b0b") for _ in range(3)], [Granted("bob")] * 3)
        self.assertEqual(self.scrypt.guesses, [b"b0b"])

    def test_a_wrong_key_that_comes_again_is_hashed_once(self) -> None:
        self.assertEqual([self.judge("bob:old") for _ in range(3)], [Refused()] * 3)
        self.assertEqual(self.scrypt.guesses, [b"old"])

    def test_a_guess_at_an_unknown_user_costs_as_much(self) -> None:
        self.assertEqual(self.judge("mallory:x"), Refused())
        self.assertEqual(self.scrypt.guesses, [b"x"])

    def test_a_plain_account_is_never_hashed_and_a_huge_key_neither(self) -> None:
        self.assertEqual(self.judge("alice:k3y"), Granted("alice"))
        self.assertEqual(self.judge("bob:" + "x" * 5000), Refused())
        self.assertEqual(self.scrypt.guesses, [])

    def test_after_the_file_was_read_anew_old_keys_are_refused_and_new_ones_taken(self) -> None:
        self.judge("bob:b0b")
        self.access.replace([HashedKey("carol", BOB.cost, BOB.salt, BOB.digest)])
        self.assertEqual(self.judge("bob:b0b"), Refused())
        self.assertEqual(self.judge("alice:k3y"), Granted("alice"))

    def test_a_check_that_the_new_file_overtook_grants_nothing(self) -> None:
        self.scrypt.waiting = []
        judged = self.begin("bob:b0b")
        self.access.replace([])
        self.scrypt.waiting[0].callback(True)
        self.assertEqual(self.successResultOf(judged), Refused())


class TestLimits(GateCase):
    def test_guesses_count_before_they_are_checked_and_right_ones_are_taken_back(self) -> None:
        self.scrypt.waiting = []
        judged = [self.begin(f"bob:{number}") for number in range(FAILURES + 5)]
        self.assertEqual(len(self.scrypt.waiting), FAILURES)
        self.assertEqual([self.successResultOf(one) for one in judged[FAILURES:]], [Refused(WINDOW)] * 5)
        for waiting in self.scrypt.waiting:
            waiting.callback(True)
        self.scrypt.waiting = None
        self.assertEqual(self.judge("bob:b0b"), Granted("bob"))

    def test_changing_the_name_does_not_buy_an_address_more_hashing(self) -> None:
        for number in range(GUESSES + 10):
            self.judge(f"user{number}:x")
        self.assertEqual(len(self.scrypt.guesses), GUESSES)
        self.assertEqual(self.judge("alice:k3y"), Granted("alice"))
        self.assertEqual(self.judge("bob:b0b"), Refused(WINDOW))
        self.assertEqual(self.judge("bob:b0b", address="192.0.2.2"), Granted("bob"))

    def test_many_addresses_do_not_make_a_long_queue(self) -> None:
        self.scrypt.waiting = []
        for number in range(GUESSED_AT_ONCE):
            self.assertNoResult(self.begin("bob:x", address=str(number)))
        self.assertEqual(self.judge("bob:x", address="another"), Refused(1.0))
        self.scrypt.waiting[0].callback(False)
        self.assertNoResult(self.begin("bob:y", address="another"))


class TestOrigins(GateCase):
    def test_the_sdks_own_origin_is_ours(self) -> None:
        for origin in ("http://gateway:8780", "HTTP://Gateway:8780", "https://gateway:8780"):
            self.assertEqual(self.judge(origin=origin), Granted("alice"), origin)
        self.assertEqual(self.judge(origin="http://gateway:443", host="gateway"), Granted("alice"))

    def test_another_sites_is_not(self) -> None:
        for origin in ("http://gateway", "http://gateway:81", "null", "", "http://x.gateway:8780", "http://[::1"):
            self.assertEqual(self.judge(origin=origin), Refused(foreign=True), origin)
        self.assertEqual(self.judge(origin="null", host=""), Refused(foreign=True))

    def test_credentials_in_the_query_come_from_anywhere(self) -> None:
        query = {b"user": [b"alice"], b"token": [b"k3y"]}
        self.assertEqual(self.judge(None, query=query, origin="https://evil.example"), Granted("alice"))

    def test_hosts_can_be_named_or_all_be_let_in(self) -> None:
        named = Gate(self.access, self.clock, origins=["Dash.example"])
        self.assertEqual(
            self.successResultOf(self.begin("alice:k3y", named, origin="https://dash.example")), Granted("alice")
        )
        any_one = Gate(self.access, self.clock, origins=["*"])
        self.assertEqual(self.successResultOf(self.begin("alice:k3y", any_one, origin="null")), Granted("alice"))

    def test_an_ipv6_host_keeps_its_brackets(self) -> None:
        self.assertEqual(host_of("http://[::1]:8780"), "[::1]:8780")


class TestQuery(GateCase):
    def test_credentials_in_urls_can_be_turned_off(self) -> None:
        gate = Gate(self.access, self.clock, query_auth=False)
        query = {b"user": [b"alice"], b"token": [b"k3y"]}
        self.assertEqual(self.successResultOf(self.begin(None, gate, query=query)), Refused())
        self.assertEqual(self.successResultOf(self.begin("alice:k3y", gate, query=query)), Granted("alice"))
