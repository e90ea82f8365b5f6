"""What a supervised process takes over from where it is started, and how a full disk is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from infra.local.provider import supervisor


def test_a_process_inherits_the_users_tools_and_nothing_of_the_engine() -> None:
    surrounding = {
        "PATH": "/bin", "HOME": "/home/u", "AWS_PROFILE": "p", "PULUMI_CONFIG_PASSPHRASE": "secret",
        "PYTHONPATH": "/elsewhere", "PYTHONDONTWRITEBYTECODE": "1",
        "RAY_ADDRESS": "other:1", "MLFLOW_TRACKING_URI": "x",
    }  # fmt: skip
    kept = supervisor.environment(surrounding)
    assert set(kept) == {"PATH", "HOME", "AWS_PROFILE", "no_proxy", "NO_PROXY"}


def test_loopback_never_goes_through_a_proxy_and_the_users_exceptions_stay() -> None:
    kept = supervisor.environment({"no_proxy": "example.invalid"})
    assert kept["no_proxy"] == "example.invalid,127.0.0.1,localhost"


def test_a_nearly_full_disk_is_told_with_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert supervisor.disk_hint(str(tmp_path)) is None, "the control: this disk has room"
    real = os.statvfs(tmp_path)
    full = os.statvfs_result((real.f_bsize, 4096, real.f_blocks, 768, 768, *list(real)[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    hint = supervisor.disk_hint(str(tmp_path / "not" / "yet" / "there"))
    assert hint is not None
    assert "3 MB are free" in hint
