"""The smallest payload that a schema allows, made from the schema itself: for tests that go through every message."""

from __future__ import annotations

from typing import Any


def smallest(schema: dict[str, Any], root: dict[str, Any] | None = None, *, all_fields: bool = False) -> Any:
    """A valid instance. `all_fields`: with the optional ones too (customData left out)."""
    root = root or schema
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return smallest(root["definitions"][name], root, all_fields=all_fields)
    if "enum" in schema:
        return schema["enum"][0]
    match schema.get("type"):
        case "object":
            names = schema.get("properties", {}) if all_fields else schema.get("required", ())
            return {
                name: smallest(schema["properties"][name], root, all_fields=all_fields)
                for name in names
                if name != "customData"
            }
        case "array":
            return [smallest(schema["items"], root, all_fields=all_fields) for _ in range(schema.get("minItems", 1))]
        case "integer":
            return max(1, int(schema.get("minimum", 1)))
        case "number":
            return 1
        case "boolean":
            return True
    return "2026-11-22T10:00:00Z" if schema.get("format") == "date-time" else "x"[: schema.get("maxLength", 1)]
