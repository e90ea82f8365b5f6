"""Flow logs of a VPC: who spoke to whom, kept encrypted and for a while.

It owns the log group, the role that writes to it and the flow log; nothing else may write there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pulumi import ComponentResource, Input, Output, ResourceOptions
from pulumi_aws import cloudwatch, ec2, iam

from components.aws.naming import Names

_INTERVAL_S = 600


@dataclass(frozen=True, kw_only=True)
class FlowLogsArgs:
    """Of which VPC, and for how long."""

    names: Names
    vpc_id: Input[str]
    days: int
    key: Input[str]


class FlowLogs(ComponentResource):
    """All traffic of a VPC, accepted and rejected."""

    log_group: Output[str]

    def __init__(self, name: str, args: FlowLogsArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:aws:FlowLogs", name, None, opts)
        child = ResourceOptions(parent=self)
        names = args.names
        path = f"/aws/vpc/{names.name('flow-logs')}"
        group = cloudwatch.LogGroup(
            f"{name}-group", name=path, retention_in_days=args.days, kms_key_id=args.key, opts=child
        )
        role = iam.Role(
            f"{name}-role", name=names.name("flow-logs"), assume_role_policy=json.dumps(trust(names)), opts=child
        )
        rights = iam.RolePolicy(
            f"{name}-rights",
            name="write",
            role=role.name,
            policy=json.dumps(rights_on(names.arn("logs", f"log-group:{path}"))),
            opts=child,
        )
        ec2.FlowLog(
            f"{name}-log",
            vpc_id=args.vpc_id,
            traffic_type="ALL",
            log_destination_type="cloud-watch-logs",
            log_destination=group.arn,
            iam_role_arn=role.arn,
            max_aggregation_interval=_INTERVAL_S,
            tags={"Name": names.name("flow-logs")},
            opts=ResourceOptions(parent=self, depends_on=[rights]),
        )
        self.log_group = group.name
        self.register_outputs({"log_group": self.log_group})


def trust(names: Names) -> dict[str, Any]:
    """The service takes the role for flow logs of this account only, not for somebody else's."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "vpc-flow-logs.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": names.account},
                    "ArnLike": {"aws:SourceArn": names.arn("ec2", "vpc-flow-log/*")},
                },
            }
        ],
    }


def rights_on(group: str) -> dict[str, Any]:
    """Write to the one group; not make it, or late records would bring it back after `destroy`."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
                "Resource": [group, f"{group}:*"],
            },
            # the service looks for the group before it writes; CloudWatch has no resource for that list
            {"Sid": "DescribeGroups", "Effect": "Allow", "Action": ["logs:DescribeLogGroups"], "Resource": ["*"]},
        ],
    }
