"""The values that `docs/kubernetes.md` shows: each is rendered, strictly, and
does what its text says."""

import functools
import pathlib
import re
import tempfile
import tomllib
import unittest

import kubernetes_validate

import foreign
from chart import KUBERNETES, ROOT, printed_by_the_gateway, render

# Native sidecars.
SINCE = {"A proxy to the database": "1.29"}


@functools.cache
def recipes():
    """By heading, the values of its block."""
    found = {}
    for section in re.split(r"^##+ ", (ROOT / "docs/kubernetes.md").read_text(), flags=re.M)[1:]:
        heading = section.split("\n", 1)[0]
        blocks = re.findall(r"^```yaml\n(.*?)^```$", section, re.M | re.S)
        for number, block in enumerate(blocks):
            found[heading if len(blocks) == 1 else f"{heading} {number + 1}"] = block
    return found


@functools.cache
def rendered(name):
    """A recipe beside what is required and not said there."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "recipe.yaml"
        file.write_text(recipes()[name])
        return render("default", "--values", file)


def one(name, kind, ending=""):
    # What `helm test` makes is not looked at.
    own = [document for document in rendered(name) if "helm.sh/hook" not in document["metadata"].get("annotations", {})]
    [found] = [document for document in own if document["kind"] == kind and document["metadata"]["name"].endswith(ending)]
    return found


def pod_spec(name):
    return one(name, "Deployment")["spec"]["template"]["spec"]


def ports_out(name, of=lambda rule: True):
    return [port["port"] for rule in one(name, "NetworkPolicy")["spec"]["egress"] if of(rule) for port in rule["ports"]]


class Recipes(unittest.TestCase):
    def test_kubernetes_takes_each(self):
        self.assertGreaterEqual(len(recipes()), 3)
        for name in recipes():
            for document in rendered(name):
                for version in {SINCE.get(name, KUBERNETES[0]), KUBERNETES[-1]}:
                    with self.subTest(name, version=version, kind=document["kind"]):
                        if foreign.is_foreign(document):
                            foreign.validate(document)
                        else:
                            kubernetes_validate.validate(document, version, strict=True)

    def test_the_gateway_takes_each(self):
        for name in recipes():
            with self.subTest(name):
                printed_by_the_gateway(rendered(name))

    def test_openshift_assigns_users(self):
        self.assertEqual(set(pod_spec("OpenShift")["securityContext"]), {"runAsNonRoot", "fsGroupChangePolicy", "seccompProfile"})

    def test_a_proxy_to_the_database_starts_before_the_gateway(self):
        spec = pod_spec("A proxy to the database")
        [proxy] = spec["initContainers"]
        self.assertEqual(proxy["restartPolicy"], "Always")
        self.assertEqual([container["name"] for container in spec["containers"]], ["gateway"])
        self.assertIn(3307, ports_out("A proxy to the database"))

    def test_nothing_is_created_for_secrets_that_operators_make(self):
        kinds = {document["kind"] for document in rendered("Secrets that operators make")}
        self.assertNotIn("Secret", kinds)
        self.assertIn("Certificate", kinds)

    def test_under_linkerd_no_probe_speaks_grpc(self):
        [own] = pod_spec("Linkerd")["containers"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            self.assertEqual(own[probe]["httpGet"]["port"], 9090)
        self.assertNotIn("grpc", own["readinessProbe"])
        printed = printed_by_the_gateway(rendered("Linkerd"))
        self.assertEqual(printed["callers"]["header_from"], ["10.0.0.7"], "the pod's own address")

    def test_meshes_reach_their_control_plane_and_ambient_its_own_port(self):
        self.assertIn(15012, ports_out("Istio with sidecars"))
        self.assertLessEqual({8080, 8086, 8090}, set(ports_out("Linkerd")))
        ambient = one("Istio without sidecars", "NetworkPolicy")["spec"]
        self.assertIn([{"port": 15008}], [rule["ports"] for rule in ambient["ingress"]])
        self.assertIn(15008, ports_out("Istio without sidecars"))

    def test_objects_beside_the_charts_select_its_pods(self):
        labels = one("Istio with sidecars", "Deployment")["spec"]["template"]["metadata"]["labels"]
        mtls = one("Istio with sidecars", "PeerAuthentication")["spec"]
        self.assertLessEqual(mtls["selector"]["matchLabels"].items(), labels.items())

    def test_cilium_lets_the_gateway_and_its_tests_reach_transatel_and_nobody_else(self):
        name = "Cilium: Transatel by its name"
        selector = one(name, "CiliumNetworkPolicy")["spec"]["endpointSelector"]
        [either] = selector["matchExpressions"]
        self.assertEqual(either["operator"], "In")
        chosen = lambda labels: selector["matchLabels"].items() <= labels.items() and labels[either["key"]] in either["values"]
        self.assertTrue(chosen(one(name, "Deployment")["spec"]["template"]["metadata"]["labels"]))
        pods = [document for document in rendered(name) if document["kind"] == "Pod"]
        self.assertEqual([pod["spec"]["containers"][0]["name"] for pod in pods if chosen(pod["metadata"]["labels"])], ["calls", "doctor"])
        self.assertEqual(len(either["values"]), 2)

    def test_behind_a_mesh_the_tests_do_not_call_the_gateway(self):
        for name in ("Istio with sidecars", "Linkerd"):
            pods = [document for document in rendered(name) if document["kind"] == "Pod"]
            self.assertEqual([pod["spec"]["containers"][0]["name"] for pod in pods], ["doctor"], name)

    def test_nothing_but_the_name_or_the_proxy_is_reached(self):
        for name, out in [("Cilium: Transatel by its name", {53, 5353}), ("A proxy for what goes out", {53, 5353, 3128})]:
            self.assertEqual(set(ports_out(name)), out)

    def test_hosts_are_those_that_the_gateway_calls(self):
        settings = tomllib.loads((ROOT / "src/config/default.toml").read_text())
        host = settings["transatel"]["base_url"].removeprefix("https://")
        self.assertEqual(one("Istio with sidecars", "ServiceEntry")["spec"]["hosts"], [host])
        [_, rule] = one("Cilium: Transatel by its name", "CiliumNetworkPolicy")["spec"]["egress"]
        self.assertEqual(rule["toFQDNs"], [{"matchName": host}])

    def test_balancers_ask_for_their_health_where_200_is_answered(self):
        ingress = one("Events through Amazon's balancer", "Ingress", "-webhook")["metadata"]["annotations"]
        google = "Events through Google's balancer"
        paths = {
            ingress["alb.ingress.kubernetes.io/healthcheck-path"],
            one(f"{google} 1", "BackendConfig")["spec"]["healthCheck"]["requestPath"],
            one(f"{google} 2", "HealthCheckPolicy")["spec"]["default"]["config"]["httpHealthCheck"]["requestPath"],
        }
        [path] = paths
        [answered] = re.findall(r"const HEALTH: .* = \[(.*)\];", (ROOT / "src/webhook/answer.rs").read_text())
        self.assertIn(f'"{path}"', answered)
        service = one(f"{google} 1", "Service", "-webhook")["metadata"]["annotations"]
        self.assertIn(one(f"{google} 1", "BackendConfig")["metadata"]["name"], service["cloud.google.com/backend-config"])
        policy = one(f"{google} 2", "HealthCheckPolicy")["spec"]
        one(f"{google} 2", "Service", policy["targetRef"]["name"])
        [port] = [port["containerPort"] for port in pod_spec(f"{google} 2")["containers"][0]["ports"] if port["name"] == "webhook"]
        self.assertEqual(policy["default"]["config"]["httpHealthCheck"]["port"], port)

    def test_keda_scales_what_the_chart_leaves_to_it(self):
        name = "Scale by what is in flight 2"
        deployment = one(name, "Deployment")
        self.assertNotIn("replicas", deployment["spec"])
        self.assertEqual(one(name, "ScaledObject")["spec"]["scaleTargetRef"]["name"], deployment["metadata"]["name"])
        one(name, "PodDisruptionBudget")

    def test_metrics_that_scale_exist(self):
        known = (ROOT / "docs/metrics.md").read_text()
        page = "".join(recipes().values())
        found = set(re.findall(r"transatel_gateway_[a-z_]+", page))
        self.assertTrue(found)
        for name in found:
            self.assertIn(f"`{name}`", known)
