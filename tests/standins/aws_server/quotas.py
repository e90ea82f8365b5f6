"""Service Quotas: what an account may have of something; plenty of everything, unless a test says otherwise."""

from __future__ import annotations

from typing import Any

from tests.standins.aws_server.faults import Fault

PLENTY = 768.0


class Quotas:
    """Quotas of EC2, by code."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}

    def get_service_quota(self, given: dict[str, Any]) -> dict[str, Any]:
        code = given["QuotaCode"]
        if given["ServiceCode"] != "ec2" or not code.startswith("L-"):
            raise Fault("NoSuchResourceException", f"there is no quota {code} of {given['ServiceCode']}")
        quota = {
            "ServiceCode": "ec2",
            "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
            "QuotaCode": code,
            "Value": self.values.get(code, PLENTY),
            "Unit": "None",
            "Adjustable": True,
            "GlobalQuota": False,
        }
        return {"Quota": quota}
