#!/usr/bin/env python3
"""Writes the chart's README out of the comments in its values.yaml.

    python helm/readme.py            writes it
    python helm/readme.py --check    fails when it is not what it would write
"""

import json
import pathlib
import re
import sys

import yaml

CHART = pathlib.Path(__file__).parent / "transatel-gateway"
README = CHART / "README.md"

HEAD = """\
# transatel-gateway

Written by `helm/readme.py` from the comments in [`values.yaml`](values.yaml): change them there.

Runs the gateway in Kubernetes. [docs/operations.md](../../docs/operations.md) says how to install, size, upgrade and
look after it, [docs/runbook.md](../../docs/runbook.md) what to do when an alert fires, and
[docs/kubernetes.md](../../docs/kubernetes.md) has values for OpenShift, meshes, operators' Secrets and balancers.

```sh
kubectl create secret generic transatel --from-file=client-secret
helm install gateway helm/transatel-gateway \\
  --set image.repository=REGISTRY/transatel-gateway \\
  --set config.transatel.client_id=CLIENT_ID --set config.transatel.mvno_ref=MVNO_REF \\
  --set secret.existing=transatel
```

Unknown values and combinations that cannot work are refused. A key that is not listed below, but belongs to `config`,
is in [`default.toml`](../../src/config/default.toml).
"""


def documented(text):
    """Yields (path, the comment above it) for every key, in order."""
    above, comment = [], []
    for line in text.splitlines():
        if match := re.match(r"\s*# (?! )(.*)", line):
            comment.append(match[1])
        elif match := re.match(r"( *)([A-Za-z_]+):", line):
            depth = len(match[1]) // 2
            above = above[:depth] + [match[2]]
            yield tuple(above), " ".join(comment)
            comment = []
        elif not line.strip().startswith("#"):
            comment = []


def value_at(values, path):
    for key in path:
        values = values[key]
    return values


def rows(text):
    """Yields (path, description, default). A key is a section, without a
    default of its own, when something below it is explained; otherwise it is a
    value, with whatever is below."""
    values = yaml.safe_load(text)
    keys = list(documented(text))
    value = None
    for path, description in keys:
        if value and path[: len(value)] == value:
            continue
        below = [text for other, text in keys if other[: len(path)] == path and other != path]
        if any(below):
            yield path, description, None
            continue
        if not description:
            sys.exit(f"values.yaml says nothing of {'.'.join(path)}")
        value = path
        yield path, description, value_at(values, path)


def written():
    text = (CHART / "values.yaml").read_text()
    lines = [HEAD, "| Value | Default | |", "|---|---|---|"]
    for path, description, default in rows(text):
        name = ".".join(path)
        if default is None:
            if description:
                lines.append(f"| **`{name}`** | | {description} |")
        else:
            shown = json.dumps(default, ensure_ascii=False)
            lines.append(f"| `{name}` | `{shown}` | {description} |")
    return "\n".join(lines) + "\n"


def main():
    if sys.argv[1:] == ["--check"]:
        if README.read_text() != written():
            sys.exit(f"{README} is not what its values.yaml says: run helm/readme.py")
    else:
        README.write_text(written())


if __name__ == "__main__":
    main()
