"""Whether an AWS account can take an environment, asked before anything is made: every problem at once, with its fix.

It only reads.  Without the network (SLIPWAY_OFFLINE=1) nothing is asked.  What settings say by themselves is judged in
`infra.aws.rules`; here is what depends on the account and on today, and whether the pods fit the pools.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

from components.aws.naming import Names, stem
from components.seam import Place
from components.settings import GpuPoolSpec, SettingError
from infra.aws import api, kubeconfig, leftovers, quotas, room, template
from infra.aws.api import AwsUnusable, unread
from infra.aws.cluster_rules import role_of
from infra.aws.settings import AwsConfig
from infra.aws.versions import STANDARD_UNTIL
from infra.kubernetes.findings import OFFLINE, Finding

_SOON = timedelta(days=60)
_CALLS_AT_ONCE = 8
_UNKNOWN_TOKEN = {"InvalidClientTokenId", "UnrecognizedClientException"}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "SSOTokenLoadError", "UnauthorizedSSOTokenError"}
_WITHOUT_EKS = frozenset({"use1-az3", "usw1-az2", "cac1-az3"})
"""Zones, by the id that means the same in every account, in which EKS takes no subnets."""


class PreflightFailed(SettingError):
    """The account cannot take the environment; the text lists everything that stands against it."""


class Environment(Protocol):
    """The parts of an environment's config that are looked at."""

    @property
    def substrate(self) -> Any: ...
    @property
    def gpu_pools(self) -> Sequence[GpuPoolSpec]: ...
    @property
    def budget(self) -> template.Budget | None: ...
    def model_copy(self, *, update: Mapping[str, Any]) -> Any:
        """Return the same config with some settings changed."""


def require(place: Place, env: Environment) -> list[Finding]:
    """Return the warnings; nothing is asked offline.

    Raises:
        PreflightFailed: with every problem and its fix.
    """
    offline = os.environ.get(OFFLINE) == "1"
    findings = _fits(place, env) if offline else examine(place, env)
    problems = [finding for finding in findings if finding.ok is False]
    if problems:
        config: AwsConfig = env.substrate
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        told = "\n".join(f"  - {finding.name}: {finding.seen}\n    fix: {finding.fix}" for finding in problems)
        raise PreflightFailed(
            f"the AWS account {config.account} cannot take this environment in {config.region}, {count} "
            f"(nothing was changed):\n{told}"
        )
    return [finding for finding in findings if finding.ok is None]


def examine(place: Place, env: Environment) -> list[Finding]:
    """Return everything that was looked at."""
    config: AwsConfig = env.substrate
    if os.environ.get(OFFLINE) == "1":
        unasked = Finding(name="AWS", ok=None, seen=f"not asked: {OFFLINE}=1", fix=f"unset {OFFLINE}")
        return [*_fits(place, env), unasked]
    today = datetime.now(UTC).date()
    identity = [*_identity(config)]
    said = [*template.left(config, env.budget), *_version(config, today), *_fits(place, env)]
    if not all(finding.ok for finding in identity):
        return [*identity, *said]
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: _zones(config),
        lambda: _quotas(config, env.gpu_pools),
        lambda: room.examine(place, config),
        lambda: _cluster(place, config),
    )
    with ThreadPoolExecutor(_CALLS_AT_ONCE) as threads:
        found = list(threads.map(lambda check: list(check()), checks))
    asked = [finding for findings in found for finding in findings]
    return [*identity, *_administrator(place, config, identity[0].seen), *said, *asked]


def _fits(place: Place, env: Environment) -> list[Finding]:
    """Whether the pods fit the nodes of the pools, and what the namespace may ask for; nothing is asked for that."""
    from infra.aws.workloads import cluster_config  # noqa: PLC0415  it loads the SDK that declares resources
    from infra.kubernetes import demand, preflight  # noqa: PLC0415

    config: AwsConfig = env.substrate
    if config.image is None:
        return []  # there are no pods yet
    there = cluster_config(place, config, cluster_name(place, config))
    return list(preflight.sizes(demand.needs(place, env.model_copy(update={"substrate": there}))))


def _identity(config: AwsConfig) -> Iterator[Finding]:
    """Whose credentials these are, and whether the region is open to the account."""
    try:
        caller = api.ask(_client(config, "sts"), "get_caller_identity")
    except AwsUnusable as error:
        if error.code in _UNKNOWN_TOKEN and _valid_elsewhere(config):
            yield Finding(
                name="region",
                ok=False,
                seen=f"{config.region} is not enabled in the account of these credentials",
                fix=f"aws account enable-region --region-name {config.region}, or another slipway:substrate.region",
            )
            return
        yield Finding(name="credentials", ok=False, seen=str(error), fix=_login(error))
        return
    yield Finding(name="credentials", ok=True, seen=str(caller.get("Arn", "")))
    same = caller.get("Account") == config.account
    yield Finding(
        name="account",
        ok=same,
        seen=f"{caller.get('Account')}"
        + ("" if same else f", and the stack file says {config.account}: slipway:substrate.account"),
        fix="" if same else "use credentials of that account (AWS_PROFILE), or correct the stack file",
    )


def _login(error: AwsUnusable) -> str:
    if error.code in _EXPIRED:
        return "log in again (aws sso login), or renew the temporary keys"
    keys = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    return f"{keys}; without AWS: SLIPWAY_OFFLINE=1 ./pulumiw preview -s STACK"


def _administrator(place: Place, config: AwsConfig, arn: str) -> Iterator[Finding]:
    """Whether who asks may enter the cluster once it is there: EKS lets in who is listed, and not its maker."""
    caller, names = role_of(arn) or arn, _names(place, config)
    entering = {names.role_arn(role) for role in ("preview", "deploy")} if config.github else set()
    # the token of a role names it without its path
    known = {re.sub(r":role/.*/", ":role/", admin) for admin in config.cluster.admins}
    if not known or config.endpoint_url or caller in known | entering:
        return
    yield Finding(
        name="administrators",
        ok=None,
        seen=f"{caller} is none of slipway:substrate.cluster.admins: the API server of the cluster will refuse it",
        fix="list it there before `up`, or run `up` as one of them",
    )


def _valid_elsewhere(config: AwsConfig) -> bool:
    """Whether the credentials hold where every account is at home: a region that is not enabled knows no key."""
    home = {"aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}.get(_names_in(config).partition, "us-east-1")
    if home == config.region:
        return False
    try:
        api.ask(api.client("sts", home, config.endpoint_url), "get_caller_identity")
    except AwsUnusable:
        return False
    return True


def _version(config: AwsConfig, today: date) -> Iterator[Finding]:
    """Whether the version is still in standard support: later EKS bills extra, or upgrades by itself."""
    version, until = config.cluster.version, STANDARD_UNTIL.get(config.cluster.version)
    newest = max(STANDARD_UNTIL, key=lambda one: STANDARD_UNTIL[one])
    fix = f"set slipway:substrate.cluster.version to {newest}, one minor version after the other"
    if until is None or until < today:
        seen = f"{version} left EKS's standard support" + (f" on {until}" if until else "")
        yield Finding(name="Kubernetes version", ok=False, seen=seen, fix=fix)
    else:
        soon = until - today < _SOON
        yield Finding(
            name="Kubernetes version",
            ok=None if soon else True,
            seen=f"{version} is in EKS's standard support until {until}",
            fix=fix if soon else "",
        )


def _zones(config: AwsConfig) -> Iterator[Finding]:
    wanted = list(config.zones)
    try:
        found = api.ask(
            _client(config, "ec2"), "describe_availability_zones", Filters=[{"Name": "zone-name", "Values": wanted}]
        )["AvailabilityZones"]
    except AwsUnusable as error:
        yield unread("zones", error, "ec2:DescribeAvailabilityZones")
        return
    ids = {zone["ZoneName"]: zone["ZoneId"] for zone in found if zone.get("State") == "available"}
    wrong = [f"{zone} is not there" for zone in wanted if zone not in ids]
    wrong += [f"{zone} is {ids[zone]}, where EKS takes no subnets" for zone in wanted if ids.get(zone) in _WITHOUT_EKS]
    yield Finding(
        name="zones",
        ok=not wrong,
        seen="; ".join(wrong) or ", ".join(f"{zone} ({ids[zone]})" for zone in wanted),
        fix=f"name other zones of {config.region} in slipway:substrate.zones" if wrong else "",
    )


def _quotas(config: AwsConfig, pools: Sequence[GpuPoolSpec]) -> Iterator[Finding]:
    """Whether the account may run the pools' machines; accounts begin with no GPUs at all."""
    needed = quotas.needs(pools, config.gpu_nodes)
    asked = _client(config, "service-quotas") if needed else None
    for need in needed:
        try:
            found = api.ask(asked, "get_service_quota", ServiceCode=quotas.SERVICE, QuotaCode=need.quota.code)
        except AwsUnusable as error:
            yield unread(f"quota {need.quota.name}", error, "servicequotas:GetServiceQuota")
            continue
        yield _judged(need, float(found["Quota"]["Value"]), config.region)


def _judged(need: quotas.Need, value: float, region: str) -> Finding:
    pools = f"pool{'s' if len(need.pools) > 1 else ''} {', '.join(need.pools)}"
    if value < need.one_node:
        ok, rule = False, f"one node of the {pools} has {need.one_node}"
    elif value < need.at_most:
        ok, rule = None, f"the {pools} may grow to {need.at_most}"
    else:
        ok, rule = True, f"the {pools} may grow to {need.at_most}"
    fix = (
        f"aws service-quotas request-service-quota-increase --region {region} --service-code {quotas.SERVICE} "
        f"--quota-code {need.quota.code} --desired-value {need.at_most} (days), or a smaller slipway:gpu_pools.max"
    )
    seen = f"{value:g} vCPUs ({need.quota.code}); {rule}"
    return Finding(name=f"quota {need.quota.name}", ok=ok, seen=seen, fix="" if ok else fix)


def _cluster(place: Place, config: AwsConfig) -> Iterator[Finding]:
    """The stack's cluster as it is now; the kubeconfig on this machine follows it."""
    name, path = cluster_name(place, config), place.root / kubeconfig.relative(place.stack)
    try:
        state = api.cluster(name, config.region, config.endpoint_url)
    except AwsUnusable as error:
        yield unread("cluster", error, "eks:DescribeCluster")
        return
    if state is None or not state.reachable:
        path.unlink(missing_ok=True)
    else:
        kubeconfig.write(path, name, state.endpoint, state.certificate, config.region, endpoint_url=config.endpoint_url)
    going = state is not None and state.status == "DELETING"
    yield Finding(
        name="cluster",
        ok=not going,
        seen=f"{name} is not made yet" if state is None else f"{name} is {state.status}, Kubernetes {state.version}",
        fix=f"wait: aws eks wait cluster-deleted --region {config.region} --name {name}" if going else "",
    )
    if state is None:
        yield from leftovers.log_group(name, config)


def cluster_name(place: Place, config: AwsConfig) -> str:
    """Return what the stack's cluster is called; it is the kubeconfig's context too."""
    return _names(place, config).name("cluster")


def _names(place: Place, config: AwsConfig) -> Names:
    return Names(stem(place.project, place.stack), config.account, config.region)


def _names_in(config: AwsConfig) -> Names:
    return Names("any", config.account, config.region)


def _client(config: AwsConfig, service: str) -> Any:
    return api.client(service, config.region, config.endpoint_url)
