"""What AWS itself leaves of an environment that was destroyed, and what then stands in the way of its next `up`.

It only reads. A control plane sends its last records after it is gone, and EKS makes their log group anew for them,
without an end and without tags (github.com/terraform-aws-modules/terraform-aws-eks/issues/2446): the next `up` of a
stack of that name would end at a group that exists already.
"""

from __future__ import annotations

from collections.abc import Iterator

from infra.aws import api
from infra.aws.api import AwsUnusable
from infra.aws.ownership import STACK
from infra.aws.settings import AwsConfig
from infra.kubernetes.findings import Finding


def log_group(cluster: str, config: AwsConfig) -> Iterator[Finding]:
    """Find the log group of a cluster that is not there, unless this stack made it; who may not look hears nothing."""
    name = f"/aws/eks/{cluster}/cluster"
    try:
        client = api.client("logs", config.region, config.endpoint_url)
        listed = api.ask(client, "describe_log_groups", logGroupNamePrefix=name)["logGroups"]
        groups = [group for group in listed if group["logGroupName"] == name]
        left = [group for group in groups if STACK not in _tags(client, group["arn"])]
    except AwsUnusable:
        return
    if left:
        yield Finding(
            name="log group",
            ok=False,
            seen=f"{name} is left of an earlier cluster: EKS made it anew for its last records",
            fix=f"aws logs delete-log-group --region {config.region} --log-group-name {name}",
        )


def _tags(client: object, arn: str) -> dict[str, str]:
    """Return the tags of a group; the list adds `:*` to its ARN, for its streams."""
    answer = api.ask(client, "list_tags_for_resource", resourceArn=arn.removesuffix(":*"))
    return dict(answer.get("tags", {}))
