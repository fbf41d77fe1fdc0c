#!/usr/bin/env python3
"""check_schema.py SOURCE_DIR BINARY [SARIF_SCHEMA]: what the program prints as JSON follows the published schemas, on every example.

Where Python's jsonschema is installed it judges too, and the schemas themselves. SARIF_SCHEMA is the official schema of SARIF 2.1.0
(in the npm package @microsoft/jest-sarif: lib/schemas/sarif-2.1.0-rtm.5.json); without it, or without jsonschema, SARIF is not judged."""
import json
import pathlib
import re
import subprocess
import sys

try:
    import jsonschema
except ImportError:
    jsonschema = None

TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float)}
KNOWN = {"$schema", "title", "description", "type", "required", "properties", "additionalProperties", "items", "enum",
         "pattern", "minimum", "minItems"}


def check(value, schema, path, errors):
    unknown = set(schema) - KNOWN
    if unknown:
        errors.append(f"{path}: this checker does not know {sorted(unknown)}")
    if "enum" in schema and value not in schema["enum"]:
        errors.append(f"{path}: {value!r} is none of {schema['enum']}")
    kind = schema.get("type")
    if kind and (not isinstance(value, TYPES[kind]) or isinstance(value, bool)):
        errors.append(f"{path}: {type(value).__name__} instead of {kind}")
        return
    if "pattern" in schema and not re.search(schema["pattern"], value):
        errors.append(f"{path}: {value!r} does not match {schema['pattern']}")
    if "minimum" in schema and value < schema["minimum"]:
        errors.append(f"{path}: {value} is below {schema['minimum']}")
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        errors += [f"{path}: '{name}' is missing" for name in schema.get("required", []) if name not in value]
        for name, inner in value.items():
            if name in properties:
                check(inner, properties[name], f"{path}.{name}", errors)
            elif schema.get("additionalProperties") is False:
                errors.append(f"{path}: '{name}' is not in the schema")
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            errors.append(f"{path}: too short")
        for i, item in enumerate(value):
            check(item, schema.get("items", {}), f"{path}[{i}]", errors)


def by_library(value, schema, what, errors):
    """The same question to a validator that others wrote."""
    validator = jsonschema.validators.validator_for(schema)
    validator.check_schema(schema)
    errors += [f"{what}: {error.json_path}: {error.message[:200]}" for error in validator(schema).iter_errors(value)]


def main():
    source, binary = pathlib.Path(sys.argv[1]), sys.argv[2]
    errors = []
    for verb in ("audit", "report"):
        schema = json.loads((source / "docs/schema" / f"{verb}.json").read_text())
        for stack in sorted(path for path in (source / "examples").iterdir() if path.is_dir()):
            done = subprocess.run([binary, verb, str(stack), "--format", "json"], capture_output=True, text=True, check=False)
            if done.returncode > 1:
                errors.append(f"{verb} {stack.name}: exit status {done.returncode}: {done.stderr}")
                continue
            check(json.loads(done.stdout), schema, f"{verb} {stack.name}", errors)
            if jsonschema:
                by_library(json.loads(done.stdout), schema, f"{verb} {stack.name}", errors)
    judged = "our own check" + (" and jsonschema" if jsonschema else "")
    if jsonschema and len(sys.argv) > 3:
        schema = json.loads(pathlib.Path(sys.argv[3]).read_text())
        for stack in sorted(path for path in (source / "examples").iterdir() if path.is_dir()):
            done = subprocess.run([binary, "audit", str(stack), "--format", "sarif"], capture_output=True, text=True, check=False)
            by_library(json.loads(done.stdout), schema, f"SARIF of {stack.name}", errors)
        judged += ", SARIF 2.1.0 too"
    print("\n".join(errors) or f"every answer follows its schema ({judged})")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
