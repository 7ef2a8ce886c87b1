"""Staging without an account: the simulator's pod, and what the gateway is set to."""

import re
import unittest

from chart import CASES, GATEWAY, named, pod, printed_by_the_gateway, render, run

ONE_COMMAND = ["--set", "simulator.enabled=true,config.transatel.client_id=,secret.existing="]


class Simulated(unittest.TestCase):
    def test_one_value_is_enough_and_the_gateway_calls_the_simulator(self):
        self.assertNotIn("Secret", [one["kind"] for one in render("default", *ONE_COMMAND)])
        for case, options in [("default", ONE_COMMAND), ("simulated", [])]:
            table = printed_by_the_gateway(render(case, *options))["transatel"]
            service = named(case, "Service", "-simulator", *options)
            [port] = service["spec"]["ports"]
            host = f"{service['metadata']['name']}.esim-test.svc:{port['port']}"
            self.assertEqual((table["provider"], table["base_url"]), ("simulator", f"http://{host}"))
            self.assertTrue(table["mvno_ref"])

    def test_all_that_the_simulator_can_do_is_on_and_may_be_changed(self):
        wrong = {"GATEWAY__TRANSATEL__ENABLED_OPERATIONS": "x"}
        every = re.search("is none of (.*)", run(GATEWAY, "check-config", env=wrong, fails=True))[1].split(", ")
        operations = lambda *options: printed_by_the_gateway(render("simulated", *options))["transatel"]["enabled_operations"]
        self.assertEqual(operations(), every)
        self.assertEqual(operations("--set", "config.transatel.enabled_operations={SuspendSim}"), ["SuspendSim"])

    def test_it_posts_events_where_the_gateway_receives_them_with_its_secret(self):
        spec = named("simulated", "Deployment", "-simulator")["spec"]["template"]["spec"]
        [own] = spec["containers"]
        env = {one["name"]: one["value"] for one in own["env"]}
        self.assertEqual(env["SIMULATOR_WEBHOOK_URL"], "http://gateway-transatel-gateway-webhook.esim-test.svc:80/webhooks/transatel")
        [volume] = spec["volumes"]
        [item] = volume["secret"]["items"]
        self.assertEqual((volume["secret"]["secretName"], item["key"]), ("gateway-transatel-gateway", "webhook-secret"))
        self.assertEqual(env["SIMULATOR_WEBHOOK_SECRET_FILE"], f"{own['volumeMounts'][0]['mountPath']}/{item['path']}")

    def test_another_secret_of_the_webhook_rolls_it_and_nothing_else_does(self):
        """It reads the secret at its start, and forgets everything then."""
        marks = lambda *options: {
            key: value
            for key, value in named("simulated", "Deployment", "-simulator", *options)["spec"]["template"]["metadata"].get("annotations", {}).items()
            if key.startswith("checksum/")
        }
        before = marks()
        self.assertEqual(set(before), {"checksum/secret"})
        self.assertNotEqual(marks("--set", "secret.data.webhook-secret=other"), before)
        self.assertEqual(marks("--set", "secret.data.another=one,config.orders.lease=3m"), before)
        self.assertEqual(marks("--set", "webhook.enabled=false,secret.data=null"), {})
        elsewhere = "secret.from.webhookSecrets[0].name=x,secret.from.webhookSecrets[0].key=x,secret.data=null"
        self.assertEqual(marks("--set", elsewhere), {}, "the chart does not know what is in it")

    def test_the_gateway_reaches_the_simulator_and_no_real_provider(self):
        labels = named("simulated", "Deployment", "-simulator")["spec"]["template"]["metadata"]["labels"]
        rules = named("simulated", "NetworkPolicy")["spec"]["egress"]
        self.assertNotIn(443, [port["port"] for rule in rules for port in rule["ports"]])
        [peer] = [rule["to"][0] for rule in rules if {"port": 8080} in rule["ports"]]
        self.assertLessEqual(peer["podSelector"]["matchLabels"].items(), labels.items())
        self.assertFalse(named("simulated", "Deployment")["spec"]["selector"]["matchLabels"].items() <= labels.items())
        into = named("simulated", "NetworkPolicy", "-simulator")["spec"]["ingress"][0]["from"]
        gateway = pod("simulated")["metadata"]["labels"]
        self.assertTrue(any(peer.get("podSelector", {}).get("matchLabels", {"": ""}).items() <= gateway.items() for peer in into))

    def test_it_is_as_restricted_as_the_gateway(self):
        spec = named("simulated", "Deployment", "-simulator")["spec"]["template"]["spec"]
        gateway = pod("simulated")["spec"]
        self.assertEqual(spec["securityContext"], gateway["securityContext"])
        self.assertEqual(spec["containers"][0]["securityContext"], gateway["containers"][0]["securityContext"])

    def test_without_the_value_there_is_none(self):
        for case in set(CASES) - {"simulated"}:
            self.assertFalse([one for one in render(case) if one["metadata"]["name"].endswith("-simulator")], case)
