#!/usr/bin/env python3
"""Holds the chart to what it promises, with the real tools: helm renders it,
Kubernetes' own schemas, promtool and the gateway read what comes out.

    python helm/tests/check.py [-v] [Class.test …]

Needs helm and promtool on the path, PyYAML and kubernetes-validate, and a built
gateway (`cargo build`). UPDATE=1 writes the snapshot anew.
"""

import itertools
import json
import os
import pathlib
import re
import sys
import tempfile
import tomllib
import unittest

import kubernetes_validate
import yaml

import foreign
from chart import (
    CASES, CHART, GATEWAY, KUBERNETES, MOUNT, ROOT, TESTS, configuration, container, files_of, helm, named, objects, pod,
    printed_by_the_gateway, refusal, render, rules, run, text,
)
# Their tests are run with these.
from every_value import EveryValue  # noqa: F401
from last_release import LastRelease  # noqa: F401
from pods import Pods  # noqa: F401
from recipes import Recipes  # noqa: F401
from scaling import Scaling  # noqa: F401
from secrets_of_operators import SecretsOfOperators  # noqa: F401
from simulated import Simulated  # noqa: F401
from tests_of_a_release import TestsOfARelease  # noqa: F401
from ways_in import WaysIn  # noqa: F401


class Values(unittest.TestCase):
    """What may be said."""

    REFUSED = [
        ("replica=2", "additional properties 'replica' not allowed"),
        ("image.tagg=1", "additional properties 'tagg' not allowed"),
        ("image.digest=latest", "/image/digest"),
        ("replicas=two", "/replicas"),
        ("replicas=0", "/replicas"),
        ("store.type=mysql", "/store/type"),
        ("store.sqlite.size=lots", "/store/sqlite/size"),
        ("config.orders.settle_windoww=1m", "additional properties 'settle_windoww' not allowed"),
        ("config.shutdown.drain=20", "/config/shutdown/drain"),
        ("config.grpc.tls.files=x", "additional properties 'files' not allowed"),
        ("config.storage.url=x", "additional properties 'storage' not allowed"),
        ("config.callers.allow.someone={Catalog}", "/config/callers/allow/someone/0"),
        ("networkPolicy.callers=all", "/networkPolicy/callers"),
        ("service.type=ExternalName", "/service/type"),
        ("webhook.path=events", "/webhook/path"),
        ("webhook.secretKeys={}", "/webhook/secretKeys"),
        ("metrics.alerts.runbook=here", "/metrics/alerts/runbook"),
        ("metrics.alerts.rules.NoSuchAlert.enabled=false", "/metrics/alerts/rules"),
        ("metrics.alerts.thresholds.clockOffset=soon", "/metrics/alerts/thresholds/clockOffset"),
        ("metrics.alerts.thresholds.leastFailures=0", "/metrics/alerts/thresholds/leastFailures"),
        ("listenAddress=localhost", "/listenAddress"),
        ("secret.from.clientSecret.name=x", "/secret/from/clientSecret"),
        ("secret.from.webhookSecrets[0].name=x", "/secret/from/webhookSecrets/0"),
        ("store.postgres.url=mysql://db", "/store/postgres/url"),
        ("tls.certificate.duration=90d", "/tls/certificate/duration"),
        ("service.ipFamilyPolicy=Dual", "/service/ipFamilyPolicy"),
        ("service.ipFamilies={IPv5}", "/service/ipFamilies/0"),
        ("networkPolicy.dnsPorts={dns}", "/networkPolicy/dnsPorts/0"),
        ("webhook.httpRoute.parentRefs={public}", "/webhook/httpRoute/parentRefs/0"),
        ("service.grpcRoute.gateway=x", "additional properties 'gateway' not allowed"),
        ("autoscaling.behavior.up=x", "additional properties 'up' not allowed"),
        ("autoscaling.metrics[0].name=x", "/autoscaling/metrics/0"),
        ("store.sqlite.accessModes={ReadOnlyMany}", "/store/sqlite/accessModes/0"),
        ("probes.readiness.interval=1", "additional properties 'interval' not allowed"),
        ("probes.readinessProtocol=tcp", "/probes/readinessProtocol"),
        ("extraContainers[0].name=x", "/extraContainers/0"),
        ("hostAliases[0].ip=192.0.2.1", "/hostAliases/0"),
        ("minReadySeconds=-1", "/minReadySeconds"),
        ("commonLabels.team=a b", "/commonLabels/team"),
        ("tests.tls.secret=a b", "/tests/tls/secret"),
        ("tests.tls.ca=x", "additional properties 'ca' not allowed"),
    ]

    SIMULATED = "simulator.enabled is for a release without an account: leave config.transatel.client_id, config.transatel.base_url and the client secret empty, and their variables out of extraEnv."
    POSTGRES = 'store.postgres, secret.from.storeUrl and secret.from.storePassword are for store.type "postgres": set that, or leave them empty.'
    SENTENCES = [
        ("default", ["config.transatel.client_id="], "config.transatel.client_id is required: the client id that Transatel issued."),
        ("default", ["replicas=2"], 'replicas is 2, and a SQLite ledger is for one pod: set store.type to "postgres".'),
        ("default", ["autoscaling.enabled=true"], 'autoscaling needs store.type "postgres": a SQLite ledger is for one pod.'),
        ("default", ["replicas=null"], 'replicas is null, and a SQLite ledger is for one pod: set replicas to 1, or store.type to "postgres".'),
        ("default", ["webhook.httpRoute.enabled=true", "webhook.httpRoute.parentRefs[0].name=x"], "webhook.httpRoute.enabled needs webhook.enabled."),
        ("everything", ["webhook.httpRoute.parentRefs=null"], "webhook.httpRoute.enabled needs webhook.httpRoute.parentRefs: the Gateway that it is attached to."),
        ("everything", ["service.grpcRoute.parentRefs=null"], "service.grpcRoute.enabled needs service.grpcRoute.parentRefs: the Gateway that it is attached to."),
        ("everything", ["autoscaling.minReplicas=10"], "autoscaling.minReplicas is more than autoscaling.maxReplicas."),
        ("default", ["tls.enabled=true"], "tls.enabled needs tls.secret: the Secret with tls.crt and tls.key."),
        ("default", ["tls.mutual=true"], "tls.mutual needs tls.enabled."),
        ("default", ["tls.certificate.enabled=true", "tls.certificate.issuerRef.name=x"], "tls.certificate.enabled needs tls.enabled."),
        ("operators", ["tls.certificate.issuerRef.name="], "tls.certificate.enabled needs tls.certificate.issuerRef.name: who issues it."),
        ("operators", ["tls.clientCaSecret=x"], "set either tls.clientCaSecret or tls.clientCaConfigMap, not both."),
        ("operators", ["store.postgres.ca.configMap=x"], "set either store.postgres.ca.secret or store.postgres.ca.configMap, not both."),
        ("operators", ["secret.from.storeUrl.name=x", "secret.from.storeUrl.key=x"], "set either store.postgres.url or secret.from.storeUrl, not both."),
        ("postgres", ["store.postgres.url=postgres://u:p@db/g"], "store.postgres.url holds a password, which would stay in the release: name its Secret in secret.from.storePassword."),
        ("postgres", ["store.postgres.url=postgres://u@db/g?password=p"], "store.postgres.url holds a password, which would stay in the release: name its Secret in secret.from.storePassword."),
        ("everything", ["tests.tls.caSecret=x"], "set either tests.tls.caSecret or tests.tls.caConfigMap, not both."),
        ("simulated", ["config.transatel.client_id=x"], SIMULATED),
        ("simulated", ["config.transatel.base_url=https://api.example"], SIMULATED),
        ("simulated", ["secret.data.client-secret=x"], SIMULATED),
        ("simulated", ["secret.from.clientSecret.name=x", "secret.from.clientSecret.key=x"], SIMULATED),
        ("simulated", ["webhook.enabled=false", "secret.data=null", "secret.existing=x"], SIMULATED),
        ("simulated", ["extraEnv[0].name=GATEWAY__TRANSATEL__CLIENT_ID,extraEnv[0].value=x"], SIMULATED),
        ("simulated", ["extraEnv[0].name=GATEWAY__TRANSATEL__BASE_URL,extraEnv[0].value=x"], SIMULATED),
        ("simulated", ["extraEnv[0].name=A,extraEnv[0].value=x,extraEnv[1].name=GATEWAY__TRANSATEL__CLIENT_SECRET,extraEnv[1].value=x"], SIMULATED),
        ("simulated", ["extraEnv[0].name=GATEWAY__TRANSATEL__CLIENT_SECRET_FILE,extraEnv[0].value=x"], SIMULATED),
        ("default", ["store.postgres.url=postgres://u@db/g"], POSTGRES),
        ("default", ["store.postgres.ca.secret=x"], POSTGRES),
        ("default", ["store.postgres.ca.configMap=x"], POSTGRES),
        ("default", ["secret.from.storeUrl.name=x", "secret.from.storeUrl.key=x"], POSTGRES),
        ("operators", ["store.type=sqlite", "replicas=1"], POSTGRES),
        ("default", ["secret.from.webhookSecrets[0].name=x", "secret.from.webhookSecrets[0].key=x"], "secret.from.webhookSecrets needs webhook.enabled."),
        ("operators", ["webhook.enabled=false"], "secret.from.webhookSecrets needs webhook.enabled."),
        ("default", ["webhook.ingress.enabled=true"], "webhook.ingress.enabled needs webhook.enabled."),
        ("everything", ["webhook.ingress.host="], "webhook.ingress.enabled needs webhook.ingress.host."),
        ("default", ["extraEnv[0].name=A,extraEnv[1].name=A"], 'extraEnv has "A" 2 times.'),
        ("default", ["metrics.alerts.enabled=true"], "metrics.alerts.enabled needs metrics.serviceMonitor.enabled, or metrics.alerts.selector for series that come in another way."),
        ("postgres", ["secret.existing=other"], "set either secret.existing or secret.data, not both."),
        ("default", ["secret.existing="], 'secret.data has no "client-secret": put it there, or name a Secret that has it in secret.existing.'),
        ("postgres", ["secret.data.store-url="], 'secret.data has no "store-url": put it there, or name a Secret that has it in secret.existing.'),
        ("everything", ["secret.data.webhook-new="], 'secret.data has no "webhook-new": put it there, or name a Secret that has it in secret.existing.'),
    ]

    def test_a_wrong_value_is_refused_and_named(self):
        for value, part in self.REFUSED:
            with self.subTest(value):
                self.assertIn(part, refusal("default", "--set", value))

    def test_a_wrong_combination_is_refused_with_one_sentence(self):
        for case, values, sentence in self.SENTENCES:
            with self.subTest(values):
                options = [word for value in values for word in ("--set", value)]
                self.assertIn(f"\n  {sentence}\n", refusal(case, *options))

    def test_all_that_is_wrong_is_named_at_once(self):
        wrong = ["config.transatel.client_id=", "replicas=2", "tls.mutual=true", "secret.existing="]
        said = refusal("default", *[word for value in wrong for word in ("--set", value)])
        sentences = [sentence for _, values, sentence in self.SENTENCES if values[0] in wrong and len(values) == 1]
        self.assertEqual(len(sentences), len(wrong))
        for sentence in sentences:
            self.assertIn(f"\n  {sentence}\n", said)

    def test_every_sentence_of_the_chart_was_provoked(self):
        written = (CHART / "templates/_helpers.tpl").read_text().count("$problems = append ")
        self.assertEqual(written, len({sentence.split('"')[0] for _, _, sentence in self.SENTENCES}))

    def test_the_schema_is_closed_and_names_the_values_there_are(self):
        schema = json.loads((CHART / "values.schema.json").read_text())

        def compare(schema, values, path):
            if "properties" not in schema:
                return
            self.assertIs(schema.get("additionalProperties"), False, path)
            for key, value in (values or {}).items():
                self.assertIn(key, schema["properties"], path)
            for key, part in schema["properties"].items():
                if not path.startswith("config") and key not in ("config", "global"):
                    # Items and free tables have nothing in the defaults.
                    self.assertIn(key, values, f"values.yaml has no {path}.{key}")
                compare(part, (values or {}).get(key), f"{path}.{key}".lstrip("."))

        compare(schema, yaml.safe_load((CHART / "values.yaml").read_text()), "")

    def test_the_settings_in_the_schema_are_the_gateways(self):
        schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["config"]
        environment = {"GATEWAY__TRANSATEL__CLIENT_ID": "x", "GATEWAY__TRANSATEL__CLIENT_SECRET": "x"}
        printed = run(GATEWAY, "print-config", env=environment)
        real, section = set(), None
        for line in printed.splitlines():
            if match := re.match(r"\[([a-z_.]+)\]", line):
                section = match[1]
            elif match := re.match(r"(?:# )?([a-z0-9_]+)\b", line):
                real.add(f"{section}.{match[1]}")

        def keys(schema, path):
            for key, part in schema.get("properties", {}).items():
                if "properties" in part:
                    yield from keys(part, f"{path}{key}.")
                else:
                    yield path + key

        self.assertEqual(sorted(keys(schema, "")), sorted(real))

    def test_a_setting_that_the_chart_sets_itself_is_refused_with_the_value_to_use(self):
        ours = {
            "admin.listen", "grpc.listen", "sandbox.listen", "webhook.listen", "webhook.path", "webhook.secret_files",
            "grpc.tls.cert_file", "grpc.tls.key_file", "grpc.tls.client_ca_file", "store.url", "store.url_file",
            "transatel.client_secret", "transatel.client_secret_file", "transatel.provider",
        }
        defaults = yaml.safe_load((CHART / "values.yaml").read_text())

        def given(schema, path=""):
            for key, part in schema.get("properties", {}).items():
                if part.get("$ref") == "#/$defs/chartsOwn":
                    yield path + key
                yield from given(part, f"{path}{key}.")

        self.assertEqual(set(given(json.loads((CHART / "values.schema.json").read_text())["properties"]["config"])), ours)
        options = [word for setting in sorted(ours) for word in ("--set", f"config.{setting}=not-for-the-log")]
        said = refusal("default", *options)
        self.assertNotIn("not-for-the-log", said)
        found = dict(re.findall(r"^  config\.(\S+) is set by the chart: use (.*)\.$", said, re.M))
        self.assertEqual(set(found), ours)
        for setting, instead in found.items():
            names = re.findall(r"[a-zA-Z]+(?:\.[a-zA-Z]+)*\.?[a-zA-Z]+", re.sub(r"\b(and|or)\b", "", instead))
            self.assertTrue(names)
            for name in names:
                at = defaults
                for key in name.split("."):
                    self.assertIn(key, at, f"{setting}: there is no {name}")
                    at = at[key]
        # One alone, with nothing in it, is refused as well; null is as if it were not there.
        self.assertIn("config.store.url is set by the chart", refusal("default", "--set", "config.store.url="))
        self.assertEqual(text("default", "--set", "config.store.url=null"), text("default"))

    def test_the_defaults_shown_are_the_gateways(self):
        defaults = tomllib.loads((ROOT / "src/config/default.toml").read_text())
        shown = yaml.safe_load((CHART / "values.yaml").read_text())["config"]
        for section in ("shutdown", "orders", "events"):
            for key, value in shown[section].items():
                self.assertEqual(value, defaults[section][key], f"{section}.{key}")

    def test_the_readme_is_what_the_comments_say(self):
        run(sys.executable, ROOT / "helm/readme.py", "--check")


class Rendered(unittest.TestCase):
    """What comes out."""

    def test_helm_finds_nothing_to_complain_about(self):
        for case in CASES:
            with self.subTest(case):
                helm("lint", case, "--strict", "--quiet")

    def test_kubernetes_takes_every_object(self):
        for case, version in itertools.product(CASES, KUBERNETES):
            for document in render(case):
                with self.subTest(case=case, version=version, kind=document["kind"]):
                    if foreign.is_foreign(document):
                        foreign.validate(document)
                    else:
                        kubernetes_validate.validate(document, version, strict=True)

    def test_the_default_is_as_it_was(self):
        snapshot = TESTS / "default.snapshot.yaml"
        if os.environ.get("UPDATE"):
            snapshot.write_text(text("default"))
        self.assertEqual(text("default"), snapshot.read_text(), "UPDATE=1 writes the snapshot anew")

    def test_what_is_off_is_not_there(self):
        kinds = lambda case: sorted(document["kind"] for document in render(case))
        self.assertEqual(kinds("nothing"), ["ConfigMap", "Deployment", "Service", "Service"])
        tests = 2 * ["NetworkPolicy", "Pod"]
        default = kinds("nothing") + ["NetworkPolicy", "PersistentVolumeClaim", "ServiceAccount"] + tests
        self.assertEqual(kinds("default"), sorted(default))
        many = ["Certificate", "GRPCRoute", "HTTPRoute", "HorizontalPodAutoscaler", "Ingress", "NetworkPolicy", "PodDisruptionBudget", "PrometheusRule", "Secret"]
        everything = many + 4 * ["ConfigMap"] + ["Deployment", "ServiceAccount", "ServiceMonitor"] + 4 * ["Service"] + tests
        self.assertEqual(kinds("everything"), sorted(everything))

    def test_names_are_unique_and_lead_somewhere(self):
        for case in CASES:
            with self.subTest(case):
                documents = render(case)
                names = [(document["kind"], document["metadata"]["name"]) for document in documents]
                self.assertEqual(len(names), len(set(names)))
                labels = pod(case)["metadata"]["labels"]
                ports = {port["name"] for port in container(case)["ports"]}
                for service in objects(case, "Service"):
                    if service["metadata"]["name"].endswith("-simulator"):
                        continue
                    self.assertLessEqual(service["spec"]["selector"].items(), labels.items())
                    for port in service["spec"]["ports"]:
                        self.assertIn(port["targetPort"], ports)
                self.assertEqual(named(case, "Deployment")["spec"]["selector"]["matchLabels"].items() <= labels.items(), True)
                for kind in ("PodDisruptionBudget",):
                    for document in objects(case, kind):
                        self.assertLessEqual(document["spec"]["selector"]["matchLabels"].items(), labels.items())
                for policy in objects(case, "NetworkPolicy"):
                    if policy["metadata"]["name"].endswith(("-test-out", "-simulator")):
                        continue
                    self.assertLessEqual(policy["spec"]["podSelector"]["matchLabels"].items(), labels.items())
                    for rule in policy["spec"]["ingress"]:
                        self.assertLessEqual({port["port"] for port in rule["ports"]}, ports)
                for scaler in objects(case, "HorizontalPodAutoscaler"):
                    self.assertIn(("Deployment", scaler["spec"]["scaleTargetRef"]["name"]), names)
                for monitor in objects(case, "ServiceMonitor"):
                    wanted = monitor["spec"]["selector"]["matchLabels"].items()
                    chosen = [service for service in objects(case, "Service") if wanted <= service["metadata"]["labels"].items()]
                    self.assertEqual([service["metadata"]["name"] for service in chosen], ["esim-metrics"])
                for ingress in objects(case, "Ingress"):
                    [rule] = ingress["spec"]["rules"]
                    [path] = rule["http"]["paths"]
                    self.assertEqual((path["path"], path["pathType"]), ("/events/transatel", "Exact"))
                    self.assertEqual(path["backend"]["service"]["name"], "esim-webhook")
                volumes = {volume["name"] for volume in pod(case)["spec"]["volumes"]}
                self.assertEqual(volumes, {mount["name"] for mount in container(case)["volumeMounts"]})
                for volume in pod(case)["spec"]["volumes"]:
                    if volume["name"] == "config":
                        self.assertIn(("ConfigMap", volume["configMap"]["name"]), names)

    def test_nothing_is_stated_twice(self):
        class Strict(yaml.SafeLoader):
            pass

        def mapping(loader, node):
            keys = [loader.construct_object(key) for key, _ in node.value]
            if len(keys) != len(set(keys)):
                raise AssertionError(f"a key twice in {keys}")
            return loader.construct_mapping(node, deep=True)

        Strict.add_constructor("tag:yaml.org,2002:map", mapping)
        for case in CASES:
            list(yaml.load_all(text(case), Loader=Strict))

    def test_pods_are_restricted(self):
        for case in CASES:
            with self.subTest(case):
                spec = pod(case)["spec"]
                security = spec["securityContext"]
                self.assertIs(security["runAsNonRoot"], True)
                self.assertEqual(security["runAsUser"], 65532)
                self.assertEqual(security["seccompProfile"], {"type": "RuntimeDefault"})
                own = container(case)["securityContext"]
                wanted = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
                self.assertLessEqual(wanted.items(), own.items())
                self.assertIs(spec["automountServiceAccountToken"], False)
                for account in objects(case, "ServiceAccount"):
                    self.assertIs(account["automountServiceAccountToken"], False)
                for key in ("hostNetwork", "hostPID", "hostIPC"):
                    self.assertNotIn(key, spec)
                writable = [mount["mountPath"] for mount in container(case)["volumeMounts"] if not mount.get("readOnly")]
                self.assertLessEqual(set(writable), {"/data"})

    def test_secrets_are_files_and_nowhere_else(self):
        secrets = ["not a secret", "not-a-secret", "an old secret", "a new secret"]
        for case in CASES:
            for document in render(case):
                if document["kind"] != "Secret":
                    self.assertFalse([secret for secret in secrets if secret in json.dumps(document)], document)
            for variable in container(case)["env"]:
                self.assertNotIn("SECRET", variable["name"])
            for volume in pod(case)["spec"]["volumes"]:
                for kind in {"secret", "projected"} & set(volume):
                    self.assertEqual(volume[kind]["defaultMode"], 0o440)
        items = lambda case: [key for volume in pod(case)["spec"]["volumes"] if volume["name"] == "secret" for _, key, _ in files_of(volume)]
        self.assertEqual(items("default"), ["client-secret"])
        self.assertEqual(items("postgres"), ["client-secret", "store-url"])
        self.assertEqual(items("everything"), ["client-secret", "store-url", "webhook-old", "webhook-new"])
        self.assertEqual(objects("operators", "Secret"), [])
        with_its_own = ["--set", "secret.from.clientSecret.name=account,secret.from.clientSecret.key=password"]
        named("postgres", "Secret", "", *with_its_own)
        self.assertEqual(objects("default", "Secret", *with_its_own), [], "nothing is left for it")

    def test_sqlite_is_one_pod_with_a_volume_that_stays(self):
        spec = named("default", "Deployment")["spec"]
        self.assertEqual((spec["replicas"], spec["strategy"]), (1, {"type": "Recreate"}))
        claim = named("default", "PersistentVolumeClaim", "-ledger")
        self.assertEqual(claim["metadata"]["annotations"]["helm.sh/resource-policy"], "keep")
        [ledger] = [volume for volume in pod("default")["spec"]["volumes"] if volume["name"] == "ledger"]
        self.assertEqual(ledger["persistentVolumeClaim"]["claimName"], claim["metadata"]["name"])
        [ledger] = [volume for volume in pod("nothing")["spec"]["volumes"] if volume["name"] == "ledger"]
        self.assertEqual(ledger["persistentVolumeClaim"]["claimName"], "ledger")
        self.assertEqual(tomllib.loads(configuration("default"))["store"], {"url": "sqlite:///data/ledger.db"})

    def test_postgres_is_any_number_of_pods_and_never_fewer_while_they_change(self):
        spec = named("postgres", "Deployment")["spec"]
        self.assertEqual(spec["replicas"], 3)
        self.assertEqual(spec["strategy"]["rollingUpdate"], {"maxSurge": 1, "maxUnavailable": 0})
        self.assertEqual(tomllib.loads(configuration("postgres"))["store"], {"url_file": f"{MOUNT}/secret/store-url"})
        self.assertEqual(len(pod("postgres")["spec"]["topologySpreadConstraints"]), 2)
        self.assertEqual(named("postgres", "PodDisruptionBudget")["spec"]["maxUnavailable"], 1)
        self.assertNotIn("replicas", named("everything", "Deployment")["spec"])

    def test_the_grace_period_is_the_sum_of_the_phases(self):
        grace = lambda case, *options: pod(case, *options)["spec"]["terminationGracePeriodSeconds"]
        self.assertEqual(grace("default"), 5 + 20 + 35 + 10)
        self.assertEqual(grace("everything"), 2 + 90 + 3600 + 10)
        self.assertEqual(grace("default", "--set", "config.shutdown.drain=2m"), 5 + 120 + 35 + 10)

    def test_probes_have_numbers_and_suit_tls(self):
        for case in CASES:
            own = container(case)
            with self.subTest(case):
                for probe in ("startupProbe", "livenessProbe"):
                    self.assertEqual(own[probe]["httpGet"], {"path": "/livez", "port": 9090})
                ready = own["readinessProbe"]
                if case == "everything" or tomllib.loads(configuration(case)).get("grpc", {}).get("tls"):
                    self.assertEqual(ready["httpGet"], {"path": "/readyz", "port": 9090})
                    self.assertNotIn("grpc", ready)
                else:
                    self.assertEqual(ready["grpc"], {"port": 50051})
                ports = {port["containerPort"] for port in own["ports"]}
                self.assertLessEqual({50051, 9090}, ports)
        delay = 5
        ready = container("default")["readinessProbe"]
        self.assertLess(ready["periodSeconds"] * ready["failureThreshold"], delay, "a draining pod is taken out too late")

    def test_services_say_what_they_speak(self):
        [port] = named("default", "Service")["spec"]["ports"]
        self.assertEqual(port["appProtocol"], "kubernetes.io/h2c")
        twin = named("default", "Service", "-headless")["spec"]
        self.assertEqual((twin["clusterIP"], twin["ports"][0]["appProtocol"]), ("None", "kubernetes.io/h2c"))
        [port] = named("mtls", "Service")["spec"]["ports"]
        self.assertEqual(port["appProtocol"], "https")
        for case in CASES:
            for service in objects(case, "Service"):
                shown = [port["targetPort"] for port in service["spec"]["ports"]]
                wanted = {"-webhook": "webhook", "-metrics": "admin", "-simulator": "http"}
                name = service["metadata"]["name"]
                self.assertEqual(shown, [next((port for end, port in wanted.items() if name.endswith(end)), "grpc")])
        for service in objects("everything", "Service"):
            self.assertEqual((service["spec"]["ipFamilyPolicy"], service["spec"]["ipFamilies"]), ("RequireDualStack", ["IPv6", "IPv4"]))
        metrics = named("everything", "Service", "-metrics")["spec"]
        self.assertEqual(metrics["clusterIP"], "None", "the admin port has no address of its own")

    def test_the_network_policy_lets_in_and_out_what_is_needed(self):
        def ways(case, direction):
            policy = named(case, "NetworkPolicy")["spec"]
            self.assertEqual(policy["policyTypes"], ["Ingress", "Egress"])
            return [(rule.get("from") or rule.get("to"), [port["port"] for port in rule["ports"]]) for rule in policy[direction]]

        monitoring = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
        anywhere = [{"ipBlock": {"cidr": "0.0.0.0/0"}}, {"ipBlock": {"cidr": "::/0"}}]
        dns = (None, [53, 53, 5353, 5353])
        self.assertEqual(ways("default", "ingress"), [([{"podSelector": {}}], ["grpc"]), (monitoring, ["admin"])])
        self.assertEqual(ways("default", "egress"), [dns, (anywhere, [443])])
        out = [dns, (anywhere, [443]), ([{"namespaceSelector": {}}, *anywhere], [5432]), (None, [4319]),
               ([{"ipBlock": {"cidr": "198.51.100.7/32"}}], [3128])]
        self.assertEqual(ways("everything", "egress"), out)
        self.assertEqual([ports for _, ports in ways("everything", "ingress")], [["grpc"], ["webhook"], ["admin"], ["grpc"]])

    def test_a_list_without_peers_lets_nobody_through(self):
        """In a network policy, a rule with an empty list of peers is for everyone."""
        lists = ["callers", "webhook", "metrics", "provider", "postgres"]
        options = [word for name in lists for word in ("--set-json", f"networkPolicy.{name}=[]")]
        spec = named("everything", "NetworkPolicy", "", *options)["spec"]
        self.assertEqual([rule["ports"][0]["port"] for rule in spec["ingress"]], ["grpc"])
        self.assertEqual([rule["ports"][0]["port"] for rule in spec["egress"]], [53, 4319, 3128])

    def test_the_collectors_port_is_read_from_any_address(self):
        for address, port in [
            ("http://collector", 80), ("https://collector", 443), ("http://collector:4317/v1", 4317),
            ("http://[2001:db8::12]:4317", 4317), ("https://[2001:db8::12]", 443), ("http://user:80@collector:4317", 4317),
        ]:
            with self.subTest(address):
                spec = named("default", "NetworkPolicy", "", "--set", f"config.telemetry.otlp_endpoint={address}")["spec"]
                self.assertEqual(spec["egress"][-1], {"ports": [{"port": port}]})

    def test_a_change_of_settings_or_secrets_rolls_the_pods(self):
        marks = lambda *options: {
            key: value for key, value in pod("postgres", *options)["metadata"]["annotations"].items() if key.startswith("checksum/")
        }
        before = marks()
        self.assertEqual(set(before), {"checksum/config", "checksum/secret"})
        self.assertNotEqual(marks("--set", "config.orders.lease=3m")["checksum/config"], before["checksum/config"])
        self.assertNotEqual(marks("--set", "secret.data.client-secret=other")["checksum/secret"], before["checksum/secret"])
        self.assertEqual(marks("--set", "service.port=1"), before)


class Configuration(unittest.TestCase):
    """What the gateway makes of its file."""

    def printed(self, case):
        return printed_by_the_gateway(render(case))

    def test_the_gateway_takes_every_case(self):
        for case in CASES:
            with self.subTest(case):
                printed = self.printed(case)
                port = named(case, "Service")["spec"]["ports"][0]
                self.assertEqual(port["targetPort"], "grpc")
                address = "[::]" if case == "everything" else "0.0.0.0"
                self.assertEqual(printed["grpc"]["listen"], f"{address}:50051")
                self.assertEqual(printed["admin"]["listen"], f"{address}:9090")

    def test_settings_arrive_as_they_are_written(self):
        printed = self.printed("everything")
        self.assertEqual(printed["grpc"]["max_in_flight"], 4096)
        self.assertEqual(printed["grpc"]["max_request_bytes"], 16777216)
        self.assertEqual(printed["transatel"]["retry_ratio"], 0.1)
        self.assertEqual(printed["telemetry"]["sample_ratio"], 1.0)
        self.assertEqual(printed["transatel"]["enabled_operations"], ["SuspendSim", "ReactivateSim"])
        self.assertEqual(printed["webhook"]["path"], "/events/transatel")
        self.assertEqual(printed["webhook"]["listen"], "[::]:8080")
        self.assertEqual(len(printed["webhook"]["secret_files"]), 2)
        self.assertEqual(printed["store"]["connections"], 20)

    def test_what_yaml_and_toml_write_differently_stays_the_same(self):
        odd = 'a "quoted" \\ text with = # & <signs> and ünïcode'
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump({"config": {"transatel": {"source": odd, "max_answer_bytes": 1073741824}}}, file)
            file.flush()
            table = tomllib.loads(configuration("default", "--values", file.name))["transatel"]
        self.assertEqual((table["source"], table["max_answer_bytes"]), (odd, 1073741824))
        self.assertIs(type(table["max_answer_bytes"]), int)
        allow = tomllib.loads(configuration("mtls"))["callers"]["allow"]
        self.assertEqual(allow["spiffe://company.example/ns/shop/sa/web"], ["Catalog/*", "Provisioning/CreateOrder"])
        self.assertEqual(allow["*"], ["Catalog/*"])


class Alerts(unittest.TestCase):
    """What Prometheus makes of the rules."""

    def test_promtool_takes_them_and_they_fire_when_they_should(self):
        with tempfile.TemporaryDirectory() as folder:
            for case, options in {
                "everything": [],
                "default": ["--set", "metrics.alerts.enabled=true,webhook.enabled=true", "--set-string", "metrics.alerts.selector=job=\"gateway\""],
            }.items():
                written = pathlib.Path(folder) / f"{case}.rules.yaml"
                written.write_text(yaml.safe_dump(named(case, "PrometheusRule", "", *options)["spec"]))
                run("promtool", "check", "rules", "--lint-fatal", written)
            tests = pathlib.Path(folder) / "test.yaml"
            tests.write_text((TESTS / "alerts.yaml").read_text())
            run("promtool", "test", "rules", tests)

    def test_every_alert_is_tested(self):
        tests = yaml.safe_load((TESTS / "alerts.yaml").read_text())["tests"]
        cases = [case for test in tests for case in test.get("alert_rule_test", [])]
        fires = {case["alertname"] for case in cases if case.get("exp_alerts")}
        silent = {case["alertname"] for case in cases if not case.get("exp_alerts")}
        every = {rule["alert"] for rule in rules("everything")}
        self.assertEqual((fires, silent), (every, every))

    def test_every_alert_has_a_section_in_the_runbook(self):
        headings = re.findall(r"^## (.*)$", (ROOT / "docs/runbook.md").read_text(), re.M)
        anchors = [re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings]
        pointed = []
        for rule in rules("everything"):
            start, anchor = rule["annotations"]["runbook_url"].split("#")
            self.assertEqual(start, "https://wiki.example.com/esim")
            self.assertIn(anchor, anchors, rule["alert"])
            self.assertIn(rule["labels"]["severity"], ("critical", "warning"))
            self.assertEqual(rule["labels"]["team"], "connectivity")
            pointed.append(anchor)
        alerts = [anchor for anchor in anchors if f"`TransatelGateway{''.join(word.title() for word in anchor.split('-'))}`" in (ROOT / "docs/runbook.md").read_text()]
        self.assertEqual(sorted(alerts), sorted(pointed), "sections that name their alert")

    def test_each_alert_can_be_changed_by_its_name(self):
        changes = "metrics.alerts.rules.Saturated.enabled=false,metrics.alerts.rules.Absent.severity=info,metrics.alerts.rules.Absent.for=30m"
        changes += ",metrics.alerts.thresholds.catalogAge=6h,metrics.alerts.thresholds.clockOffset=1m"
        objective = ["--set-json", "metrics.alerts.thresholds.objective=0.99"]
        changed = {rule["alert"]: rule for rule in rules("everything", "--set", changes, *objective)}
        absent = changed["TransatelGatewayAbsent"]
        self.assertEqual((absent["labels"]["severity"], absent["for"]), ("info", "30m"))
        self.assertNotIn("TransatelGatewaySaturated", changed)
        self.assertEqual(len(changed), len(rules("everything")) - 1)
        self.assertIn("> 0.144000", changed["TransatelGatewayCallsFailing"]["expr"])
        self.assertIn("> 60", changed["TransatelGatewayClockSkewed"]["expr"])
        every = {f"metrics.alerts.rules.{name.removeprefix('TransatelGateway')}.severity": "other" for name in (rule["alert"] for rule in rules("everything"))}
        for rule in rules("everything", "--set", ",".join(f"{path}={value}" for path, value in every.items())):
            self.assertEqual(rule["labels"]["severity"], "other", rule["alert"])
        self.assertIn("> 21600", changed["TransatelGatewayCatalogNotLoaded"]["expr"])

    def test_without_a_webhook_nobody_waits_for_events(self):
        names = {rule["alert"] for rule in rules("everything", "--set", "webhook.enabled=false,webhook.ingress.enabled=false,webhook.httpRoute.enabled=false")}
        self.assertFalse([name for name in names if "Event" in name])


class Dashboard(unittest.TestCase):
    """What Grafana shows, beside what the alerts say. What Prometheus answers to
    its queries is dashboard.py's."""

    def board(self, case="everything", *options):
        [text] = named(case, "ConfigMap", "-dashboard", *options)["data"].values()
        return json.loads(text)

    def expressions(self):
        board = self.board()
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                yield panel["title"], target["expr"]
        for annotation in board["annotations"]["list"]:
            yield annotation["name"], annotation["expr"]

    def test_what_the_rules_record_is_there(self):
        [recorded, _] = named("everything", "PrometheusRule")["spec"]["groups"]
        names = {rule["record"] for rule in recorded["rules"]}
        labels = {frozenset(rule["labels"]) for rule in recorded["rules"]}
        self.assertEqual(labels, {frozenset({"namespace", "release"})})
        used = set()
        for title, expression in self.expressions():
            for name, selected in re.findall(r"(transatel_gateway:[a-z0-9_:]+)\{([^}]*)\}", expression):
                self.assertIn(name, names, title)
                self.assertEqual(set(re.findall(r"(\w+)=", selected)), {"namespace", "release"}, title)
                used.add(name)
        self.assertGreaterEqual(len(used), 6)

    def test_a_panel_leads_to_the_runbook_of_its_alerts(self):
        sections = re.findall(r"^## (.*)$", (ROOT / "docs/runbook.md").read_text(), re.M)
        led = set()
        for panel in self.board()["panels"]:
            for link in panel.get("links", []):
                name = link["title"].removeprefix("Runbook: ")
                self.assertIn(name, sections, panel["title"])
                anchor = re.sub(r"[^a-z0-9 -]", "", name.lower()).replace(" ", "-")
                self.assertEqual(link["url"], f"https://wiki.example.com/esim#{anchor}")
                led.add(anchor)
        for rule in rules("everything"):
            self.assertIn(rule["annotations"]["runbook_url"].split("#")[1], led, "no panel leads to it")

    def test_thresholds_are_those_of_the_alerts(self):
        """At the chart's defaults. A count is red from 1 where an alert says `> 0`."""
        options = ["--set", "metrics.serviceMonitor.enabled=true,metrics.alerts.enabled=true,metrics.dashboard.enabled=true"]
        options[1] += ",webhook.enabled=true,tls.enabled=true,tls.secret=x"
        limits = {}
        for rule in rules("default", *options):
            found = {float(text) for text in re.findall(r"(?:>|>=|<|==) ([0-9.]+)", rule["expr"])}
            # What is counted on the dashboard: replicas, and APIs.
            if rule["alert"] in ("TransatelGatewayAbsent", "TransatelGatewayBreakerOpen"):
                found |= {1}
            # It says nothing of seconds but its own time.
            if rule["alert"] == "TransatelGatewayLedgerFailing":
                found |= {120}
            anchor = rule["annotations"]["runbook_url"].split("#")[1]
            limits.setdefault(anchor, set()).update(found | ({1} if 0 in found else set()))
        compared = 0
        for panel in self.board("default", *options)["panels"]:
            steps = panel.get("fieldConfig", {}).get("defaults", {}).get("thresholds", {}).get("steps", [])
            known = set().union(*(limits.get(link["url"].split("#")[1], set()) for link in panel.get("links", [])))
            # Red where it begins, or where it ends.
            reds = [at for at, step in enumerate(steps) if step["color"] == "red"]
            edges = [steps[at]["value"] if steps[at]["value"] is not None else steps[at + 1]["value"] for at in reds]
            if known:
                for edge in edges:
                    near = any(abs(limit - own) < 1e-9 for limit in known for own in (edge, -edge, 1 - edge))
                    self.assertTrue(near, f"{panel['title']}: {edge} is not in {sorted(known)}")
                    compared += 1
        self.assertGreaterEqual(compared, 20)


class Notes(unittest.TestCase):
    """What an operator reads first."""

    def notes(self, case, *options):
        return helm("install", case, "--dry-run=client", *options).split("NOTES:\n")[1]

    def test_there_is_a_call_to_try(self):
        call = "grpcurl -plaintext -d '{\"countries\":[\"FR\"],\"page_size\":1}' 127.0.0.1:50051 connectivity.v1.Catalog/ListProducts"
        self.assertIn(call, self.notes("default"))
        self.assertIn("grpcurl -insecure -cert tls.crt -key tls.key", self.notes("mtls"))
        for host in ("esim.example.com", "esim.example.org"):
            self.assertIn(f"https://{host}/events/transatel", self.notes("everything"))
        self.assertIn("as many pods as another autoscaler wants", self.notes("postgres", "--set", "replicas=null"))

    def test_what_is_risky_is_said(self):
        for part, case, options in [
            ("networkPolicy is off", "nothing", ""),
            ("may buy", "default", ""),
            ("needs the callers' names", "default", "config.callers.allow.x={*}"),
            ("service.type LoadBalancer", "everything", ""),
            ("without config.transatel.mvno_ref", "default", ""),
            ("credentials are in the release's values", "postgres", ""),
            ("a SQLite ledger is for one pod", "default", ""),
            ("without webhook.enabled", "default", ""),
            ("must be no network file system", "default", ""),
            ("service.grpcRoute lets in everyone", "everything", ""),
            ("the Gateway of service.grpcRoute has to speak TLS to the Service esim: it needs a BackendTLSPolicy", "everything", ""),
            ("later than config.shutdown.propagation_delay", "default", "probes.readiness.periodSeconds=4"),
            ("the provider is simulated", "simulated", ""),
            ("webhook.ingress.tlsSecret is empty", "everything", "webhook.ingress.tlsSecret="),
        ]:
            with self.subTest(part):
                given = ["--set", options] if options else []
                self.assertIn(part, self.notes(case, *given))
        warnings = (CHART / "templates/NOTES.txt").read_text().count("WARNING")
        self.assertEqual(warnings, 14, "a warning that is not tested")
        quiet = "secret.existing=transatel,secret.data=null,webhook.enabled=true"
        quiet += ",config.callers.allow.x={*},config.callers.header=x-forwarded-client-cert"
        self.assertNotIn("WARNING", self.notes("postgres", "--set", quiet))


if __name__ == "__main__":
    unittest.main()
