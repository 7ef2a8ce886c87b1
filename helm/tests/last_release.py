"""An upgrade from the chart of the last release (`.ci/last-release`): its values
are accepted, and nothing that Kubernetes does not change changes."""

import io
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest

import yaml

from chart import CHART, NAMESPACE, ROOT, run


def git(*words):
    return subprocess.run(["git", "-C", ROOT, *words], capture_output=True)


def release():
    lines = (ROOT / ".ci/last-release").read_text().splitlines()
    [commit] = [line for line in lines if line.strip() and not line.startswith("#")]
    return commit


def is_missing():
    if git("cat-file", "-e", f"{release()}^{{commit}}").returncode == 0:
        return False
    # Where the history should be whole, its absence is a fault.
    return git("rev-parse", "--is-shallow-repository").stdout.strip() == b"true"


class LastRelease(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if is_missing():
            line = f"the upgrade of the chart was NOT rendered: this clone is shallow and does not have {release()}."
            print("", 80 * "!", f"!! {line}", 80 * "!", sep="\n", file=sys.stderr)
            raise unittest.SkipTest(line)
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        archive = git("archive", release(), "helm")
        if archive.returncode != 0:
            raise AssertionError(archive.stderr.decode())
        tarfile.open(fileobj=io.BytesIO(archive.stdout)).extractall(cls.folder.name, filter="data")
        cls.old = pathlib.Path(cls.folder.name) / "helm"
        cls.cases = sorted((cls.old / "tests/values").glob("*.yaml"))

    def before(self, case):
        text = run("helm", "template", "gateway", self.old / "transatel-gateway", "--namespace", NAMESPACE, "--values", case)
        return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(text) if one}

    def after(self, case, *options):
        text = run("helm", "template", "gateway", CHART, "--namespace", NAMESPACE, *options, "--values", case)
        return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(text) if one}

    def test_its_values_are_accepted(self):
        self.assertGreaterEqual(len(self.cases), 5)
        for case in self.cases:
            with self.subTest(case.stem):
                # `--reset-then-reuse-values`, and every value of then written out.
                self.after(case)
                self.after(case, "--values", self.old / "transatel-gateway/values.yaml")

    def test_values_without_those_of_this_chart_are_refused_by_name(self):
        """As `--reuse-values` has them: it forgets the defaults of the new chart."""
        with tempfile.TemporaryDirectory() as folder:
            chart = pathlib.Path(folder) / "transatel-gateway"
            shutil.copytree(CHART, chart)
            shutil.copy(self.old / "transatel-gateway/values.yaml", chart / "values.yaml")
            said = run("helm", "template", "gateway", chart, "--values", self.cases[0], fails=True)
        self.assertIn("missing propert", said)
        self.assertIn("'probes'", said)

    def test_every_object_is_still_there_and_can_be_changed(self):
        fixed = {
            "Deployment": lambda spec: spec["selector"],
            "PersistentVolumeClaim": lambda spec: spec,
            "Service": lambda spec: spec.get("clusterIP"),
        }
        seen = set()
        for case in self.cases:
            after = self.after(case)
            for key, old in self.before(case).items():
                with self.subTest(case=case.stem, object=key):
                    self.assertIn(key, after, "removed by the upgrade")
                    self.assertEqual(after[key]["apiVersion"], old["apiVersion"])
                    if key[0] in fixed:
                        seen.add(key[0])
                        self.assertEqual(fixed[key[0]](after[key]["spec"]), fixed[key[0]](old["spec"]))
        self.assertEqual(seen, set(fixed))

    def test_services_still_select_the_pods_of_before(self):
        """During the rollout: the old pods keep their labels."""
        for case in self.cases:
            [old] = [one for (kind, _), one in self.before(case).items() if kind == "Deployment"]
            labels = old["spec"]["template"]["metadata"]["labels"].items()
            for (kind, name), service in self.after(case).items():
                if kind == "Service":
                    self.assertLessEqual(service["spec"]["selector"].items(), labels, name)
