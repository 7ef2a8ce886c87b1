"""What operators may change of the pods, and what stays the chart's."""

import pathlib
import shutil
import tempfile
import unittest

import yaml

from chart import CASES, CHART, NAMESPACE, container, named, pod, render, run, values_of


def names(items):
    return [item["name"] for item in items]


class Pods(unittest.TestCase):
    def test_a_variable_is_there_once_and_the_operators_wins(self):
        for case in CASES:
            with self.subTest(case):
                self.assertEqual(len(names(container(case)["env"])), len(set(names(container(case)["env"]))))
        options = ["--set", "extraEnv[0].name=GATEWAY__GRPC__LISTEN,extraEnv[0].value=127.0.0.1:50051"]
        env = {variable["name"]: variable["value"] for variable in container("default", *options)["env"]}
        self.assertEqual(env, {"GATEWAY__GRPC__LISTEN": "127.0.0.1:50051", "GATEWAY__ADMIN__LISTEN": "0.0.0.0:9090"})

    def test_no_label_or_annotation_of_an_operator_replaces_what_selects_or_rolls(self):
        template = pod("everything")
        self.assertEqual(template["metadata"]["labels"]["app.kubernetes.io/instance"], "gateway")
        self.assertEqual(template["metadata"]["labels"]["example.com/team"], "connectivity")
        self.assertEqual(len(template["metadata"]["annotations"]["checksum/config"]), 64)
        for document in render("everything"):
            if document["metadata"]["name"] not in ("esim-extra", "esim-text"):
                self.assertEqual(document["metadata"]["labels"]["example.com/cost-centre"], "4711", document["kind"])
                self.assertEqual(document["metadata"]["labels"]["app.kubernetes.io/instance"], "gateway")
        self.assertEqual(template["metadata"]["labels"]["example.com/cost-centre"], "4711")
        self.assertNotIn("example.com/cost-centre", named("everything", "Deployment")["spec"]["selector"]["matchLabels"])

    def test_what_is_null_is_left_to_the_cluster(self):
        """As OpenShift's `restricted` requires it."""
        left = "podSecurityContext.runAsUser=null,podSecurityContext.runAsGroup=null,podSecurityContext.fsGroup=null"
        security = pod("default", "--set", left)["spec"]["securityContext"]
        self.assertEqual(set(security), {"runAsNonRoot", "fsGroupChangePolicy", "seccompProfile"})
        spec = pod("default", "--set", "podSecurityContext=null,securityContext=null")["spec"]
        self.assertNotIn("securityContext", spec)
        self.assertNotIn("securityContext", spec["containers"][0])

    def test_probes_are_changed_field_by_field_or_replaced(self):
        own = container("default", "--set", "probes.liveness.tcpSocket.port=50051,probes.startup=null,probes.readiness.successThreshold=1")
        self.assertNotIn("startupProbe", own)
        self.assertEqual(own["livenessProbe"]["tcpSocket"], {"port": 50051})
        self.assertNotIn("httpGet", own["livenessProbe"])
        self.assertEqual(own["readinessProbe"]["grpc"], {"port": 50051})
        self.assertEqual(own["readinessProbe"]["successThreshold"], 1)

    def test_containers_and_objects_come_beside_the_charts(self):
        spec = pod("everything")["spec"]
        self.assertEqual(names(spec["containers"]), ["gateway", "beside"])
        self.assertEqual(names(spec["initContainers"]), ["wait"])
        extra = named("everything", "ConfigMap", "-extra")
        self.assertEqual(extra["data"], {"release": "gateway"})
        named("everything", "ConfigMap", "-text")

    def test_a_new_version_of_the_chart_alone_restarts_nothing(self):
        """The image is named by its digest."""
        digest = ["--set", "image.digest=sha256:" + 64 * "a"]
        with tempfile.TemporaryDirectory() as folder:
            new = pathlib.Path(folder) / "transatel-gateway"
            shutil.copytree(CHART, new)
            metadata = yaml.safe_load((new / "Chart.yaml").read_text()) | {"version": "9.9.9", "appVersion": "9.9.9"}
            (new / "Chart.yaml").write_text(yaml.safe_dump(metadata))
            moved = run("helm", "template", "gateway", new, "--namespace", NAMESPACE, "--values", values_of("postgres"), *digest)
        [after] = [document for document in yaml.safe_load_all(moved) if document and document["kind"] == "Deployment"]
        self.assertEqual(after["metadata"]["labels"]["helm.sh/chart"], "transatel-gateway-9.9.9")
        self.assertEqual(after["spec"], named("postgres", "Deployment", "", *digest)["spec"])
