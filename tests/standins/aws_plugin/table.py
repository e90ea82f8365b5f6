"""Every type that the stacks use, by its token."""

from __future__ import annotations

from collections.abc import Mapping

from tests.standins.aws_plugin import (
    rows_budgets,
    rows_compute,
    rows_ecr,
    rows_eks,
    rows_eks_access,
    rows_iam,
    rows_kms,
    rows_network,
    rows_rds,
    rows_routes,
    rows_s3,
    rows_security,
    rows_watch,
)
from tests.standins.aws_plugin.row import Row
from tests.standins.plugin.refused import Refused

_MODULES = (
    *(rows_network, rows_routes, rows_security, rows_compute),
    *(rows_eks, rows_eks_access),
    *(rows_iam, rows_kms, rows_s3, rows_ecr, rows_rds, rows_watch, rows_budgets),
)
ROWS: Mapping[str, Row] = {row.token: row for module in _MODULES for row in module.ROWS}


def row_of(urn: str) -> Row:
    """Return the row of a resource's type."""
    token = urn.split("::")[2].rsplit("$", 1)[-1]
    if token not in ROWS:
        raise Refused(
            f"the stand-in of the AWS plugin has no row for {token} ({urn}). Add one to tests/standins/aws_plugin, or "
            "install the official plugin: pulumi plugin install resource aws"
        )
    return ROWS[token]
