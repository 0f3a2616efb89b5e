"""ARM templates, resolved: as much of the language as the tutorial's template uses.

Parameters with a value or a default, and resources whose texts may be "[parameters('x')]".
Every other expression is refused by name, so that nobody takes a template for tested here
that was only half understood.
Source: https://learn.microsoft.com/azure/azure-resource-manager/templates/syntax
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .arm_errors import invalid_template
from .resources import POOL_TYPE, Json

_PARAMETER = re.compile(r"\[\s*parameters\(\s*'([^']*)'\s*\)\s*\]", re.IGNORECASE)
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "securestring": (str,),
    "int": (int,),
    "bool": (bool,),
    "object": (dict,),
    "secureobject": (dict,),
    "array": (list,),
}
# Parts of a template that would have to be understood and are not.
_UNKNOWN_PARTS = ("variables", "functions", "outputs")
_UNKNOWN_MEMBERS = ("copy", "condition", "dependson", "scope")


@dataclass(frozen=True)
class TemplateResource:
    """A resource of a template, with all expressions replaced."""

    api_version: str
    name: str
    body: Json


def resolve(template: Any, given: Any) -> list[TemplateResource]:
    """Return the resources that a template asks for.

    given: the deployment's parameters, {"name": {"value": ...}}.
    Raises ArmError: InvalidTemplate, with what cannot be understood.
    """
    if not isinstance(template, dict):
        raise invalid_template("the template is missing or is no object")
    for part in _UNKNOWN_PARTS:
        if template.get(part):
            raise invalid_template(f"this server does not understand the template's '{part}'")
    values = _parameters(_or_empty(template.get("parameters")), _or_empty(given))
    resources = template.get("resources")
    if not isinstance(resources, list):
        raise invalid_template("the template's 'resources' is missing or is no array")
    found = [_resource(_replace(resource, values)) for resource in resources]
    names = [resource.name.lower() for resource in found]
    for name in names:
        if names.count(name) > 1:
            raise invalid_template(f"the resource '{name[:100]}' is defined multiple times")
    return found


def shown(template: Any, given: Any) -> Json:
    """Return the parameters of a deployment as they are answered: secure ones without value."""
    declared = {name.lower(): item for name, item in _or_empty(template.get("parameters")).items()}
    parameters = {}
    for name, value in _or_empty(given).items():
        kind = str(declared[name.lower()]["type"])
        is_secure = kind.lower().startswith("secure")
        parameters[name] = {"type": kind} if is_secure else {"type": kind, **value}
    return parameters


def _or_empty(value: Any) -> Any:
    return {} if value is None else value


def _parameters(declared: Any, given: Any) -> Json:
    """Return parameter values by lowercase name: names do not depend on case."""
    if not isinstance(declared, dict) or not isinstance(given, dict):
        raise invalid_template("parameters must be an object")
    known = {name.lower() for name in declared}
    for name in given:
        if name.lower() not in known:
            raise invalid_template(
                f"the following parameters were supplied, but do not correspond to any parameters "
                f"defined in the template: {name}"
            )
    supplied = {name.lower(): value for name, value in given.items()}
    values = {}
    for name, declaration in declared.items():
        if not isinstance(declaration, dict):
            raise invalid_template(f"the declaration of parameter '{name}' is no object")
        values[name.lower()] = _value(name, declaration, supplied.get(name.lower()))
    return values


def _value(name: str, declaration: Json, supplied: Any) -> Any:
    types = _TYPES.get(str(declaration.get("type", "")).lower())
    if types is None:
        raise invalid_template(f"the type of parameter '{name}' is missing or unknown")
    if isinstance(supplied, dict) and "value" in supplied:
        value = supplied["value"]
    elif supplied is not None:
        raise invalid_template(f"the parameter '{name}' must be an object with 'value'")
    elif "defaultValue" in declaration:
        # A default may be an expression; parameters may not be used in it.
        value = _replace(declaration["defaultValue"], {})
    else:
        raise invalid_template(f"the value for the template parameter '{name}' is not provided")
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        wanted = declaration["type"]
        raise invalid_template(f"the value of parameter '{name}' must be of type {wanted}")
    allowed = declaration.get("allowedValues")
    if isinstance(allowed, list) and value not in allowed:
        raise invalid_template(f"the value of parameter '{name}' is not an allowed value")
    return value


def _replace(value: Any, values: Json) -> Any:
    """Return a value of a template with its expressions replaced."""
    if isinstance(value, dict):
        return {key: _replace(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_replace(item, values) for item in value]
    if not isinstance(value, str) or not (value.startswith("[") and value.endswith("]")):
        return value
    if value.startswith("[["):
        return value[1:]  # the language's way to write a text that begins with a bracket
    match = _PARAMETER.fullmatch(value)
    if match is None:
        raise invalid_template(
            f"this server understands no expression but [parameters('name')], found {value[:200]}"
        )
    if match[1].lower() not in values:
        raise invalid_template(f"the template parameter '{match[1]}' is not found")
    return values[match[1].lower()]


def _resource(resource: Any) -> TemplateResource:
    if not isinstance(resource, dict):
        raise invalid_template("a resource of the template is no object")
    members = {key.lower(): value for key, value in resource.items()}
    kind, version, name = (members.get(key) for key in ("type", "apiversion", "name"))
    if not (isinstance(kind, str) and isinstance(version, str) and isinstance(name, str)):
        raise invalid_template("a resource of the template lacks 'type', 'apiVersion' or 'name'")
    if kind.lower() != POOL_TYPE.lower():
        raise invalid_template(f"this server deploys {POOL_TYPE} only, not '{kind[:100]}'")
    for member in _UNKNOWN_MEMBERS:
        # Empty, or always true: as if it were not there.
        if members.get(member) not in (None, [], True):
            raise invalid_template(f"this server does not understand '{member}' of a resource")
    return TemplateResource(version, name, resource)
