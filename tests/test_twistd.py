import contextlib
import io

from twisted.trial.unittest import SynchronousTestCase

from tutumstream.twistd import observer


class TheLog(SynchronousTestCase):
    def test_that_can_not_be_written_ends_the_start_with_the_way_out(self) -> None:
        said = io.StringIO()
        with contextlib.redirect_stderr(said), self.assertRaises(SystemExit) as ended:
            observer({"logfile": "/no/such/folder/x.log"}, None, "info")
        self.assertEqual(ended.exception.code, 1)
        self.assertIn("--logfile: /no/such/folder/x.log can't be written (No such file or directory)", said.getvalue())

    def test_is_twistds_own_where_its_options_ask_for_that(self) -> None:
        for options in (None, {"syslog": True}, {"logger": "mine"}):
            self.assertIsNone(observer(options, None, "info"))
