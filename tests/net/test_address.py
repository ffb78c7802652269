from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.net.address import Address, basic, masked


class AddressTests(SynchronousTestCase):
    def test_the_origin_is_all_that_may_be_shown(self) -> None:
        for url, origin in (
            ("https://hooks.example/services/T1/B2/c3?x=1#frag", "https://hooks.example"),
            ("https://hooks.example:443/", "https://hooks.example"),
            ("http://hooks.example:80", "http://hooks.example"),
            ("http://hooks.example:443", "http://hooks.example:443"),
            ("http://user:password@[::1]:8080/a", "http://[::1]:8080"),
            ("HTTPS://Hooks.Example/", "https://hooks.example"),
        ):
            address = Address.parse(url)
            self.assertEqual(address.origin, origin)
            self.assertEqual(repr(address), f"Address(origin={origin!r})")

    def test_what_is_asked_for_is_the_url_without_user_and_fragment(self) -> None:
        self.assertEqual(Address.parse("https://u:p@h.example/a/b?c=d#e").url, "https://h.example/a/b?c=d")
        self.assertEqual(Address.parse("https://h.example").url, "https://h.example/")
        self.assertEqual(Address.parse("https://h.example:8443?q").url, "https://h.example:8443/?q")

    def test_without_a_certificate_a_host_may_be_called_what_the_resolver_knows(self) -> None:
        for host in ("an_underscore", "my--es", "es-", "web.1-"):
            self.assertEqual(Address.parse(f"http://{host}:81/x").origin, f"http://{host}:81")

    def test_addresses_need_no_name(self) -> None:
        for host in ("10.0.0.5", "[::1]"):
            self.assertEqual(Address.parse(f"https://{host}:81/x").origin, f"https://{host}:81")

    def test_user_and_password_make_a_header(self) -> None:
        self.assertEqual(Address.parse("https://u:p%40@h.example/").authorization, basic("u", "p@"))
        self.assertEqual(Address.parse("https://u@h.example/").authorization, basic("u", ""))
        self.assertIsNone(Address.parse("https://h.example/a@b").authorization)
        self.assertEqual(basic("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")

    def test_what_is_no_http_url_is_refused_without_showing_it(self) -> None:
        for url, why in (
            ("wss://h.example/hidden", "must begin with"),
            ("h.example/hidden", "must begin with"),
            ("https:///hidden", "names no host"),
            ("https://h.example:99999/hidden", "no valid host and port"),
            ("https://h.example:0/hidden", "no valid host and port"),
            ("https://[::1/hidden", "no valid host and port"),
            ("https://h.example/hid den", "blanks"),
            (f"https://{'ü' * 80}.example/hidden", "no valid host"),
            (f"https://{'x' * 64}.example/hidden", "no valid host"),
            (f"https://{'long.' * 51}example/hidden", "no valid host"),
            ("https://two..dots/hidden", "no valid host"),
            ("https://.example/hidden", "no valid host"),
            ("https://an_underscore/hidden", "this host: Codepoint U+005F at position 3 of 'an_underscore'"),
            ("https://-h.example/hidden", "must not start or end with a hyphen"),
            ("https://ab--cd.example.com/hidden", "no certificate can be for this host: Label has disallowed hyphens"),
            ("https://[v1.a:b]/hidden", "no certificate can be for this host"),
            ("https://h.example/hidden\n", "blanks"),
            ("", "must begin with"),
        ):
            problem = self.assertRaises(ValueError, Address.parse, url)
            self.assertIn(why, str(problem))
            self.assertNotIn("hid", str(problem))
            self.assertIsNone(problem.__cause__)

    def test_every_part_that_can_be_misused_is_a_secret(self) -> None:
        url = "https://me:pass%40word@h.example/services/T00000000/longtokenlongtoken?sig=signature1&v=2"
        secrets = Address.parse(url).secrets
        for part in ("longtokenlongtoken", "signature1", "pass%40word", "pass@word", "T00000000", url):
            self.assertIn(part, secrets)
        self.assertIn(basic("me", "pass@word").removeprefix("Basic "), secrets)
        for harmless in ("v2", "2", "h.example", ""):
            self.assertNotIn(harmless, secrets)

    def test_masking_leaves_nothing_of_a_secret(self) -> None:
        address = Address.parse("https://h.example/services/T00000000/longtokenlongtoken")
        said = f"POST {address.url}: longtokenlongtoken is unknown, /services/T00000000/longtokenlongtoken"
        self.assertEqual(masked(said, address.secrets), "POST ***: *** is unknown, /***")

    @given(st.text())
    def test_any_text_is_taken_or_refused_as_a_value(self, text: str) -> None:
        try:
            address = Address.parse(text)
        except ValueError:
            return
        self.assertTrue(address.origin.startswith(("http://", "https://")))
