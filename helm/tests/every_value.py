"""Every value of the chart is changed once, as `changes.yaml` says, and seen in
what helm renders."""

import collections
import concurrent.futures
import functools
import json
import os
import pathlib
import tempfile
import unittest

import yaml

from chart import CHART, TESTS, helm, text


def leaves(values, path=()):
    """Every value: what is no table, or an empty one."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        else:
            yield ".".join((*path, key))


def merged(values, more):
    out = dict(values)
    for key, value in more.items():
        out[key] = merged(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


def nested(path, value):
    for key in reversed(path.split(".")):
        value = {key: value}
    return value


def as_given(table):
    out = {}
    for path, value in table.items():
        out = merged(out, nested(path, value))
    return out


class EveryValue(unittest.TestCase):
    changes = yaml.safe_load((TESTS / "changes.yaml").read_text())
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())

    def test_each_is_changed(self):
        every = set(leaves(self.defaults))
        changed = set(self.changes)
        missing = {path for path in every if not any(path == other or other.startswith(f"{path}.") for other in changed)}
        self.assertEqual(missing, set(), "changes.yaml does not change them")
        known = {path for path in changed if any(path == other or path.startswith(f"{other}.") for other in every)}
        self.assertEqual(changed - known, set(), "values.yaml does not have them")

    def test_what_is_left_empty_is_empty(self):
        """`extraEnv:` with nothing behind it is null in YAML."""
        empty = {}
        for path in leaves(self.defaults):
            value = functools.reduce(lambda table, key: table[key], path.split("."), self.defaults)
            if value in ({}, []) and not path.startswith("config."):
                empty = merged(empty, nested(path, None))
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(empty, file)
            file.flush()
            self.assertEqual(helm("template", "default", "--values", file.name), text("default"))

    def test_each_change_is_seen(self):
        with tempfile.TemporaryDirectory() as folder:

            @functools.cache
            def base_of(case, given):
                return rendered(case, json.loads(given))

            def rendered(case, given):
                # Its own: others write the same values at the same time.
                with tempfile.NamedTemporaryFile("w", suffix=".yaml", dir=folder, delete=False) as file:
                    yaml.safe_dump(given, file)
                options = ["--values", file.name] if given else []
                lines = [line.strip() for line in helm("template", case, *options).splitlines()]
                # What changes along with any setting.
                return collections.Counter(line for line in lines if not line.startswith("checksum/"))

            def difference(item):
                path, change = item
                case, base = change.get("in", "default"), as_given(change.get("with", {}))
                before = base_of(case, json.dumps(base))
                after = rendered(case, merged(merged(base, as_given(change.get("and", {}))), nested(path, change["to"])))
                return path, change, list(after - before), list(before - after)

            with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
                for path, change, added, removed in pool.map(difference, self.changes.items()):
                    with self.subTest(path):
                        self.assertTrue({"adds", "removes"} & set(change), "says what is seen")
                        for key, lines in (("adds", added), ("removes", removed)):
                            for part in [change[key]] if isinstance(change.get(key), str) else change.get(key, []):
                                self.assertTrue(any(part in line for line in lines), f"{key}: {part!r} is not in {lines}")
