"""The Serve application as the builder returns it; nothing is started."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from tests.serving.fakes import ARGS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Ray's own, about pydantic, while it is imported
    from serving import app


def deployments(args: dict[str, Any]) -> dict[str, Any]:
    ingress: Any = app.build(args)._bound_deployment
    controller = ingress.init_args[1]._bound_deployment
    return {deployment.name: deployment for deployment in (ingress, controller)}


def test_the_application_is_an_ingress_and_one_controller_that_needs_no_cpu() -> None:
    found = deployments(ARGS)
    assert set(found) == {"Model", "ReleaseController"}
    assert found["ReleaseController"].num_replicas == 1
    assert found["ReleaseController"].ray_actor_options["num_cpus"] == 0


def test_a_replica_accepts_more_than_it_admits_so_that_health_checks_get_through() -> None:
    model = deployments({**ARGS, "limits": {"max_queued": 10}})["Model"]
    assert model.max_ongoing_requests > 10


def test_it_scales_when_it_may_and_is_fixed_when_not() -> None:
    fixed = deployments({**ARGS, "replicas": {"min": 2, "max": 2}})["Model"]
    scaled = deployments({**ARGS, "replicas": {"min": 1, "max": 3}})["Model"]
    assert fixed.num_replicas == 2
    assert fixed._deployment_config.autoscaling_config is None
    assert scaled._deployment_config.autoscaling_config.max_replicas == 3


def test_wrong_arguments_are_refused_before_anything_is_deployed() -> None:
    with pytest.raises(ValueError, match="model_name: a non-empty string"):
        app.build({**ARGS, "model_name": ""})
