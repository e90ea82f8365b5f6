"""Loads what the program will need while the engine starts the policy pack, for which it would only wait.

Owns the list of modules, which are those of the AWS SDK: only stacks on AWS have the pack. A module that is missing or
broken here is the program's to report, when it asks for it.
"""

import importlib
from contextlib import suppress

PACK = "analyzer"
"""The kind of plugin that a policy pack is."""

MODULES = (
    *("pulumi_aws.ec2", "pulumi_aws.iam", "pulumi_aws.eks", "pulumi_aws.cloudwatch", "pulumi_aws.s3", "pulumi_aws.rds"),
    *("pulumi_aws.kms", "pulumi_aws.vpc", "pulumi_aws.ecr", "pulumi_aws.sns", "pulumi_aws.budgets"),
)
"""The slowest first: the program waits for the one that is being loaded when the pack has started."""


def preload() -> None:
    """Import each module whole: the SDK loads one when something in it is first asked for, be it there or not."""
    for name in MODULES:
        with suppress(Exception):
            hasattr(importlib.import_module(name), "__all__")
