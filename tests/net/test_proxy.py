from twisted.trial.unittest import SynchronousTestCase

from tutumstream.errors import SettingsError
from tutumstream.net.proxy import Proxies, Proxy

WEB = Proxy("web.example", 3128)


class ProxiesTests(SynchronousTestCase):
    def test_without_variables_every_way_is_direct(self) -> None:
        for url in ("http://a.example", "https://a.example", "ws://a.example", "wss://a.example"):
            self.assertIsNone(Proxies({}).for_url(url))

    def test_each_scheme_has_its_variable_and_websockets_follow_http(self) -> None:
        proxies = Proxies({"HTTPS_PROXY": "http://secure.example:1", "HTTP_PROXY": "http://plain.example:2"})
        for url, host in (
            ("https://a.example/", "secure.example"),
            ("wss://a.example/", "secure.example"),
            ("http://a.example/", "plain.example"),
            ("ws://a.example/", "plain.example"),
        ):
            found = proxies.for_url(url)
            self.assertEqual(found and found.host, host)
        self.assertIsNone(proxies.for_url("ftp://a.example"))

    def test_only_one_variable_proxies_only_its_schemes(self) -> None:
        proxies = Proxies({"HTTPS_PROXY": "http://web.example:3128"})
        self.assertEqual(proxies.for_url("wss://a.example/"), WEB)
        self.assertIsNone(proxies.for_url("ws://a.example/"))

    def test_lower_case_wins_and_an_empty_one_turns_the_other_off(self) -> None:
        both = {"HTTPS_PROXY": "http://other.example:1", "https_proxy": "http://web.example:3128"}
        self.assertEqual(Proxies(both).for_url("https://a.example"), WEB)
        self.assertIsNone(Proxies({**both, "https_proxy": ""}).for_url("https://a.example"))

    def test_scheme_and_port_may_be_left_out(self) -> None:
        for value in ("web.example", "web.example:3128", "http://web.example", "http://web.example:3128/"):
            self.assertEqual(Proxies({"HTTPS_PROXY": value}).for_url("https://a.example"), WEB)

    def test_user_and_password_become_the_header_and_are_never_shown(self) -> None:
        proxy = Proxies({"HTTPS_PROXY": "http://me:p%40ss@web.example:3128"}).for_url("https://a.example")
        assert proxy is not None
        self.assertEqual(proxy.authorization, "Basic bWU6cEBzcw==")
        self.assertEqual(repr(proxy), "Proxy(host='web.example', port=3128)")

    def test_no_proxy_names_hosts_and_domains(self) -> None:
        proxies = Proxies(
            {"HTTPS_PROXY": "web.example", "NO_PROXY": "a.example, .corp.example,127.0.0.1,b.example:8443"}
        )
        for url in (
            "https://a.example/x",
            "wss://a.example:8443",
            "https://deep.corp.example",
            "https://user:password@a.example/",
            "https://127.0.0.1:1/",
            "https://b.example:8443",
        ):
            self.assertIsNone(proxies.for_url(url), url)
        for url in ("https://ba.example", "https://b.example", "https://example"):
            self.assertEqual(proxies.for_url(url), WEB, url)

    def test_no_proxy_names_addresses_and_networks_of_both_kinds(self) -> None:
        proxies = Proxies(
            {"HTTPS_PROXY": "web.example", "NO_PROXY": "10.0.0.0/8,192.0.2.1:8443 ::1,[2001:db8::2]:81,fd00::/8"}
        )
        for url in (
            "https://10.1.2.3/x",
            "wss://192.0.2.1:8443",
            "wss://[::1]:8443",
            "https://[0:0::1]",
            "https://[2001:db8::2]:81",
            "https://[fd00::2]",
        ):
            self.assertIsNone(proxies.for_url(url), url)
        for url in (
            "https://11.1.2.3",
            "https://192.0.2.1",
            "https://[::2]",
            "https://[2001:db8::2]:82",
            "https://[fe00::2]",
            "https://10.example",
        ):
            self.assertEqual(proxies.for_url(url), WEB, url)

    def test_no_proxy_is_read_as_curl_and_docker_read_it(self) -> None:
        for exception, url in (
            ("*.corp.example", "https://a.corp.example"),
            ("Corp.Example.", "https://corp.example"),
            ("corp.example", "https://a.corp.example."),
            ("corp.example:443", "https://corp.example"),
            ("corp.example:80", "ws://corp.example"),
            ("a.example b.example", "https://b.example"),
            ("a.example, *", "https://b.example"),
        ):
            environment = {"HTTPS_PROXY": "web.example", "HTTP_PROXY": "web.example", "NO_PROXY": exception}
            self.assertIsNone(Proxies(environment).for_url(url), exception)
        for exception in (".", "*.", ":443", "/8", "10.0.0.0/33", "[", "b.example:x", "b.example:²"):
            environment = {"HTTPS_PROXY": "web.example", "NO_PROXY": exception}
            self.assertEqual(Proxies(environment).for_url("https://b.example"), WEB, exception)

    def test_no_proxy_takes_the_end_of_an_address_for_no_name(self) -> None:
        for exception in (".1", "0.0.1", "*.1"):
            environment = {"HTTPS_PROXY": "web.example", "NO_PROXY": exception}
            self.assertEqual(Proxies(environment).for_url("https://10.0.0.1"), WEB, exception)

    def test_no_proxy_star_turns_all_off(self) -> None:
        self.assertIsNone(Proxies({"HTTPS_PROXY": "web.example", "no_proxy": "*"}).for_url("https://a.example"))

    def test_every_mistake_is_told_and_no_password(self) -> None:
        problem = self.assertRaises(
            SettingsError,
            Proxies,
            {"HTTPS_PROXY": "socks5://me:hidden@web.example", "HTTP_PROXY": "http://me:hidden@web.example:port"},
        )
        self.assertEqual([one.split(":")[0] for one in problem.mistakes], ["HTTPS_PROXY", "HTTP_PROXY"])
        self.assertIn("only http://", problem.mistakes[0])
        self.assertNotIn("hidden", str(problem))
        impossible = self.assertRaises(SettingsError, Proxies, {"HTTP_PROXY": "http://two..dots:80"})
        self.assertIn("no valid host", str(impossible))
        self.assertIn("names no host", str(self.assertRaises(SettingsError, Proxies, {"HTTP_PROXY": "http://:80"})))
