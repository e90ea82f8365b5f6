"""Job logs: whole lines, none lost and none twice over reconnections."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from infra.local.provider.job_log import Lines, of_the_job


@st.composite
def connections(draw: st.DrawFn) -> tuple[str, list[list[str]]]:
    """A text, and what each of several connections sent of it, from its beginning, in pieces; the last sent all."""
    text = draw(st.text(alphabet="ab\n", max_size=60))
    ends = [*draw(st.lists(st.integers(0, len(text)), max_size=4)), len(text)]
    sent = []
    for end in ends:
        cuts = sorted(draw(st.lists(st.integers(0, end), max_size=4)))
        edges = [0, *cuts, end]
        sent.append([text[first:last] for first, last in pairwise(edges)])
    return text, sent


@given(connections())
def test_lines_come_once_and_in_order_however_the_connection_breaks(case: tuple[str, list[list[str]]]) -> None:
    text, sent = case
    lines, told = Lines(), []
    for pieces in sent:
        lines.restart()
        for piece in pieces:
            told += lines.take(piece)
    told += lines.end()
    assert "\n".join(told) == text.removesuffix("\n") if text.endswith("\n") else "\n".join(told) == text


def test_half_a_line_waits_for_its_other_half() -> None:
    lines = Lines()
    assert lines.take("load  56") == []
    assert lines.take("9 rows\ntrain") == ["load  569 rows"]
    assert lines.end() == ["train"]


def test_what_ray_says_about_a_job_is_not_said_by_the_job() -> None:
    lines = [
        "2026-11-24 00:09:52,470\tINFO job_manager.py:581 -- Runtime env is setting up.",
        "Running entrypoint for job abc: python -m training",
        "load      569 rows",
        "note: Running entrypoint for job is what this line talks about",
    ]
    assert of_the_job(lines) == lines[2:]
