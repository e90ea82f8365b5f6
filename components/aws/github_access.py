"""GithubAccess: what GitHub's workflows may do here, without a key that is kept anywhere.

A workflow shows a token in which GitHub says whose it is; AWS gives a role for an hour. What the preview role may do
inside the cluster is bounded there, by components/kubernetes/preview_access.py: it is in the group `slipway:preview`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pulumi import ComponentResource, Input, Output, Resource, ResourceOptions
from pulumi_aws import eks, iam

from components.aws.eks_cluster import ADMIN_POLICY, EksCluster
from components.aws.iam import Statement, document, joined
from components.aws.naming import Names
from components.aws.preview_rights import reads

PREVIEW_GROUP = "slipway:preview"
"""The Kubernetes group of the preview role."""
ISSUER = "token.actions.githubusercontent.com"
_AUDIENCE = "sts.amazonaws.com"
LENT_TO = [
    "ec2.amazonaws.com",
    "eks.amazonaws.com",
    "pods.eks.amazonaws.com",
    "vpc-flow-logs.amazonaws.com",
    "monitoring.rds.amazonaws.com",
]
"""Services that the environment's roles are made for: a deployment hands a role to no other."""


@dataclass(frozen=True, kw_only=True)
class GithubAccessArgs:
    """Whose workflows, and what they need."""

    names: Names
    repository: str
    """As GitHub's tokens name it: OWNER/NAME, or OWNER@ID/NAME@ID where the repository has immutable subjects."""
    cluster: EksCluster
    provider_arn: Input[str] | None = None
    """The account's provider for GitHub, which can be there only once; made here when absent."""
    environment: str = "production"
    """The environment of the repository whose jobs deploy: its reviewers are the gate."""
    state_bucket: str | None = None
    """The bucket of the state, which a preview reads and a deployment writes."""
    state_key_arn: Input[str] | None = None
    deploy_policies: Sequence[str] | None = None
    """ARNs of what a deployment may do beside IAM; AWS's PowerUserAccess when absent."""


class GithubAccess(ComponentResource):
    """Two roles: preview reads, for pull requests; deploy writes, for one environment of the repository."""

    preview_role_arn: Output[str]
    deploy_role_arn: Output[str]
    ready: Sequence[Resource]

    def __init__(self, name: str, args: GithubAccessArgs, opts: ResourceOptions | None = None) -> None:
        super().__init__("slipway:aws:GithubAccess", name, None, opts)
        provider = self._issuer(name, args)
        preview, seen = self._preview(name, args, provider)
        deploy, entered = self._deploy(name, args, provider)
        self.preview_role_arn = preview.arn
        self.deploy_role_arn = deploy.arn
        self.ready = [preview, deploy, *seen, *entered]
        self.register_outputs({"preview_role_arn": self.preview_role_arn, "deploy_role_arn": self.deploy_role_arn})

    def _issuer(self, name: str, args: GithubAccessArgs) -> Input[str]:
        if args.provider_arn is not None:
            return args.provider_arn
        made = iam.OpenIdConnectProvider(
            f"{name}-provider",
            url=f"https://{ISSUER}",
            client_id_lists=[_AUDIENCE],
            opts=ResourceOptions(parent=self),
        )
        arn: Output[str] = made.arn
        return arn

    def _role(self, name: str, args: GithubAccessArgs, provider: Input[str], purpose: tuple[str, str, str]) -> iam.Role:
        role, subject, why = purpose
        return iam.Role(
            f"{name}-{role}-role",
            name=args.names.role(role),
            description=why,
            assume_role_policy=document(trust(provider, args.repository, subject)),
            max_session_duration=3600 if role == "preview" else 4 * 3600,
            opts=ResourceOptions(parent=self),
        )

    def _preview(self, name: str, args: GithubAccessArgs, provider: Input[str]) -> tuple[iam.Role, Sequence[Resource]]:
        role = self._role(name, args, provider, ("preview", "pull_request", "Previews of pull requests: reads"))
        child = ResourceOptions(parent=self)
        statements = [*reads(args.names), *_state(args, write=False)]
        policy = iam.RolePolicy(f"{name}-preview-policy", role=role.name, policy=document(statements), opts=child)
        entry = eks.AccessEntry(
            f"{name}-preview-entry",
            cluster_name=args.cluster.cluster_name,
            principal_arn=role.arn,
            kubernetes_groups=[PREVIEW_GROUP],
            type="STANDARD",
            opts=child,
        )
        return role, [policy, entry]

    def _deploy(self, name: str, args: GithubAccessArgs, provider: Input[str]) -> tuple[iam.Role, Sequence[Resource]]:
        purpose = ("deploy", f"environment:{args.environment}", f"Deployments of the environment {args.environment}")
        role = self._role(name, args, provider, purpose)
        child = ResourceOptions(parent=self)
        given = args.deploy_policies
        policies = [args.names.managed_policy("PowerUserAccess")] if given is None else given
        attached = [
            iam.RolePolicyAttachment(
                f"{name}-deploy-{arn.rsplit('/', 1)[-1]}", role=role.name, policy_arn=arn, opts=child
            )
            for arn in policies
        ]
        statements = [*_roles(args.names), *_state(args, write=True)]
        policy = iam.RolePolicy(f"{name}-deploy-policy", role=role.name, policy=document(statements), opts=child)
        entry = eks.AccessEntry(
            f"{name}-deploy-entry",
            cluster_name=args.cluster.cluster_name,
            principal_arn=role.arn,
            type="STANDARD",
            opts=child,
        )
        admin = eks.AccessPolicyAssociation(
            f"{name}-deploy-admin",
            cluster_name=args.cluster.cluster_name,
            principal_arn=entry.principal_arn,
            policy_arn=f"arn:{args.names.partition}:eks::aws:{ADMIN_POLICY}",
            access_scope={"type": "cluster"},
            opts=ResourceOptions(parent=self, depends_on=[entry]),
        )
        return role, [*attached, policy, entry, admin]


def trust(provider: Input[str], repository: str, subject: str) -> list[Statement]:
    """Return the trust in jobs of one repository: of its pull requests, or of one of its environments."""
    claims = {f"{ISSUER}:aud": _AUDIENCE, f"{ISSUER}:sub": f"repo:{repository}:{subject}"}
    return [
        {
            "Effect": "Allow",
            "Principal": {"Federated": provider},
            "Action": ["sts:AssumeRoleWithWebIdentity"],
            "Condition": {"StringEquals": claims},
        }
    ]


def _state(args: GithubAccessArgs, *, write: bool) -> list[Statement]:
    if args.state_bucket is None:
        return []
    bucket = args.names.arn("s3", args.state_bucket)
    objects = ["s3:GetObject", *(["s3:PutObject", "s3:DeleteObject"] if write else [])]
    statements: list[Statement] = [
        {"Sid": "ListState", "Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [bucket]},
        {"Sid": "State", "Effect": "Allow", "Action": objects, "Resource": [joined(bucket, "/.pulumi/*")]},
    ]
    if args.state_key_arn is not None:
        key: dict[str, Any] = {"Sid": "StateKey", "Effect": "Allow", "Resource": [args.state_key_arn]}
        statements.append(
            {**key, "Action": ["kms:Decrypt", *(["kms:Encrypt", "kms:GenerateDataKey"] if write else [])]}
        )
    return statements


def _roles(names: Names) -> list[Statement]:
    """What a deployment does with IAM: roles that carry the environment's name, for the services that need one.

    It may give these roles any rights: whoever may deploy decides what the environment may do. An account that wants
    to bound that puts a service control policy, or a permissions boundary on the deploy role.
    """
    own = [names.arn("iam", f"role/{names.stem}-*")]
    verbs = [
        *("AttachRolePolicy", "CreateRole", "DeleteRole", "DeleteRolePolicy", "DetachRolePolicy", "GetRole"),
        *("GetRolePolicy", "ListAttachedRolePolicies", "ListInstanceProfilesForRole", "ListRolePolicies"),
        *("ListRoleTags", "PutRolePolicy", "TagRole", "UntagRole", "UpdateAssumeRolePolicy", "UpdateRole"),
        "UpdateRoleDescription",
    ]
    verbs_of_providers = ("Create", "Delete", "Get", "Tag", "Untag")
    lent = {"StringEquals": {"iam:PassedToService": LENT_TO}}
    return [
        {"Sid": "OwnRoles", "Effect": "Allow", "Action": [f"iam:{verb}" for verb in verbs], "Resource": own},
        {"Sid": "LendOwnRoles", "Effect": "Allow", "Action": ["iam:PassRole"], "Resource": own, "Condition": lent},
        {
            "Sid": "GithubProvider",
            "Effect": "Allow",
            "Action": [f"iam:{verb}OpenIDConnectProvider" for verb in verbs_of_providers],
            "Resource": [names.arn("iam", f"oidc-provider/{ISSUER}")],
        },
        {
            # EKS looks with the caller's rights whether the role of node groups is there, and refuses without
            "Sid": "RolesOfServices",
            "Effect": "Allow",
            "Action": ["iam:CreateServiceLinkedRole", "iam:GetRole"],
            "Resource": [names.arn("iam", "role/aws-service-role/*")],
        },
    ]
