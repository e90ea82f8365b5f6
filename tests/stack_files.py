"""Settings for tests: those of a stack file as the program reads them, and the least that the AWS substrate needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from infra.aws.settings import AwsConfig

ROOT = Path(__file__).resolve().parents[1]
ACCOUNT, REGION = "123456789012", "us-east-1"
"""The account that moto answers for."""


def settings_in(file: Path) -> dict[str, Any]:
    """Return what a stack file says under `slipway:`."""
    content = yaml.safe_load(file.read_text())["config"]
    return {key.removeprefix("slipway:"): value for key, value in content.items() if key.startswith("slipway:")}


def committed(stack: str) -> dict[str, Any]:
    """Return the settings of a committed stack file."""
    return settings_in(ROOT / f"Pulumi.{stack}.yaml")


def least_on_aws(**changes: Any) -> AwsConfig:
    """Return a substrate with nothing set that need not be; some settings changed."""
    zones = [f"{REGION}a", f"{REGION}b"]
    values = {"kind": "aws", "account": ACCOUNT, "region": REGION, "zones": zones, **changes}
    return AwsConfig.model_validate_json(json.dumps(values))
