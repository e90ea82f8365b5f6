"""Help on the project's own verbs: it is there, shows an example, and does nothing."""

from pathlib import Path

import pytest

from infra.engine import cli
from infra.engine.usage import OWN_VERBS


def said(root: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(root, list(arguments)) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("verb", OWN_VERBS)
def test_each_verb_of_our_own_explains_itself_and_installs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, verb: str, flag: str
) -> None:
    def never(_: object) -> None:
        raise AssertionError(f"{verb} {flag} made something ready")

    monkeypatch.setattr(cli, "_ready", never)
    text = said(tmp_path, capsys, verb, flag)
    assert text.startswith(f"usage: ./pulumiw {verb}")
    assert f"\nexample: {'eval ' if verb == 'env' else './pulumiw ' + verb}" in text
    assert said(tmp_path, capsys, "help", verb) == text
    assert list(tmp_path.iterdir()) == [], "and writes nothing"


def test_without_a_verb_all_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(tmp_path, capsys)
    assert all(f"\n  {verb} " in text for verb in OWN_VERBS)
    assert "\nexample: ./pulumiw up" in text
    assert said(tmp_path, capsys, "--help") == said(tmp_path, capsys, "help", "up") == text


def test_what_does_not_ask_for_help_gets_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control."""
    called: list[list[str]] = []

    def verb(_: object, arguments: list[str]) -> int:
        called.append(arguments)
        return 0

    monkeypatch.setattr(cli, "_own_verb", verb)
    assert cli.main(tmp_path, ["get", "serving.url"]) == 0
    assert called == [["get", "serving.url"]]
