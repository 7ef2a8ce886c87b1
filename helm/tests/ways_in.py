"""Ways in from outside: of events to the webhook, and of callers."""

import unittest

from chart import named


class WaysIn(unittest.TestCase):
    def test_a_route_leads_to_the_webhooks_path_and_to_nothing_else(self):
        spec = named("everything", "HTTPRoute", "-webhook")["spec"]
        self.assertEqual(spec["parentRefs"], [{"name": "public", "namespace": "gateways", "sectionName": "https"}])
        [rule] = spec["rules"]
        self.assertEqual(rule["matches"], [{"path": {"type": "Exact", "value": "/events/transatel"}}])
        [backend] = rule["backendRefs"]
        [port] = named("everything", "Service", "-webhook")["spec"]["ports"]
        self.assertEqual(backend, {"name": "esim-webhook", "port": port["port"]})

    def test_a_route_for_callers_leads_to_the_grpc_port(self):
        spec = named("everything", "GRPCRoute")["spec"]
        [rule] = spec["rules"]
        [port] = named("everything", "Service")["spec"]["ports"]
        self.assertEqual(rule["backendRefs"], [{"name": "esim", "port": port["port"]}])
        self.assertEqual(port["targetPort"], "grpc")
