import pytest

from tutumstream.gateway.exposure import Exposure, exposure


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("tcp:8780:interface=127.0.0.1", Exposure.LOCAL),
        ("tcp:8780:127.0.0.53", Exposure.LOCAL),
        (r"tcp6:8780:interface=\:\:1", Exposure.LOCAL),
        (r"tcp:port=8780:interface=\:\:1", Exposure.LOCAL),
        ("TCP:8780:interface=localhost", Exposure.LOCAL),
        ("unix:/run/tutumgateway/socket", Exposure.LOCAL),
        ("haproxy:tcp:8780:interface=127.0.0.1", Exposure.LOCAL),
        ("ssl:8780:privateKey=k.pem", Exposure.ENCRYPTED),
        ("tcp:8780", Exposure.READABLE),
        ("tcp:8780:interface=", Exposure.READABLE),
        ("tcp:8780:interface=0.0.0.0", Exposure.READABLE),
        (r"tcp6:8780:interface=\:\:", Exposure.READABLE),
        ("tcp:8780:interface=127.0.0.1.example", Exposure.READABLE),
        ("haproxy:tcp:8780", Exposure.READABLE),
        ("systemd:domain=INET:index=0", Exposure.READABLE),
        ("", Exposure.READABLE),
    ],
)
def test_only_what_is_known_to_be_safe_counts_as_safe(endpoint: str, expected: Exposure) -> None:
    assert exposure(endpoint) is expected
