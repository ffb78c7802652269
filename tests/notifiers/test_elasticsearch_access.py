from twisted.trial.unittest import SynchronousTestCase

from tutumstream.notifiers.elasticsearch_access import authorization, server


class AServer(SynchronousTestCase):
    def test_is_a_url_with_or_without_a_path(self) -> None:
        self.assertEqual(server("https://es.example:9200").origin, "https://es.example:9200")
        self.assertEqual(server("http://u:p@es.example/search/").url, "http://es.example/search/")

    def test_is_nothing_more(self) -> None:
        for url in ("http://x/?pipeline=secret", "http://x/#secret", "ftp://secret", "http://"):
            problem = self.assertRaises(ValueError, server, url)
            self.assertNotIn("secret", str(problem))


class AKey(SynchronousTestCase):
    def test_is_sent_as_what_it_is(self) -> None:
        for key, header in (
            ("S0VZ==", "ApiKey S0VZ=="),
            ("ApiKey S0VZ", "ApiKey S0VZ"),
            ("Bearer AAEA.x:y", "Bearer AAEA.x:y"),
            ("id:key", "ApiKey aWQ6a2V5"),
        ):
            self.assertEqual(authorization(key), header)

    def test_that_no_header_can_hold_is_refused_without_showing_it(self) -> None:
        for key in ("", "Bearer ", "two secrets", "secret\r\nX: y", "Bearer sécret", "Basic c2VjcmV0"):
            problem = self.assertRaises(ValueError, authorization, key)
            self.assertNotIn("ecret", str(problem))
