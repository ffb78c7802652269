import errno
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tutumstream.room import lack, to_free


def volume(files: int, available: int) -> os.statvfs_result:
    """Of so many inodes in all, so many of them to be had."""
    return os.statvfs_result((4096, 4096, 9, 9, 9, files, available, available, 0, 255))


class AFolder(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())

    def test_that_takes_files_has_room_and_none_is_left_in_it(self) -> None:
        self.folder.mkdir()
        self.assertIsNone(lack(self.folder))
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_whose_trouble_is_another_has_room(self) -> None:
        self.assertIsNone(lack(self.folder))


class Room(SynchronousTestCase):
    def to_free(self, code: int, found: os.statvfs_result) -> str:
        def look(folder: Path) -> os.statvfs_result:
            if folder != Path("/disk"):
                raise FileNotFoundError(2, "No such file or directory", str(folder))
            return found

        return to_free(OSError(code, "x"), Path("/disk/not/yet/made"), look)

    def test_is_made_by_what_there_is_too_much_of(self) -> None:
        for code in (errno.ENOSPC, errno.EDQUOT):
            self.assertIn("no inode left", self.to_free(code, volume(5, 0)))
            for found in (volume(5, 1), volume(0, 0)):
                self.assertEqual(self.to_free(code, found), "free some space")

    def test_is_not_what_other_trouble_is_about(self) -> None:
        self.assertEqual(self.to_free(errno.EACCES, volume(5, 0)), "")
