"""How many pods there are, and who says so."""

import http.server
import json
import os
import pathlib
import tempfile
import threading
import unittest

import yaml

from chart import CHART, NAMESPACE, named, objects, pod, render, run, values_of


class ApiServer:
    """As much of an API server as helm needs to look a Deployment up."""

    def __init__(self, documents, replicas):
        name = "gateway-transatel-gateway"
        release = {"meta.helm.sh/release-name": "gateway", "meta.helm.sh/release-namespace": NAMESPACE}
        ours = {"labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": release}
        answers = {
            "/version": {"major": "1", "minor": "36", "gitVersion": "v1.36.0"},
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{name}": {
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, **ours}, "spec": {"replicas": replicas}},
        }
        groups = {}
        for version, kind in sorted({(document["apiVersion"], document["kind"]) for document in documents}):
            path = f"/apis/{version}" if "/" in version else f"/api/{version}"
            held = answers.setdefault(path, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": []})
            one = kind.lower()
            held["resources"].append({"name": f"{one}s", "singularName": one, "kind": kind, "namespaced": True, "verbs": ["get", "list"]})
            if "/" in version:
                group, short = version.split("/")
                groups[group] = {"name": group, "versions": [{"groupVersion": version, "version": short}]}
        answers["/apis"] = {"kind": "APIGroupList", "apiVersion": "v1", "groups": list(groups.values())}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                answer = answers.get(self.path.split("?")[0])
                missing = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
                body = json.dumps(answer or missing).encode()
                self.send_response(200 if answer else 404)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


class Scaling(unittest.TestCase):
    def upgraded(self, replicas, *options):
        """What an upgrade makes of a Deployment that has so many pods."""
        with tempfile.TemporaryDirectory() as folder, ApiServer(render("postgres", *options), replicas) as address:
            file = pathlib.Path(folder) / "kubeconfig"
            file.write_text(json.dumps({
                "apiVersion": "v1", "kind": "Config", "current-context": "test", "users": [{"name": "test", "user": {}}],
                "clusters": [{"name": "test", "cluster": {"server": address}}],
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            }))
            out = run(
                "helm", "template", "gateway", CHART, "--namespace", NAMESPACE, "--values", values_of("postgres"), *options,
                "--dry-run=server", "--disable-openapi-validation", "--kubeconfig", file, env=os.environ | {"HOME": folder})
        [deployment] = [document for document in yaml.safe_load_all(out) if document and document["kind"] == "Deployment"]
        return deployment["spec"].get("replicas")

    def test_autoscaling_that_is_switched_on_keeps_the_pods_there_are(self):
        self.assertEqual(self.upgraded(3, "--set", "autoscaling.enabled=true"), 3)
        self.assertEqual(self.upgraded(5, "--set", "autoscaling.enabled=true"), 5, "what the autoscaler has set since")
        self.assertEqual(self.upgraded(5, "--set", "replicas=null"), 5)
        self.assertEqual(self.upgraded(5), 3, "the chart's number without one")

    def test_another_autoscaler_keeps_the_budget_and_the_spread(self):
        for options in (["--set", "replicas=null"], ["--set", "autoscaling.enabled=true,replicas=1"]):
            self.assertNotIn("replicas", named("postgres", "Deployment", "", *options)["spec"])
            self.assertEqual(len(objects("postgres", "PodDisruptionBudget", *options)), 1)
            self.assertEqual(len(pod("postgres", *options)["spec"]["topologySpreadConstraints"]), 2)
        self.assertEqual(objects("postgres", "PodDisruptionBudget", "--set", "replicas=1"), [])

    def test_metrics_of_the_operator_replace_the_cpu(self):
        spec = named("everything", "HorizontalPodAutoscaler")["spec"]
        self.assertEqual([metric["type"] for metric in spec["metrics"]], ["Pods"])
        self.assertEqual(spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"], 600)
        plain = named("postgres", "HorizontalPodAutoscaler", "", "--set", "autoscaling.enabled=true")["spec"]
        self.assertEqual(plain["metrics"][0]["resource"]["name"], "cpu")
        self.assertNotIn("behavior", plain)
