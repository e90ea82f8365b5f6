"""Previews of pull requests in the cluster: what they see, what they try, and what bounds them."""

from __future__ import annotations

import pytest

from components.kubernetes import preview_access
from components.kubernetes.preview_access import LEFT_OUT, READ_ONLY, TRIED, PreviewAccess, PreviewAccessArgs
from infra.kubernetes.rights import SECTIONS
from tests.components.kubernetes_blocks import on_cluster, registered
from tests.mock_engine import Engine

POLICY = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy"
BINDING = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding"
ROLE = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole"
ROLE_BINDING = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding"
ARGS = PreviewAccessArgs(name="slipway-preview-prod")


def access(*, preview: bool = False) -> Engine:
    return on_cluster(lambda opts: PreviewAccess("preview", ARGS, opts), preview=preview)


@pytest.fixture(scope="module")
def up() -> Engine:
    return access()


def test_whatever_the_group_asks_for_only_a_dry_run_passes(up: Engine) -> None:
    spec = up.one(POLICY).inputs["spec"]
    assert spec["failurePolicy"] == "Fail"
    (rule,) = spec["matchConstraints"]["resourceRules"]
    assert rule == {
        "apiGroups": ["*"],
        "apiVersions": ["*"],
        "operations": ["*"],
        "resources": ["*/*"],
        "scope": "*",
    }
    (condition,) = spec["matchConditions"]
    assert condition["expression"].endswith('"slipway:preview" in request.userInfo.groups')
    assert [one["expression"] for one in spec["validations"]] == ["has(request.dryRun) && request.dryRun"]


def test_the_policy_is_in_force(up: Engine) -> None:
    assert up.one(BINDING).inputs["spec"] == {"policyName": ARGS.name, "validationActions": ["Deny"]}
    assert up.one(POLICY).inputs["metadata"]["name"] == ARGS.name


def test_the_group_has_no_right_before_the_policy_bounds_it(up: Engine) -> None:
    assert {"preview-policy", "preview-policy-binding"} <= set(up.one(ROLE_BINDING).dependencies)
    assert up.one(ROLE_BINDING).inputs["subjects"] == [
        {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "slipway:preview"}
    ]


def test_nothing_is_deleted_executed_or_replaced_and_no_secret_is_read(up: Engine) -> None:
    rules = up.one(ROLE).inputs["rules"]
    assert {verb for rule in rules for verb in rule["verbs"]} == {"get", "list", "watch", "create", "patch"}
    resources = {resource for rule in rules for resource in rule["resources"]}
    assert "secrets" not in resources
    assert not [resource for resource in resources if "/" in resource or "*" in resource]
    assert not [rule for rule in rules if "*" in rule["apiGroups"]]


def test_rights_and_the_policy_itself_are_read_and_never_tried() -> None:
    for rule in preview_access.rules():
        if "create" in rule["verbs"]:
            assert rule["apiGroups"][0] not in ("rbac.authorization.k8s.io", "admissionregistration.k8s.io")


def test_whatever_an_environment_declares_is_tried_or_has_a_reason_not_to_be() -> None:
    declared = {
        (right.group, right.resource)
        for section in SECTIONS.values()
        for right in section
        if "create" in right.verbs and "/" not in right.resource
    }
    tried = {(group, resource) for group, resources in TRIED.items() for resource in resources}
    assert declared - tried - set(LEFT_OUT) == set()
    assert tried - declared == set(), "a right that no preview needs"
    assert set(LEFT_OUT) & tried == set()


def test_what_is_only_read_is_not_tried_as_well() -> None:
    for group, resources in READ_ONLY.items():
        assert set(resources) & set(TRIED.get(group, ())) == set()


def test_a_preview_registers_what_an_up_registers(up: Engine) -> None:
    assert registered(access(preview=True)) == registered(up)
