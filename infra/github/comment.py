"""One comment on a pull request, made once and edited from then on.

It speaks to GitHub's REST API with the workflow's own token, which it neither prints nor keeps.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_TIMEOUT_S = 30
_PAGE = 100
AUTHOR = "github-actions[bot]"
"""Who writes with a workflow's token; a comment of anybody else that holds the marker is left alone."""


class Refused(Exception):
    """GitHub did not do it; the text says what and why."""


@dataclass(frozen=True)
class Api:
    """GitHub's API as a workflow sees it."""

    url: str
    repository: str
    token: str

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send one request below the repository and return the answer.

        Raises:
            Refused: GitHub refused, or does not answer.
        """
        url = f"{self.url}/repos/{self.repository}/{path}"
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, content, headers, method=method)  # noqa: S310  of the workflow
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310  as above
                return json.load(answer)
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")[:300]
            fix = "; the job needs the permission pull-requests: write" if error.code in (401, 403) else ""
            raise Refused(f"{method} {path} was answered with {error.code}: {said}{fix}") from None
        except (OSError, ValueError) as error:
            raise Refused(f"{method} {path}: {error}") from None


def publish(api: Api, pull_request: int, text: str, marker: str) -> str:
    """Make the comment that holds the marker say the text; return its address.

    Raises:
        Refused: GitHub did not do it.
    """
    if marker not in text:
        raise ValueError("a text without its marker would be a new comment each time")
    for comment in _comments(api, pull_request):
        if marker in str(comment.get("body")) and (comment.get("user") or {}).get("login") == AUTHOR:
            changed = api.call("PATCH", f"issues/comments/{comment['id']}", {"body": text})
            return str(changed["html_url"])
    return str(api.call("POST", f"issues/{pull_request}/comments", {"body": text})["html_url"])


def _comments(api: Api, pull_request: int) -> Iterator[Mapping[str, Any]]:
    page = 1
    while True:
        found = api.call("GET", f"issues/{pull_request}/comments?per_page={_PAGE}&page={page}")
        yield from found
        if len(found) < _PAGE:
            return
        page += 1
