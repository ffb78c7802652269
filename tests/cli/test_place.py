from twisted.trial.unittest import SynchronousTestCase

from tutumstream.cli.place import Place, parse


class APlace(SynchronousTestCase):
    def test_is_where_the_endpoint_of_the_service_can_be_reached(self) -> None:
        for text, url in (
            ("tcp:8788:interface=127.0.0.1", "http://127.0.0.1:8788"),
            ("tcp:8788", "http://127.0.0.1:8788"),
            ("tcp:port=8788:interface=0.0.0.0", "http://127.0.0.1:8788"),
            ("tcp:8788:interface=10.0.0.5", "http://10.0.0.5:8788"),
            ("tcp6:8788", "http://[::1]:8788"),
            (r"tcp6:8788:interface=\:\:1", "http://[::1]:8788"),
            ("unix:/run/t.sock:mode=600", "unix:/run/t.sock"),
            (r"unix:address=/run/a\:b", "unix:/run/a:b"),
        ):
            place = parse(text)
            assert place is not None
            self.assertEqual((str(place), place.here), (url, True), text)

    def test_is_what_a_url_says(self) -> None:
        self.assertEqual(parse("http://127.0.0.1:8788/"), Place("http", "127.0.0.1", 8788, here=True))
        self.assertEqual(parse("http://localhost"), Place("http", "localhost", 80, here=True))
        self.assertEqual(parse("https://[fd00::5]"), Place("https", "fd00::5", 443, here=False))
        self.assertEqual(parse("http://ops.example:81"), Place("http", "ops.example", 81, here=False))

    def test_can_be_none(self) -> None:
        self.assertIsNone(parse("none"))

    def test_that_cannot_be_told_is_refused_with_examples(self) -> None:
        for text in (
            "",
            "8788",
            "tcp:",
            "tcp:0",
            "tcp:65536",
            "tcp:http",
            "unix:",
            "systemd:domain=INET:index=0",
            "ssl:8788:privateKey=key.pem",
            "ftp://127.0.0.1",
            "http://",
            "http://127.0.0.1:port",
            "http://127.0.0.1/api",
            "http://user@127.0.0.1",
            "http://127.0.0.1?a=b",
            "http://[::1",
        ):
            with self.assertRaises(ValueError) as caught:
                parse(text)
            self.assertIn("http://127.0.0.1:8788", str(caught.exception), text)
