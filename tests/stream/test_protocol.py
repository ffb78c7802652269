"""The short way for whole text frames takes what Autobahn would take, and leaves it everything else."""

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tutumstream.stream.protocol import whole_text


def frame(payload: bytes, first: int = 0x81) -> bytes:
    """One frame, unmasked, of less than 64 KiB."""
    size = len(payload)
    length = bytes([size]) if size < 126 else bytes([126]) + size.to_bytes(2, "big")
    return bytes([first]) + length + payload


class WholeTexts(SynchronousTestCase):
    @given(st.lists(st.sampled_from([0, 1, 125, 126, 127, 300, 65535]), max_size=4))
    @example([126, 125])
    def test_are_found_one_behind_the_other(self, sizes: list[int]) -> None:
        payloads = [bytes([97 + n]) * size for n, size in enumerate(sizes)]
        data, start, found = b"".join(map(frame, payloads)), 0, []
        while (place := whole_text(data, start)) is not None:
            begin, start = place
            found.append(data[begin:start])
        self.assertEqual(found, payloads)
        self.assertEqual(start, len(data))

    def test_are_left_until_all_of_them_is_there(self) -> None:
        for payload in (b"", b"abc", b"a" * 126, b"a" * 70):
            whole = frame(payload)
            for size in range(len(whole)):
                self.assertIsNone(whole_text(whole[:size], 0), size)

    def test_are_no_binary_fragmented_compressed_control_masked_long_or_wasteful_frames(self) -> None:
        others = {
            "binary": frame(b"a", 0x82),
            "a first fragment": frame(b"a", 0x01),
            "a last fragment": frame(b"a", 0x80),
            "compressed": frame(b"a", 0xC1),
            "close": frame(b"", 0x88),
            "ping": frame(b"a", 0x89),
            "masked": b"\x81\x81\0\0\0\0a",
            "of eight bytes of length": b"\x81\x7f" + (65536).to_bytes(8, "big") + b"a" * 65536,
            "not the shortest form": b"\x81\x7e\x00\x05abcde",
        }
        for name, data in others.items():
            self.assertIsNone(whole_text(data, 0), name)
