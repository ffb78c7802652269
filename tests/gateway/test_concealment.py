import re

from tutumstream.gateway.concealment import NOTHING, Concealment

WEB = {
    "uuid": "c1",
    "run_command": "serve --password s3cret",
    "entrypoint": "/run.sh",
    "labels": {"team": "shop", "db.password": "s3cret", "Api-Token": "s3cret"},
}


def test_labels_are_hidden_by_their_names_and_commands_whole() -> None:
    shown = Concealment(re.compile("(?i)password|token"), commands=True)(WEB)
    assert shown == {"uuid": "c1", "run_command": "", "entrypoint": "", "labels": {"team": "shop"}}
    assert WEB["labels"] != shown["labels"]


def test_nothing_is_added_to_what_has_neither() -> None:
    node = {"uuid": "n1", "labels": None}
    assert Concealment(re.compile("."), commands=True)(node) == node
    assert NOTHING(WEB) is WEB
