from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tutumstream.gateway.platform import Change, IPlatform
from tutumstream.testing import ScriptedPlatform

STACK = {"uuid": "5a", "resource_uri": "/api/v1/stack/5a/", "name": "shop"}
REGION = {"name": "here", "resource_uri": "/api/v1/region/demo/here/"}
CHANGE = Change(type="stack", action="update", state="Running", resource_uri="/api/v1/stack/5a/")


class TestScriptedPlatform(SynchronousTestCase):
    def test_it_is_a_platform(self) -> None:
        self.assertTrue(verifyObject(IPlatform, ScriptedPlatform()))

    def test_it_shows_what_it_was_given_until_that_is_removed(self) -> None:
        platform = ScriptedPlatform()
        platform.put("stack", STACK)
        platform.put("region", REGION)
        self.assertEqual((platform.list("stack"), platform.get("stack", "5a")), ([STACK], STACK))
        self.assertEqual(platform.get("region", "demo/here"), REGION)
        platform.remove("stack", "5a")
        self.assertEqual((platform.list("stack"), platform.get("stack", "5a")), ([], None))

    def test_it_tells_who_listens_and_nobody_else(self) -> None:
        platform = ScriptedPlatform()
        heard: list[Change] = []
        leave = platform.subscribe(heard.append)
        platform.emit(CHANGE)
        leave()
        leave()
        platform.emit(CHANGE)
        self.assertEqual(heard, [CHANGE])

    def test_it_is_synced_when_the_test_says_so(self) -> None:
        starting: Deferred[None] = Deferred()
        platform = ScriptedPlatform(starting)
        started = platform.start()
        self.assertEqual((platform.running, platform.synced), (True, False))
        starting.callback(None)
        self.successResultOf(started)
        self.assertTrue(platform.synced)
        self.successResultOf(platform.stop())
        self.assertFalse(platform.running)
