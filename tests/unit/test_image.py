"""The image: the Dockerfile and the builder make the same thing, and the same input makes the same bytes."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.code import SERVING_PACKAGE, TRAINING_PACKAGE, package_code
from infra.engine.layout import StopError
from infra.engine.versions import UV
from infra.image import layers, layout
from infra.image.code import collect, stage
from training.identity import code_digest, file_digest

ROOT = Path(__file__).parents[2]


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Yield the instructions of a Dockerfile, continued lines joined and comments dropped."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for line in lines.replace("\\\n", " ").splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield word, re.sub(r"\s+", " ", rest)


def differences(text: str) -> list[str]:
    """Return what a Dockerfile makes otherwise than the table says."""
    found = list(instructions(text))
    final = found[max(index for index, (word, _) in enumerate(found) if word == "FROM") :]
    installed = re.search(r"--no-install-recommends ([^&]+)", next(rest for word, rest in found if word == "RUN"))
    environment = dict(part.split("=", 1) for word, rest in final if word == "ENV" for part in shlex.split(rest))
    config = layout.image_config()
    expected = {
        "packages": (tuple((installed or [""])[1].split()), layout.PACKAGES),
        "environment": (environment, dict(layout.ENVIRONMENT)),
        "user": ([rest for word, rest in final if word == "USER"], [layout.USER]),
        "working folder": ([rest for word, rest in final if word == "WORKDIR"], [layout.APP]),
        "command": ([json.loads(rest) for word, rest in final if word == "CMD"], [config["Cmd"]]),
        "copied": (
            {rest.removeprefix("--from=build ") for word, rest in final if word == "COPY"},
            {f"{folder} {folder}" for folder in (layout.APP, layout.VENV)},
        ),
    }
    wrong = [f"{name}: {one} is not {other}" for name, (one, other) in expected.items() if one != other]
    runs = " ".join(rest for word, rest in found if word == "RUN")
    needed = {
        "adds the user": " ".join(layout.ADD_USER),
        "keeps PATH in login shells": f"echo '{layout.PROFILE_LINE}' > {layout.PROFILE}",
        "makes the venv with Debian's Python": f"--python {layout.PYTHON} {layout.VENV}",
        "checks hashes": f"--require-hashes --compile-bytecode --python {layout.VENV}/bin/python",
        "installs the lock": layout.LOCK,
        "stages the code": f"infra.image stage {layout.APP}",
    }
    return wrong + [f"nothing {what}: {text}" for what, text in needed.items() if text not in runs]


def test_the_dockerfile_makes_what_the_table_says() -> None:
    assert differences((ROOT / "Dockerfile").read_text()) == []


@pytest.mark.parametrize(
    ("part", "other"),
    [
        ("procps python3.11", "python3.11"),
        ("HOME=/tmp \\", "HOME=/root \\"),
        ("USER 10001:10001", "USER 10002:10001"),
        ("COPY --from=build /opt/slipway/app", "COPY --from=build /srv/app"),
        ("--uid=10001", "--uid=1000"),
    ],
)
def test_a_dockerfile_that_makes_something_else_is_found(part: str, other: str) -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert part in text, "the control would change nothing"
    assert differences(text.replace(part, other)) != []


def test_the_dockerfile_and_the_builder_install_with_the_same_uv() -> None:
    assert (ROOT / "requirements" / "image.txt").read_text().startswith(f"uv=={UV} ")


def test_no_compiler_and_no_pip_is_in_the_final_stage() -> None:
    final = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    assert not re.search(r"\b(RUN|pip|gcc|build-essential)\b", final)
    assert not {"gcc", "python3-pip", "build-essential", "git"} & set(layout.PACKAGES)


def test_the_digests_are_those_that_the_stack_computes() -> None:
    about = collect(ROOT).about
    assert about["code"] == {
        "training": package_code(ROOT, TRAINING_PACKAGE).digest,
        "serving": package_code(ROOT, SERVING_PACKAGE).digest,
    }
    assert about["lock"] == file_digest(ROOT / layout.LOCK)


def test_the_staged_code_has_the_digests_that_its_image_json_names(tmp_path: Path) -> None:
    stage(collect(ROOT), tmp_path)
    about = json.loads((tmp_path / layout.ABOUT).read_text())
    for name, package in (("training", TRAINING_PACKAGE), ("serving", SERVING_PACKAGE)):
        files = package_code(ROOT, package).files
        assert code_digest(tmp_path, files) == about["code"][name]
    assert (tmp_path / "infra" / "kubernetes" / "incluster" / "__init__.py").is_file()
    assert not (tmp_path / "infra" / "local").exists(), "the program's own code stays outside"


def project(folder: Path) -> Path:
    """Copy what the image is made from."""
    for name in ("training", "serving", "infra/kubernetes/incluster"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("infra/__init__.py", "infra/kubernetes/__init__.py", layout.LOCK):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    return folder


def test_equal_code_makes_an_equal_layer_wherever_and_whenever_it_is_made(tmp_path: Path) -> None:
    one, other = project(tmp_path / "one"), project(tmp_path / "other")
    (other / "training" / "job.py").touch()
    (other / "training" / "job.py").chmod(0o664)
    made = [tmp_path / "one.tar", tmp_path / "other.tar"]
    for root, out in zip((one, other), made, strict=True):
        layers.code_layer(collect(root), out)
    assert made[0].read_bytes() == made[1].read_bytes()
    (other / "training" / "job.py").write_text("another = 1\n")
    layers.code_layer(collect(other), made[1])
    assert made[0].read_bytes() != made[1].read_bytes()
    assert collect(one).digest != collect(other).digest


def test_code_that_changes_while_the_image_is_made_is_not_packed(tmp_path: Path) -> None:
    root = project(tmp_path / "project")
    code = collect(root)
    (root / "training" / "job.py").write_text("another = 1\n")
    with pytest.raises(StopError, match="was changed while the image was being made"):
        layers.code_layer(code, tmp_path / "code.tar")


def test_the_code_layer_belongs_to_root_and_anyone_may_read_it(tmp_path: Path) -> None:
    layers.code_layer(collect(ROOT), tmp_path / "code.tar")
    with tarfile.open(tmp_path / "code.tar") as layer:
        entries = layer.getmembers()
    assert {(entry.uid, entry.gid, entry.mtime) for entry in entries} == {(0, 0, 0)}
    assert {entry.mode for entry in entries} == {0o755, 0o644}
    assert f"{layout.APP.lstrip('/')}/{layout.ABOUT}" in {entry.name for entry in entries}


def test_a_package_of_the_user_is_in_the_layer(tmp_path: Path) -> None:
    root = project(tmp_path)
    (root / "mine").mkdir()
    (root / "mine" / "model.py").write_text("x = 1\n")
    assert "mine/model.py" in collect(root, ["mine"]).files
    assert collect(root, ["mine"]).about == collect(root).about


@pytest.mark.parametrize(("name", "said"), [("../elsewhere", "outside the project"), ("absent", "no Python file")])
def test_an_extra_path_that_cannot_be_packed_is_refused(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    root = project(tmp_path / "project")
    with pytest.raises(StopError, match=said):
        collect(root, [name])
