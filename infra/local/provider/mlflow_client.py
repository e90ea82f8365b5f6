"""What the provider asks the tracking server: finished runs, their results, and a model's release state.

REST only, read only; `mlflow` itself is never imported.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from infra.local.provider.failure import Failure
from infra.local.provider.http import Answer, Http, Unreachable

RESULT_TAG = "slipway.result"
IDENTITY_TAG = "slipway.identity"
RELEASE_TAG = "slipway.release.state"
_NOT_FOUND = 404


@dataclass(frozen=True)
class Model:
    """A registered model as far as releases are concerned."""

    aliases: dict[str, str]
    release: dict[str, Any]
    """What the release controller recorded; empty before its first word."""

    @property
    def champion(self) -> str | None:
        return self.aliases.get("champion")

    @property
    def challenger(self) -> str | None:
        return self.aliases.get("challenger")


class Tracking:
    """One tracking server."""

    def __init__(self, http: Http, url: str) -> None:
        self._http = http
        self.url = url.rstrip("/")

    async def finished_run(self, model_name: str, identity: str) -> dict[str, Any] | None:
        """Return the result of the finished run of an identity, or None.

        Raises:
            Unreachable: the tracking server does not answer.
        """
        experiment = await self._experiment(f"slipway/{model_name}")
        if experiment is None:
            return None
        wanted = f"tags.`{IDENTITY_TAG}` = '{identity}' AND attributes.status = 'FINISHED'"
        search = {
            "experiment_ids": [experiment],
            "filter": wanted,
            "max_results": 20,
            "order_by": ["attributes.start_time DESC"],
        }
        answer = await self._ask("POST", "runs/search", body=search)
        for run in answer.json().get("runs", []):
            if result := _result(run):
                return result
        return None

    async def run_exists(self, run_id: str) -> bool:
        """Tell whether a run is there and not deleted.

        Raises:
            Unreachable: the tracking server does not answer, or answers that it cannot.
        """
        answer = await self._ask("GET", "runs/get", query={"run_id": run_id}, missing=True)
        if answer.status == _NOT_FOUND:
            return False
        return bool(answer.json()["run"]["info"].get("lifecycle_stage") != "deleted")

    async def result(self, run_id: str) -> dict[str, Any] | None:
        """Return the result that a run recorded, or None."""
        answer = await self._ask("GET", "runs/get", query={"run_id": run_id}, missing=True)
        return None if answer.status == _NOT_FOUND else _result(answer.json()["run"])

    async def model(self, name: str) -> Model:
        """Return a registered model; one that does not exist has no aliases."""
        answer = await self._ask("GET", "registered-models/get", query={"name": name}, missing=True)
        if answer.status == _NOT_FOUND:
            return Model({}, {})
        found = answer.json()["registered_model"]
        aliases = {item["alias"]: str(item["version"]) for item in found.get("aliases", [])}
        return Model(aliases, _json_tag(found.get("tags", []), RELEASE_TAG) or {})

    async def _experiment(self, name: str) -> str | None:
        answer = await self._ask("GET", "experiments/get-by-name", query={"experiment_name": name}, missing=True)
        if answer.status == _NOT_FOUND:
            return None
        experiment = answer.json()["experiment"]
        return str(experiment["experiment_id"]) if experiment.get("lifecycle_stage") != "deleted" else None

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        body: dict[str, Any] | None = None,
        query: dict[str, str] | None = None,
        missing: bool = False,
    ) -> Answer:
        answer = await self._http.request(
            method,
            f"{self.url}/api/2.0/mlflow/{path}",
            body=None if body is None else json.dumps(body),
            query=query,
        )
        if answer.ok or (missing and answer.status == _NOT_FOUND):
            return answer
        raise Unreachable(f"{path} at {self.url} answered {answer.status}: {answer.text[:300]}")


def _result(run: dict[str, Any]) -> dict[str, Any] | None:
    return _json_tag(run["data"].get("tags", []), RESULT_TAG)


def _json_tag(tags: list[dict[str, str]], key: str) -> dict[str, Any] | None:
    text = next((tag["value"] for tag in tags if tag["key"] == key), None)
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Failure(f"the tag {key} does not hold JSON: {text[:200]}") from error
    return value if isinstance(value, dict) else None
