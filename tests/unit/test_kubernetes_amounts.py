"""Amounts in the one form in which Kubernetes writes them back."""

from __future__ import annotations

import pytest

from infra.kubernetes import pods


@pytest.mark.parametrize(
    ("written", "form"),
    [
        (pods.cores(0.5), "500m"),
        (pods.cores(1), "1"),
        (pods.cores(1.5), "1500m"),
        (pods.cores(0.29), "290m"),
        (pods.mebibytes(512), "512Mi"),
        (pods.mebibytes(1536), "1536Mi"),
        (pods.mebibytes(2048), "2Gi"),
        (pods.mebibytes(2**20), "1Ti"),
    ],
)
def test_amounts_are_written_in_the_form_of_kubernetes(written: str, form: str) -> None:
    assert written == form
