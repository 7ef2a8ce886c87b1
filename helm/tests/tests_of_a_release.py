"""`helm test`: what its pods ask, with what, and what lets them through."""

import unittest

from chart import CASES, MOUNT, container, named, objects, pod, render, run, GATEWAY, helm


def hooks(case, *options):
    return [one for one in render(case, *options) if one["metadata"].get("annotations", {}).get("helm.sh/hook") == "test"]


def tests(case, *options):
    """By the end of their names, the containers of the tests and their pods."""
    found = {}
    for one in hooks(case, *options):
        if one["kind"] == "Pod":
            [own] = one["spec"]["containers"]
            found[own["name"]] = own, one
    return found


class TestsOfARelease(unittest.TestCase):
    def test_the_gateway_is_called_by_its_service_and_the_account_is_checked_with_its_settings(self):
        made = tests("default")
        calls, doctor = made["calls"][0], made["doctor"][0]
        address = "--address=gateway-transatel-gateway.esim-test.svc:50051"
        self.assertEqual(calls["args"], ["health", address, "--within=1m", "--catalog"])
        self.assertNotIn("volumeMounts", calls)
        own = container("default")
        self.assertEqual(doctor["args"], ["doctor", *own["args"][1:]])
        self.assertEqual(doctor["env"], own["env"])
        self.assertEqual(doctor["volumeMounts"], [mount for mount in own["volumeMounts"] if mount["name"] != "ledger"])

    def test_with_tls_the_files_are_mounted_where_the_options_name_them(self):
        for case, options, wanted in [
            ("mtls", ["--set", "tests.tls.secret=own"], {"ca.crt": ("secret", "gateway-tls", "ca.crt"), "tls.crt": ("secret", "own", "tls.crt"), "tls.key": ("secret", "own", "tls.key")}),
            ("everything", [], {"ca.crt": ("configMap", "company-authorities", "ca.crt"), "tls.crt": ("secret", "test-client", "tls.crt"), "tls.key": ("secret", "test-client", "tls.key")}),
            ("default", ["--set", "tls.enabled=true,tls.secret=t"], {"ca.crt": ("secret", "t", "ca.crt")}),
        ]:
            with self.subTest(case):
                calls, whole = tests(case, *options)["calls"]
                mounts = {mount["name"]: mount["mountPath"] for mount in calls["volumeMounts"]}
                held = {}
                for volume in whole["spec"]["volumes"]:
                    [kind] = {"secret", "configMap"} & set(volume)
                    source = volume[kind]
                    for item in source["items"]:
                        self.assertIn(f"={mounts[volume['name']]}/{item['path']}", " ".join(calls["args"]))
                        held[item["path"]] = kind, source.get("secretName") or source["name"], item["key"]
                self.assertEqual(held, wanted)
        self.assertIn("--server-name=esim.internal", tests("everything")["calls"][0]["args"])
        public = ["--set", "tls.enabled=true,tls.secret=t,tests.tls.caKey="]
        calls = tests("default", *public)["calls"][0]
        self.assertIn("--tls", calls["args"])
        self.assertNotIn("volumeMounts", calls)

    def test_a_gateway_that_asks_for_certificates_is_not_called_without_one(self):
        self.assertEqual(set(tests("mtls")), {"doctor"})
        self.assertIn("name one in tests.tls.secret", helm("install", "mtls", "--dry-run=client"))
        self.assertNotIn("name one in tests.tls.secret", helm("install", "default", "--dry-run=client"))

    def test_what_only_a_caller_with_a_name_may_do_is_not_tried_without_one(self):
        """A mesh names its own pods only, and a certificate that is not asked for names nobody."""
        allow = "config.callers.allow.web[0]=Catalog/*"
        behind_a_mesh = f"{allow},config.callers.header=l5d-client-id"
        for options in (behind_a_mesh, f"{behind_a_mesh},tls.enabled=true,tls.secret=t,tests.tls.secret=own"):
            self.assertEqual(set(tests("default", "--set", options)), {"doctor"})
            self.assertIn("only callers inside its mesh", helm("install", "default", "--dry-run=client", "--set", options))
        for options in (allow, 'config.callers.scope.\\*=own'):
            self.assertNotIn("--catalog", tests("default", "--set", options)["calls"][0]["args"], "health is open to all")
        self.assertIn("--catalog", tests("default", "--set", "config.callers.scope.web=own")["calls"][0]["args"])
        for options in ("tests.tls.secret=own", "tests.tls.secret=own,config.callers.header=x-forwarded-client-cert"):
            self.assertIn("--catalog", tests("mtls", "--set", options)["calls"][0]["args"])

    def test_the_options_are_the_gateways(self):
        for case, options in [("everything", []), ("default", ["--set", "tls.enabled=true,tls.secret=t,tests.tls.caKey="])]:
            args = tests(case, *options)["calls"][0]["args"]
            # Nothing answers there: what is refused is the connection or a file, not the options.
            args = ["--address=127.0.0.1:1" if arg.startswith("--address") else "--within=0s" if arg.startswith("--within") else arg for arg in args]
            said = run(GATEWAY, *args, fails=True)
            self.assertTrue("cannot connect" in said or "cannot use" in said, said)
            self.assertNotIn("Usage", said)

    def test_no_service_and_no_budget_takes_a_test_for_a_gateway(self):
        for case in CASES:
            for one in hooks(case):
                labels = one["metadata"]["labels"]
                for service in objects(case, "Service"):
                    self.assertFalse(service["spec"]["selector"].items() <= labels.items(), case)
                selected = named(case, "Deployment")["spec"]["selector"]["matchLabels"]
                self.assertFalse(selected.items() <= labels.items(), case)

    def test_the_way_is_open_for_the_tests_and_only_while_they_run(self):
        for case in ("default", "everything", "postgres"):
            with self.subTest(case):
                gateway, test = pod(case)["metadata"]["labels"], tests(case)["doctor"][1]["metadata"]["labels"]
                policies = {one["metadata"]["name"].split("-test-")[1]: one for one in hooks(case) if one["kind"] == "NetworkPolicy"}
                self.assertEqual(set(policies), {"in", "out"})
                for policy in policies.values():
                    annotations = policy["metadata"]["annotations"]
                    self.assertLess(int(annotations["helm.sh/hook-weight"]), 0, "before the pods")
                    self.assertEqual(annotations["helm.sh/hook-delete-policy"], "before-hook-creation,hook-succeeded,hook-failed")
                into, out = policies["in"]["spec"], policies["out"]["spec"]
                self.assertLessEqual(into["podSelector"]["matchLabels"].items(), gateway.items())
                [rule] = into["ingress"]
                [peer] = rule["from"]
                self.assertLessEqual(peer["podSelector"]["matchLabels"].items(), test.items())
                self.assertEqual(rule["ports"], [{"port": "grpc"}])
                self.assertLessEqual(out["podSelector"]["matchLabels"].items(), test.items())
                self.assertEqual(out["ingress"], [])
                [gate, *same] = out["egress"]
                self.assertLessEqual(gate["to"][0]["podSelector"]["matchLabels"].items(), gateway.items())
                self.assertEqual(same, named(case, "NetworkPolicy")["spec"]["egress"])
                for one in objects(case, "NetworkPolicy"):
                    if one not in policies.values():
                        self.assertNotIn("-test", str(one["spec"]), "for good")

    def test_the_pods_are_as_restricted_as_the_gateways_and_leave_their_log(self):
        for case in CASES:
            for name, (own, whole) in tests(case).items():
                spec, gateway = whole["spec"], pod(case)["spec"]
                for key in ("securityContext", "serviceAccountName", "automountServiceAccountToken", "imagePullSecrets", "tolerations", "nodeSelector"):
                    self.assertEqual(spec.get(key), gateway.get(key), key)
                self.assertEqual(own["securityContext"], container(case)["securityContext"])
                self.assertEqual(own["image"], container(case)["image"])
                self.assertEqual(spec["restartPolicy"], "Never")
                self.assertTrue(all(mount["readOnly"] for mount in own.get("volumeMounts", []) if mount["name"] not in ("authority",)), name)
                self.assertEqual(whole["metadata"]["annotations"]["helm.sh/hook-delete-policy"], "before-hook-creation")
        metadata = tests("everything")["calls"][1]["metadata"]
        self.assertEqual(metadata["labels"]["sidecar.istio.io/inject"], "false")
        self.assertEqual(metadata["annotations"]["linkerd.io/inject"], "disabled")
