"""Which properties of an AWS resource exist: what a program registers, held against pulumi_aws's own input types.

Mocks take any property, and so does the SDK where a plain dict is given: a misspelt or renamed one would be dropped
without a word by the provider. It knows nothing about what a value should be.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Union, get_args, get_origin

from pulumi import _types

_SECRET = "4dabf18193072939515e22adb298388d"  # the signature of a wrapped value on the wire


class UnknownPropertyError(AssertionError):
    """A registration that pulumi_aws's classes do not describe."""


def check_all(registrations: Iterable[Any]) -> int:
    """Check every AWS resource among recorded registrations (`.type`, `.name`, `.inputs`); how many there were.

    Raises:
        UnknownPropertyError: one line a property.
    """
    found, wrong = 0, []
    for item in registrations:
        if item.type.startswith("aws:"):
            found += 1
            wrong += [f"{item.name}: {problem}" for problem in problems(item.type, item.inputs)]
    if wrong:
        raise UnknownPropertyError("\n".join(wrong))
    return found


def check(token: str, inputs: Mapping[str, Any]) -> None:
    """Check the inputs of one resource, by the names they have on the wire.

    Raises:
        UnknownPropertyError: one line a property.
    """
    if wrong := problems(token, inputs):
        raise UnknownPropertyError("\n".join(wrong))


def problems(token: str, inputs: Mapping[str, Any]) -> list[str]:
    """What the resource's input types do not have, or have otherwise, or require; unknown values count as absent."""
    return _object(token, _arguments(token), inputs)


@functools.cache
def _arguments(token: str) -> type:
    """The class of the arguments of a resource type."""
    module, name = token.removeprefix("aws:").split(":")
    try:
        python = importlib.import_module(f"pulumi_aws.{module.split('/')[0]}")
        resource = getattr(python, name)
        # where a nested type has the name of a resource's own arguments, those are called otherwise
        own = vars(sys.modules[resource.__module__])
        arguments = own.get(f"{name}InitArgs") or own[f"{name}Args"]
    except (ImportError, AttributeError, KeyError) as error:
        raise UnknownPropertyError(f"pulumi_aws has no resource {token}") from error
    if f'"""{name} is deprecated: ' in inspect.getsource(resource):
        raise UnknownPropertyError(f"{token} is an old name that pulumi_aws keeps for old programs")
    if resource.pulumi_type != token:
        raise UnknownPropertyError(f"{name} has the type {resource.pulumi_type}, not {token}")
    return typing.cast(type, arguments)


def _object(path: str, args: type, value: Mapping[str, Any]) -> list[str]:
    types = _types.input_type_types(args)
    wrong = [f"{path}.{name}: {args.__name__} has no such property" for name in sorted(value.keys() - types.keys())]
    names = _types.input_type_py_to_pulumi_names(args)
    signature = inspect.signature(args.__init__)  # type: ignore[misc]
    required = {
        names[parameter.name]
        for parameter in signature.parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and parameter.default is inspect.Parameter.empty
    }
    wrong += [f"{path}.{name}: {args.__name__} requires it" for name in sorted(required - value.keys())]
    for name in sorted(value.keys() & types.keys()):
        wrong += _value(f"{path}.{name}", types[name], value[name])
    return wrong


def _value(path: str, expected: Any, value: Any) -> list[str]:
    value = _unwrapped(value)
    if value is None:
        return []
    branches = list(_branches(expected))
    answers = [_branch(path, branch, value) for branch in branches]
    return min(answers, key=len) if answers else []


def _branches(expected: Any) -> Iterable[Any]:
    """What a property may be, without the wrappers of an input."""
    if get_origin(expected) is Union or type(expected).__name__ == "UnionType":
        for part in get_args(expected):
            if part is not type(None) and not _is_wrapper(part):
                yield from _branches(part)
    else:
        yield expected


def _is_wrapper(part: Any) -> bool:
    name = getattr(get_origin(part), "__name__", "")
    return name in {"Awaitable", "Output"}


def _branch(path: str, expected: Any, value: Any) -> list[str]:
    origin = get_origin(expected)
    if isinstance(expected, type) and _types.is_input_type(expected):
        return _object(path, expected, value) if isinstance(value, Mapping) else _not(path, expected.__name__, value)
    if isinstance(origin, type) and issubclass(origin, Sequence):
        if isinstance(value, (str, Mapping)) or not isinstance(value, Sequence):
            return _not(path, "a list", value)
        (item,) = get_args(expected)
        return [line for index, part in enumerate(value) for line in _value(f"{path}[{index}]", item, part)]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            return _not(path, "a map", value)
        item = get_args(expected)[1]
        return [line for name, part in value.items() for line in _value(f"{path}.{name}", item, part)]
    return _scalar(path, expected, value)


def _not(path: str, expected: str, value: Any) -> list[str]:
    return [f"{path}: expected {expected}, got {type(value).__name__}"]


def _scalar(path: str, expected: Any, value: Any) -> list[str]:
    # numbers are floats on the wire, and the SDK's monitor turns whole ones back
    kinds: dict[Any, tuple[type, ...]] = {str: (str,), bool: (bool,), int: (int, float), float: (int, float)}
    allowed = kinds.get(expected)
    wrong = allowed is not None and (
        not isinstance(value, allowed) or (isinstance(value, bool) and expected is not bool)
    )
    return _not(path, expected.__name__, value) if wrong else []


def _unwrapped(value: Any) -> Any:
    if isinstance(value, Mapping) and _SECRET in value and "value" in value:
        return value["value"]
    return value
