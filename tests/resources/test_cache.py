from twisted.trial.unittest import SynchronousTestCase

from tutumstream.resources.cache import Cache, Entry


class CacheTests(SynchronousTestCase):
    def test_a_value_is_there_until_its_time_is_over(self) -> None:
        cache: Cache[str] = Cache(2)
        cache.put("a", "A", until=5.0)
        self.assertEqual(cache.get("a", 4.9), Entry("A", 5.0))
        self.assertIsNone(cache.get("a", 5.0))

    def test_that_there_is_nothing_can_be_remembered_too(self) -> None:
        cache: Cache[str | None] = Cache(2)
        cache.put("a", None, until=5.0)
        self.assertEqual(cache.get("a", 0.0), Entry(None, 5.0))
        self.assertIsNone(cache.get("b", 0.0))

    def test_beyond_its_size_the_oldest_goes(self) -> None:
        cache: Cache[int] = Cache(2)
        for number, key in enumerate("abab"):
            cache.put(key, number, until=9.0)
        cache.put("c", 4, until=9.0)
        self.assertEqual(len(cache), 2)
        self.assertIsNone(cache.get("a", 0.0))
        self.assertEqual(cache.get("b", 0.0), Entry(3, 9.0))

    def test_a_value_can_be_forgotten(self) -> None:
        cache: Cache[str] = Cache(2)
        cache.put("a", "A", until=5.0)
        cache.remove("a")
        cache.remove("never there")
        self.assertIsNone(cache.get("a", 0.0))
