"""GithubAccess: what GitHub's workflows may do here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pulumi import ComponentResource, Input, Output, Resource, ResourceOptions

from components.aws.eks_cluster import EksCluster
from components.aws.naming import Names

PREVIEW_GROUP = "slipway:preview"
"""The Kubernetes group of the preview role; components/kubernetes/preview_access.py says what it may do."""


@dataclass(frozen=True, kw_only=True)
class GithubAccessArgs:
    """Whose workflows, and what they need."""

    names: Names
    repository: str
    """OWNER/NAME."""
    cluster: EksCluster
    provider_arn: Input[str] | None = None
    """The account's provider for GitHub, which can be there only once; made here when absent."""
    environment: str = "production"
    """The environment of the repository whose jobs deploy: its reviewers are the gate."""
    state_bucket: str | None = None
    """The bucket of the state, which a preview reads and a deployment writes."""
    state_key_arn: Input[str] | None = None
    deploy_policies: Sequence[str] = ("arn:aws:iam::aws:policy/PowerUserAccess",)
    """ARNs of what a deployment may do beside IAM."""


class GithubAccess(ComponentResource):
    """Two roles: preview reads, for pull requests; deploy writes, for one environment of the repository."""

    preview_role_arn: Output[str]
    deploy_role_arn: Output[str]
    ready: Sequence[Resource]

    def __init__(self, name: str, args: GithubAccessArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:aws:GithubAccess", name, None, opts)
        raise NotImplementedError
