"""GitHub's workflows: whose jobs get which role, what they may read, and what they may do."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pulumi import ResourceOptions

from components.aws.github_access import GithubAccess, GithubAccessArgs
from tests.components.aws_ground import NAMES, ROLE, allowed, cluster, on_aws, registered, statements
from tests.mock_engine import Engine

PROVIDER = "aws:iam/openIdConnectProvider:OpenIdConnectProvider"
ENTRY = "aws:eks/accessEntry:AccessEntry"
ADMIN = "aws:eks/accessPolicyAssociation:AccessPolicyAssociation"
ISSUER = "token.actions.githubusercontent.com"
# what hands out what is in something, or what decrypts it
DATA = re.compile(
    r"s3:GetObject|s3:ListBucket|secretsmanager:|ssm:|kms:(Decrypt|GenerateDataKey)|logs:(Get|Filter|StartQuery)"
    r"|ecr:(GetDownloadUrl|BatchGetImage|GetAuthorizationToken)|rds-data:|sts:|rds:Download"
)
WRITES = re.compile(r":(Create|Put|Delete|Update|Attach|Detach|Modify|Pass|Tag|Untag|Run|Start|Stop|Set|Associate)")


def access(*, preview: bool = False, repository: str = "example/slipway", **changed: Any) -> Engine:
    def make(opts: ResourceOptions) -> None:
        args = GithubAccessArgs(names=NAMES, repository=repository, cluster=cluster(opts), **changed)
        GithubAccess("github", args, opts)

    return on_aws(make, preview=preview)


@pytest.fixture(scope="module")
def up() -> Engine:
    return access()


def trust(engine: Engine, role: str) -> dict[str, Any]:
    (found,) = statements(engine.one("aws:iam/role:Role", f"github-{role}-role"), "assumeRolePolicy")
    return found


def policy(engine: Engine, role: str) -> list[dict[str, Any]]:
    return statements(engine.one("aws:iam/rolePolicy:RolePolicy", f"github-{role}-policy"))


@pytest.mark.parametrize(("role", "subject"), [("preview", "pull_request"), ("deploy", "environment:production")])
def test_each_role_is_for_one_kind_of_job_of_one_repository(up: Engine, role: str, subject: str) -> None:
    found = trust(up, role)
    assert found["Action"] == ["sts:AssumeRoleWithWebIdentity"]
    assert found["Principal"] == {"Federated": "arn:provider"}
    assert found["Condition"] == {
        "StringEquals": {f"{ISSUER}:aud": "sts.amazonaws.com", f"{ISSUER}:sub": f"repo:example/slipway:{subject}"}
    }


def test_a_repository_whose_tokens_carry_ids_is_named_with_them() -> None:
    """GitHub writes them into the subject of repositories that were made or renamed since July 2026."""
    found = trust(access(repository="example@12/slipway@345"), "preview")["Condition"]["StringEquals"]
    assert found[f"{ISSUER}:sub"] == "repo:example@12/slipway@345:pull_request"


def test_no_pattern_lets_another_repository_in(up: Engine) -> None:
    for role in ("preview", "deploy"):
        condition = trust(up, role)["Condition"]
        assert "*" not in str(condition)
        assert set(condition) == {"StringEquals"}


def test_the_account_s_provider_is_made_once_or_taken(up: Engine) -> None:
    assert up.one(PROVIDER).inputs["url"] == f"https://{ISSUER}"
    given = access(provider_arn="arn:aws:iam::123456789012:oidc-provider/given")
    assert given.all(PROVIDER) == []
    assert trust(given, "preview")["Principal"]["Federated"].endswith("oidc-provider/given")


def test_a_preview_reads_how_things_are_set_up_and_nothing_that_is_in_them(up: Engine) -> None:
    actions = allowed(policy(up, "preview"))
    assert len(actions) > 50
    assert [one for one in sorted(actions) if DATA.search(one)] == []
    assert [one for one in sorted(actions) if WRITES.search(one)] == []
    assert [one for one in sorted(actions) if "*" in one] == []


def test_the_patterns_of_the_test_above_would_find_something() -> None:
    assert DATA.search("s3:GetObject")
    assert DATA.search("kms:Decrypt")
    assert WRITES.search("iam:PassRole")
    assert not DATA.search("s3:GetBucketPolicy")


def test_whatever_has_a_name_a_preview_reads_by_the_environment_s_name(up: Engine) -> None:
    for statement in policy(up, "preview"):
        if statement["Sid"] != "DescribeSetup":
            assert "*" not in statement["Resource"], statement["Sid"]


def test_in_the_cluster_a_preview_is_in_a_group_and_has_no_policy_of_eks(up: Engine) -> None:
    entry = up.one(ENTRY, "github-preview-entry").inputs
    assert entry["kubernetesGroups"] == ["slipway:preview"]
    assert entry["principalArn"] == ROLE
    associated = {item.name for item in up.all(ADMIN)}
    assert associated & {name for name in associated if "preview" in name} == set()
    assert "github-deploy-admin" in associated


def test_a_preview_fits_into_one_inline_policy(up: Engine) -> None:
    text = up.one("aws:iam/rolePolicy:RolePolicy", "github-preview-policy").inputs["policy"]
    assert len(text.replace(" ", "")) < 10_240, "the limit of a role's inline policies, blanks not counted"


def test_a_deployment_touches_no_role_but_the_environment_s(up: Engine) -> None:
    for statement in policy(up, "deploy"):
        if any(action.startswith("iam:") and "Role" in action for action in statement["Action"]):
            for resource in statement["Resource"]:
                assert resource.startswith(
                    ("arn:aws:iam::123456789012:role/slipway-prod-", "arn:aws:iam::123456789012:role/aws-service-role/")
                )


def test_a_deployment_may_look_whether_the_roles_of_services_are_there(up: Engine) -> None:
    """EKS does so as the caller before it makes a node group: `Failed to validate if SLR ... already exists`."""
    (services,) = [one for one in policy(up, "deploy") if one["Sid"] == "RolesOfServices"]
    assert {"iam:CreateServiceLinkedRole", "iam:GetRole"} <= set(services["Action"])
    assert services["Resource"] == ["arn:aws:iam::123456789012:role/aws-service-role/*"]


def test_what_iam_knows_no_resource_for_a_preview_reads_everywhere(up: Engine) -> None:
    (everywhere,) = [one for one in policy(up, "preview") if one["Sid"] == "DescribeSetup"]
    assert {"sns:GetSubscriptionAttributes", "servicequotas:GetServiceQuota"} <= set(everywhere["Action"])


def test_a_deployment_lends_roles_only_to_services_that_need_one(up: Engine) -> None:
    (lent,) = [statement for statement in policy(up, "deploy") if "iam:PassRole" in statement["Action"]]
    assert "eks.amazonaws.com" in lent["Condition"]["StringEquals"]["iam:PassedToService"]
    assert "lambda.amazonaws.com" not in lent["Condition"]["StringEquals"]["iam:PassedToService"]


def test_the_account_may_say_itself_what_a_deployment_may_do() -> None:
    own = "arn:aws:iam::123456789012:policy/deployers"
    attached = access(deploy_policies=[own]).one(
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment", "github-deploy-deployers"
    )
    assert attached.inputs["policyArn"] == own


def test_the_state_is_read_by_previews_and_written_by_deployments() -> None:
    engine = access(state_bucket="states", state_key_arn="arn:state-key")
    reads = {one["Sid"]: one for one in policy(engine, "preview")}
    assert reads["State"]["Action"] == ["s3:GetObject"]
    assert reads["State"]["Resource"] == ["arn:aws:s3:::states/.pulumi/*"], "the state's bucket, and no other"
    assert reads["StateKey"]["Action"] == ["kms:Decrypt"]
    writes = {one["Sid"]: one for one in policy(engine, "deploy")}
    assert "s3:PutObject" in writes["State"]["Action"]
    assert "State" not in {one["Sid"] for one in policy(access(), "preview")}


def test_a_preview_registers_what_an_up_registers(up: Engine) -> None:
    assert registered(access(preview=True)) == registered(up)
