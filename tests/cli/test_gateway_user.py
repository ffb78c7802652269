from click.testing import CliRunner

from tutumstream.cli.main import main
from tutumstream.gateway.users import COST, read_users


def test_makes_a_key_and_the_line_that_knows_it() -> None:
    done = CliRunner().invoke(main, ["gateway-user", "alice"])
    assert done.exit_code == 0
    (found,), mistakes = read_users(done.stdout)
    assert (found.user, found.cost, mistakes) == ("alice", COST, [])
    key = done.stderr.strip().rpartition(" ")[2]
    assert len(key) == 40
    assert found.matches(key.encode())


def test_takes_a_key_of_ones_own_and_does_not_show_it() -> None:
    done = CliRunner().invoke(main, ["gateway-user", "alice", "--stdin"], input="correct horse battery\n")
    assert done.exit_code == 0
    assert read_users(done.stdout)[0][0].matches(b"correct horse battery")
    assert "correct" not in done.output


def test_refuses_a_short_key_and_an_impossible_name() -> None:
    short = CliRunner().invoke(main, ["gateway-user", "alice", "--stdin"], input="k3y\n")
    assert short.exit_code == 1
    assert "at least 16 characters" in short.stderr
    colon = CliRunner().invoke(main, ["gateway-user", "a:b"])
    assert colon.exit_code == 1
    assert "no colon" in colon.stderr


def test_refuses_a_key_that_is_no_text() -> None:
    done = CliRunner().invoke(main, ["gateway-user", "alice", "--stdin"], input=b"\xff\xfe0123456789abcdef\n")
    assert done.exit_code == 1
    assert "a key is text in UTF-8" in done.stderr
