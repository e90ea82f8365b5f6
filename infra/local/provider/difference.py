"""What changed between the stored state of a resource and its new inputs, path by path.

Pure.  State holds the inputs as they were (every operation echoes them), so comparing the inputs' names is enough.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from pulumi.provider.experimental.provider import DiffResponse, PropertyDiff, PropertyDiffKind

from infra.local.provider.values import Properties

_ABSENT = object()
_REPLACING = {
    PropertyDiffKind.ADD: PropertyDiffKind.ADD_REPLACE,
    PropertyDiffKind.DELETE: PropertyDiffKind.DELETE_REPLACE,
    PropertyDiffKind.UPDATE: PropertyDiffKind.UPDATE_REPLACE,
}


@dataclass(frozen=True)
class Difference:
    """Changed paths and their kinds; `replaces` are the top-level names among them that need a new resource."""

    paths: dict[str, PropertyDiffKind] = field(default_factory=dict)
    replaces: frozenset[str] = frozenset()
    drift: frozenset[str] = frozenset()
    """Outputs that differ from what they should be, such as `running`."""
    delete_first: bool = False

    @property
    def names(self) -> frozenset[str]:
        """The top-level names of everything that changed."""
        return frozenset(_top(path) for path in self.paths) | self.drift

    def without(self, names: Iterable[str]) -> Difference:
        """Return the difference without the top-level `names`."""
        hidden = set(names)
        return replace(self, paths={path: kind for path, kind in self.paths.items() if _top(path) not in hidden})

    def response(self) -> DiffResponse:
        """Return the engine's form; `changes` is always definite."""
        detailed = {path: self._detail(path, kind) for path, kind in self.paths.items()}
        detailed |= {name: PropertyDiff(PropertyDiffKind.UPDATE, input_diff=False) for name in self.drift}
        return DiffResponse(
            changes=bool(self.names),
            replaces=sorted(self.replaces),
            diffs=sorted(self.names),
            detailed_diff=detailed,
            delete_before_replace=self.delete_first,
        )

    def _detail(self, path: str, kind: PropertyDiffKind) -> PropertyDiff:
        return PropertyDiff(_REPLACING[kind] if _top(path) in self.replaces else kind, input_diff=True)


def difference(
    names: Iterable[str],
    old: Properties,
    new: Properties,
    *,
    replacing: Iterable[str] = (),
    drift: Iterable[str] = (),
    delete_first: bool = False,
) -> Difference:
    """Compare the inputs `names` of stored state and new inputs.

    Args:
        names: the names of all inputs.
        old: stored outputs, which echo the former inputs.
        new: checked inputs; may hold unknown values, which count as changed.
        replacing: inputs whose change needs a new resource.
        drift: outputs that are not what they should be.
        delete_first: whether a replacement deletes the old resource first.
    """
    paths: dict[str, PropertyDiffKind] = {}
    for name in names:
        _compare(name, old.get(name, _ABSENT), new.get(name, _ABSENT), paths)
    changed = {_top(path) for path in paths}
    return Difference(paths, frozenset(changed & set(replacing)), frozenset(drift) - changed, delete_first)


def _compare(path: str, old: Any, new: Any, paths: dict[str, PropertyDiffKind]) -> None:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            _compare(_joined(path, key), old.get(key, _ABSENT), new.get(key, _ABSENT), paths)
    elif old is _ABSENT and new is not _ABSENT:
        paths[path] = PropertyDiffKind.ADD
    elif new is _ABSENT and old is not _ABSENT:
        paths[path] = PropertyDiffKind.DELETE
    elif old != new:
        paths[path] = PropertyDiffKind.UPDATE


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if key.isidentifier() else f'{path}["{key}"]'


def _top(path: str) -> str:
    return path.split(".", 1)[0].split("[", 1)[0]
