"""Bad input gets a message that names key, file or field, the rule and the fix; nothing is lost by it."""

from __future__ import annotations

import socket
from pathlib import Path

import psutil
import pytest

from tests.stacks.project import Project

ROWS = "a,b,target\n" + "\n".join(f"{n},{n % 7},{n % 2}" for n in range(60)) + "\n"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"trackin": {"port": 5001}}, ["slipway:trackin", "did you mean tracking?"]),
        ({"serving": {"port": "8000"}}, ["slipway:serving.port", "without quotes"]),
        ({"data": {"uri": "rows.csv"}}, ["slipway:data.target", "is required"]),
        ({"data": {"uri": "absent.csv", "target": "t"}}, ["absent.csv", "there is no file"]),
        ({"training": {"entrypoint": "absent:train"}}, ["absent", "no module"]),
    ],
)
def test_a_wrong_stack_file_is_refused_by_a_preview(
    project: Project, settings: dict[str, dict[str, object]], told: list[str]
) -> None:
    project.configure(**settings)
    output = project.pulumi("preview").must_fail().output
    for text in told:
        assert text in output, f"the message must contain {text!r}:\n{output}"
    assert "Traceback" not in output, "people get the message, not where it was raised"


def test_a_port_in_use_is_named_with_its_holder(project: Project) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        project.configure(tracking={"port": port})
        output = project.up().must_fail().output
    assert "slipway:tracking.port" in output
    assert str(port) in output
    assert "pytest" in output or "python" in output, f"the holder must be named:\n{output}"


BAD_FILES = {
    "empty.csv": ("", ["empty"]),
    "malformed.csv": ("a,target\n1,0\n1,2,3,4\n", ["malformed.csv", "line"]),
    "few.csv": ("a,target\n1,0\n2,1\n", ["rows"]),
    "notarget.csv": (ROWS.replace("target", "outcome"), ["target", "outcome"]),
    "oneclass.csv": (ROWS.replace(",1\n", ",0\n"), ["class"]),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_data_that_cannot_be_trained_on_is_told_in_up(project: Project, name: str) -> None:
    content, told = BAD_FILES[name]
    (project.root / name).write_text(content)
    project.configure(data={"uri": name, "target": "target"})
    output = project.up().must_fail().output
    for text in told:
        assert text in output, f"the message must contain {text!r}:\n{output}"


def test_an_entrypoint_that_raises_shows_its_traceback(project: Project) -> None:
    Path(project.root / "mine.py").write_text(
        "def train(data, settings):\n    raise RuntimeError('the user made a mistake')\n"
    )
    project.configure(training={"entrypoint": "mine:train"})
    output = project.up().must_fail().output
    assert "the user made a mistake" in output
    assert 'mine.py", line 2' in output, "the line of the user's code must be shown"


def test_with_nothing_to_serve_up_says_so_and_keeps_tracking_and_ray(project: Project) -> None:
    project.configure(gate={"floors": {"accuracy": 0.9999}}, training={"rounds": 1})
    output = project.up().must_fail().output
    assert "nothing to serve" in output
    assert "0.9999" in output, f"the reason of the rejection belongs to it:\n{output}"
    for name in ("tracking", "ray"):
        assert psutil.pid_exists(project.record(name)["pid"]), f"{name} stays up, for the evidence and the next try"


def test_a_custom_entrypoint_and_own_data_are_served_after_all_that(project: Project) -> None:
    rows = "\n".join(f"{n},{n % 7},{int(n >= 30)}" for n in range(60))
    (project.root / "rows.csv").write_text(f"a,b,target\n{rows}\n")
    Path(project.root / "mine.py").write_text(
        "from training.contracts import Trained\n\n\n"
        "class Half:\n"
        "    def predict(self, frame):\n"
        "        return (frame['a'] >= 30).to_numpy().astype(int)\n\n\n"
        "def train(data, settings):\n"
        "    return Trained(model=Half())\n"
    )
    own = {"data": {"uri": "rows.csv", "target": "target"}, "gate": {"floors": {"accuracy": 0.9}}}
    project.configure(**own)
    project.up().must_succeed()
    native = project.outputs()["training"]["model_version"]
    project.configure(**own, training={"entrypoint": "mine:train"})
    output = project.up().must_succeed().output
    assert "still answers with version" not in output, "the replica has a part of `training` only, the model all of it"
    answer = project.slipway("predict").must_succeed().output
    custom = project.outputs()["training"]["model_version"]
    assert custom != native
    assert f"version {custom} at" in answer
    assert "predictions: [" in answer
