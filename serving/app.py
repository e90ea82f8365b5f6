"""The Ray Serve application: ``serving.app:build``.  Deployment options live here, and nothing else does.

The ingress holds the model itself, as a plain ASGI object: no second hop and no framework on the hot path.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle

from serving import image, settings
from serving.access import Access
from serving.controller import Controller, Wish
from serving.follower import Follower
from serving.loopback import keep_on_loopback
from serving.registry import Registry
from serving.service import Service
from serving.settings import Settings

_HEADROOM = 64
"""Requests that a replica accepts beyond the predictions it admits, so that health checks always get through."""
_QUIET = {"enable_access_log": False}


@serve.ingress()
class Model:
    """The ingress: one `Service` per replica."""

    def __init__(self, config: Settings, controller: DeploymentHandle[Any]) -> None:
        keep_on_loopback()
        self._controller = controller  # binding it is what makes Serve run it
        follower = Follower(Registry(config.tracking_uri), config.model_name, config.poll_s)
        self._service = Service(config, follower, Access.from_environment())

    def __serve_build_asgi_app__(self) -> Service:  # the name that Serve asks for
        return self._service


class ReleaseController:
    """Runs the release controller beside the replicas; takes what the stack asks for from its user_config."""

    def __init__(self, config: Settings) -> None:
        keep_on_loopback()
        self._controller = Controller(Registry(config.tracking_uri), config.model_name, config.poll_s)
        self._running = asyncio.get_running_loop().create_task(self._controller.run())

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take the candidate and the release policy."""
        self._controller.wish = Wish.parse(user_config)

    def check_health(self) -> None:
        """Tell Serve to replace this replica should its loop ever end."""
        if self._running.done():
            raise RuntimeError("the release controller has ended")


def build(args: dict[str, Any]) -> serve.Application:
    """Return the application for the arguments (see `serving.settings`).

    Raises:
        ValueError: the arguments are wrong, every fault is named; or the image holds other code.
    """
    config = settings.parse(args)
    image.verify(config.code_digest)
    controller = _deployment(
        ReleaseController,
        name="ReleaseController",
        num_replicas=1,
        ray_actor_options={"num_cpus": 0},
        max_ongoing_requests=8,
        user_config={"candidate": None, "release": {"strategy": "rolling"}},
        graceful_shutdown_timeout_s=1,
        graceful_shutdown_wait_loop_s=0.2,
        logging_config=_QUIET,
    ).bind(config)
    application: serve.Application = _model(config).bind(config, controller)
    return application


def _deployment(cls: Any, **options: Any) -> Any:
    return serve.deployment(**options)(cls)


def _model(config: Settings) -> Any:
    scale: dict[str, Any] = {"num_replicas": config.min_replicas}
    if config.max_replicas > config.min_replicas:
        scale = {
            "autoscaling_config": {
                "min_replicas": config.min_replicas,
                "max_replicas": config.max_replicas,
                "target_ongoing_requests": 32,
                "upscale_delay_s": 5,
                "downscale_delay_s": 120,
            }
        }
    return _deployment(
        Model,
        name="Model",
        **scale,
        ray_actor_options={"num_cpus": 0.5},
        max_ongoing_requests=config.max_queued + _HEADROOM,
        max_queued_requests=_HEADROOM,
        max_surge_percent=100,  # a new replica has its model before the old one goes
        health_check_period_s=2,
        health_check_timeout_s=10,
        graceful_shutdown_timeout_s=config.request_timeout_s,
        graceful_shutdown_wait_loop_s=0.2,
        logging_config=_QUIET,
    )
