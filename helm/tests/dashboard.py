#!/usr/bin/env python3
"""Looks at the dashboard with real data: a gateway in sandbox mode with callers
and faults, scraped by a real Prometheus with the chart's rules. Every query of
every panel has to work and, but for a few, to find something. The answers are
drawn as a picture by picture.py, which is not Grafana.

    python helm/tests/dashboard.py [-v]

Needs helm and prometheus on the path, what `.ci/tools.txt` has, and a built
gateway (`cargo build`). The picture is target/dashboard.png; UPDATE=1 also
writes its upper part to docs/dashboard.png.
"""

import contextlib
import itertools
import json
import os
import pathlib
import sys
import tempfile
import threading
import unittest
import urllib.error
import urllib.parse
import uuid

import grpc
import yaml

import chart
import picture

sys.path.insert(0, str(chart.ROOT / "tests/clients"))
import support  # noqa: E402
from connectivity.v1 import catalog_pb2, catalog_pb2_grpc, esim_pb2, esim_pb2_grpc, events_pb2, events_pb2_grpc  # noqa: E402
from connectivity.v1 import inventory_pb2, inventory_pb2_grpc, provisioning_pb2, provisioning_pb2_grpc, types_pb2  # noqa: E402

LABELS = {"namespace": chart.NAMESPACE, "job": "gateway-transatel-gateway-metrics", "pod": "gateway-5c8f7-x2x4k"}
RELEASE = "gateway-transatel-gateway"
INTERVAL = 1
# As Grafana would: four scrapes.
RATE_INTERVAL = "4s"
SCRAPES = 30
PATIENCE = 120

# Panels that are rightly empty, and why.
EMPTY = {
    "Certificate is valid for": "the gateway has no TLS here",
    "Operations that failed": "the ledger does not fail here",
    "Calls refused because of a limit": "no caller reaches its limit here",
}


class Prometheus:
    def __init__(self, test, rules, target):
        kept = tempfile.TemporaryDirectory()
        test.addCleanup(kept.cleanup)
        folder = pathlib.Path(kept.name)
        (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
        (folder / "prometheus.yaml").write_text(yaml.safe_dump({
            "global": {"scrape_interval": f"{INTERVAL}s", "evaluation_interval": f"{INTERVAL}s"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [{"job_name": LABELS["job"], "static_configs": [{"targets": [target], "labels": LABELS}]}],
        }))
        port = support.reserved_port()
        self.url = f"http://127.0.0.1:{port}"
        self.process = support.Process(
            test, "prometheus", f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
        )

    def get(self, path, **query):
        """The data of an answer, or an error with the reason."""
        try:
            answer = support.fetch(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}")
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}")
        return json.loads(answer)["data"]

    def number(self, query):
        """The value of one series, 0 without any."""
        found = self.get("query", query=query)["result"]
        return float(found[0]["value"][1]) if found else 0


class Callers:
    """What callers do all the while, each in a thread of its own."""

    def __init__(self, test, gateway):
        self.gateway = gateway
        self.stop = threading.Event()
        # Held by an act that nobody may disturb.
        self.undisturbed = threading.Lock()
        self.stock = itertools.cycle(support.sims(gateway.sandbox, 2000))
        channel = grpc.insecure_channel(gateway.address)
        self.catalog = catalog_pb2_grpc.CatalogStub(channel)
        self.inventory = inventory_pb2_grpc.InventoryStub(channel)
        self.esim = esim_pb2_grpc.EsimStub(channel)
        self.provisioning = provisioning_pb2_grpc.ProvisioningStub(channel)
        self.events = events_pb2_grpc.EventsStub(channel)
        self.known, _ = next(self.stock)
        work = [(self.read, True), (self.buy, True), (self.follow, False)]
        self.threads = [threading.Thread(target=self.repeat, args=one, daemon=True) for one in work]
        for thread in self.threads:
            thread.start()
        test.addCleanup(channel.close)
        test.addCleanup(self.end)

    def repeat(self, calls, alone):
        while not self.stop.wait(0.15):
            for call in calls():
                with self.undisturbed if alone else contextlib.nullcontext():
                    try:
                        call()
                    except grpc.RpcError:
                        pass

    def sim(self):
        return types_pb2.SimRef(msisdn=self.known)

    def read(self):
        return [
            lambda: self.catalog.ListProducts(catalog_pb2.ListProductsRequest(countries=["FR"], page_size=5), timeout=10),
            lambda: self.inventory.GetInventory(inventory_pb2.GetInventoryRequest(sim=self.sim()), timeout=10),
            lambda: self.esim.GetEsim(esim_pb2.GetEsimRequest(sim=self.sim()), timeout=10),
            lambda: self.catalog.GetProduct(catalog_pb2.GetProductRequest(product_id="NO_SUCH_PRODUCT"), timeout=10),
        ]

    def order(self, msisdn):
        request = provisioning_pb2.CreateOrderRequest(
            request_id=str(uuid.uuid4()), sim=types_pb2.SimRef(msisdn=msisdn), product_id=support.FRANCE
        )
        return self.provisioning.CreateOrder(request, timeout=10).order

    def buy(self):
        return [lambda: self.order(next(self.stock)[0])]

    def follow(self):
        """A follower that leaves after the first event, and comes again."""
        return [self.first_event]

    def first_event(self):
        request = events_pb2.StreamEventsRequest(start=events_pb2.STREAM_START_EARLIEST)
        stream = self.events.StreamEvents(request, timeout=3)
        next(stream)
        self.stop.wait(0.5)
        stream.cancel()

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(20)


class Dashboard(unittest.TestCase):
    def control(self, path, data=None):
        return support.fetch(f"{self.gateway.sandbox}/__sandbox/{path}", data)

    def fault(self, method, path, *steps, query=""):
        self.control("faults", {"method": method, "path": path, "query": query, "steps": list(steps)})

    def no_faults(self):
        request = urllib.request.Request(f"{self.gateway.sandbox}/__sandbox/faults", method="DELETE")
        urllib.request.urlopen(request, timeout=support.SOON).close()

    # --- what happens, one after the other --------------------------------------

    def wrong_signature(self):
        with self.assertRaises(urllib.error.HTTPError):
            support.fetch(f"{self.webhook}/webhooks/transatel", {"nobody": "signed this"})

    def unreadable_answers(self):
        self.fault("GET", "/ocs/inventory", {"fault": "html", "repeat": 2})

    def slow_orders(self):
        self.fault("POST", "/ocs/subscriptions", {"fault": "delay", "for": "700ms", "repeat": 3})

    def an_operation_that_never_ends(self):
        with self.callers.undisturbed:
            msisdn = json.loads(self.control("sims?status=Active&limit=1"))[0]["msisdn"]
            self.control(f"sims/{msisdn}/outcomes", {"outcome": "hang"})
            request = provisioning_pb2.SuspendSimRequest(request_id=str(uuid.uuid4()), sim=types_pb2.SimRef(msisdn=msisdn))
            self.callers.provisioning.SuspendSim(request, timeout=10)

    def an_order_for_an_operator(self):
        """Its answer and its events are lost, and its SIM cannot be read."""
        inventory = "/ocs/inventory/api/subscriptions/products"
        with self.callers.undisturbed:
            self.no_faults()
            self.fault("POST", "/ocs/subscriptions/api/orders/products", {"fault": "reset", "commit": True})
            lost = {"fault": "status", "status": 404, "title": "NOT_FOUND", "forever": True}
            msisdn, _ = next(self.callers.stock)
            # Reads about other SIMs use up no step.
            self.fault("GET", inventory, {"fault": "pass"}, lost, query=f"msisdn={msisdn}")
            self.control("webhook/disturbances", {"sim": msisdn, "disturbances": 9 * [{"disturbance": "lose"}]})
            self.callers.order(msisdn)
            shown = 'transatel_gateway_orders{kind="purchase",state="needs_operator"'
            support.until("an order needs an operator", lambda: shown in support.fetch(f"{self.admin}/metrics"))
            self.no_faults()

    def an_empty_account(self):
        self.control("account", {"balance_cents": 0})

    def a_full_account(self):
        self.control("account", {"balance_cents": 100_000_000})

    def esims_fail(self):
        self.fault("GET", "/sim-management", {"fault": "status", "status": 503, "forever": True})

    def a_clock_that_differs(self):
        self.control("settings", {"date_skew": "-9s"})

    # After so many scrapes.
    ACTS = {
        4: wrong_signature,
        6: slow_orders,
        8: unreadable_answers,
        10: an_operation_that_never_ends,
        12: an_order_for_an_operator,
        17: an_empty_account,
        20: a_full_account,
        22: esims_fail,
        25: a_clock_that_differs,
    }

    def test_every_panel_shows_what_it_should(self):
        self.admin = f"http://127.0.0.1:{support.reserved_port()}"
        self.webhook = f"http://127.0.0.1:{support.reserved_port()}"
        options = ["--set", "metrics.serviceMonitor.enabled=true,metrics.alerts.enabled=true,metrics.dashboard.enabled=true,webhook.enabled=true"]
        rules = chart.named("default", "PrometheusRule", "", *options)["spec"]
        [board] = chart.named("default", "ConfigMap", "-dashboard", *options)["data"].values()
        self.board = json.loads(board)
        self.prometheus = Prometheus(self, rules, self.admin.removeprefix("http://"))
        settings = {
            "ADMIN__LISTEN": self.admin.removeprefix("http://"), "WEBHOOK__LISTEN": self.webhook.removeprefix("http://"),
            "ORDERS__SETTLE_WINDOW": "50ms", "ORDERS__ESCALATE_AFTER": "100ms", "ORDERS__RECONCILE_AFTER": "20ms",
            "ORDERS__RECONCILE_AT_MOST": "50ms", "TRANSATEL__READ_ATTEMPTS": 1, "BREAKER__OPEN_FOR": "2s",
            "CALLERS__LIMITS": '{ "*" = ["100000 EUR/day"] }',
        }
        self.gateway = support.Gateway(self, **settings)
        self.a_full_account()
        self.callers = Callers(self, self.gateway)
        scraped = lambda: self.prometheus.number('count_over_time(up{job="%s"}[10m])' % LABELS["job"])
        support.SOON = PATIENCE
        support.until("Prometheus is ready", self.is_ready)
        for at, act in [*self.ACTS.items(), (SCRAPES, lambda _: None)]:
            support.until(f"{at} scrapes", lambda: scraped() >= at)
            act(self)
        self.callers.end()
        support.until("no scrape of the last ones failed", self.is_scraped)
        now = float(self.prometheus.get("query", query="time()")["result"][1])
        start = float(self.prometheus.number('min_over_time(timestamp(up{job="%s"})[10m:1s])' % LABELS["job"]))
        answers = self.ask(start, now)
        self.draw(answers, start, now)
        self.judge(answers)

    def is_scraped(self):
        """A scrape that took too long would leave gaps at the end."""
        last = 'up{job="%s"}[4s]' % LABELS["job"]
        return self.prometheus.number(f"min_over_time({last})") == 1 and self.prometheus.number(f"count_over_time({last})") >= 4

    def is_ready(self):
        try:
            return support.fetch(f"{self.prometheus.url}/-/ready")
        except OSError:
            return None

    def filled_in(self, expression):
        """As Grafana fills in the dashboard's variables."""
        for name, value in {"__rate_interval": RATE_INTERVAL, **LABELS, "release": RELEASE}.items():
            expression = expression.replace(f"${name}", value)
        self.assertNotIn("$", expression)
        return expression

    def ask(self, start, end):
        """Every query of every panel."""
        answers = {}
        for panel in self.board["panels"]:
            for target in panel.get("targets", []):
                expression = self.filled_in(target["expr"])
                found = self.prometheus.get("query_range", query=expression, start=start, end=end, step=INTERVAL)["result"]
                for series in found:
                    name = target["legendFormat"]
                    for label, value in series["metric"].items():
                        name = name.replace("{{%s}}" % label, value)
                    self.assertNotIn("{{", name, panel["title"])
                    points = [(at, float(value)) for at, value in series["values"] if value not in ("NaN", "+Inf", "-Inf")]
                    # An instant query finds only what there is at the end.
                    if points and (not target.get("instant") or end - points[-1][0] < 2 * INTERVAL):
                        answers.setdefault(panel["id"], []).append((name, points))
        return answers

    def judge(self, answers):
        titles = {panel["title"] for panel in self.board["panels"]}
        self.assertLessEqual(set(EMPTY), titles)
        for panel in self.board["panels"]:
            if panel["type"] != "row":
                with self.subTest(panel["title"]):
                    self.assertEqual(panel["id"] not in answers, panel["title"] in EMPTY, EMPTY.get(panel["title"], "is empty"))
        for variable in self.board["templating"]["list"][1:]:
            with self.subTest(variable["name"]):
                selector, label = self.filled_in(variable["query"]["query"]).removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
                found = self.prometheus.get(f"label/{label}/values", **{"match[]": selector})
                self.assertEqual(found, [LABELS[label]])
        for annotation in self.board["annotations"]["list"]:
            with self.subTest(annotation["name"]):
                self.assertTrue(self.prometheus.get("query", query=self.filled_in(annotation["expr"]))["result"])
        shown = {panel["title"]: answers.get(panel["id"]) for panel in self.board["panels"]}
        last = lambda title: shown[title][0][1][-1][1]
        for title, holds in {
            "Us: replicas that are ready": last("Us: replicas that are ready") == 1,
            "Us: the ledger": last("Us: the ledger") == 0,
            "Us: calls that do not fail": last("Us: calls that do not fail") > 0.99,
            "Us: clock offset": 3 < last("Us: clock offset") < 9.1,
            "Them: breakers open": last("Them: breakers open") <= 1,
            "Them: requests that fail": last("Them: requests that fail") > 0,
            "Money: orders for an operator": last("Money: orders for an operator") == 2,
            "Money: account is empty": last("Money: account is empty") > 0,
        }.items():
            with self.subTest(title):
                self.assertTrue(holds, shown[title][0][1][-1])
        firing = {name for name, _ in shown["Alerts that fire"]}
        self.assertLessEqual({f"TransatelGateway{name}" for name in ("OrdersNeedOperator", "InsufficientFunds", "AnswersUnreadable")}, firing)

    def draw(self, answers, start, end):
        caption = "Drawn by helm/tests/dashboard.py from the answers of Prometheus to the dashboard's queries; half a minute of a gateway in sandbox mode, with faults"
        image = picture.draw(self.board, answers, start, end, caption)
        target = chart.GATEWAY.parents[1] / "dashboard.png"
        picture.save(image, target)
        print(f"the dashboard as it is drawn: {target}")
        if os.environ.get("UPDATE"):
            height = picture.rows(self.board, {self.board["panels"][0]["title"], "Callers"})
            picture.save(image.crop((0, 0, image.width, height)), chart.ROOT / "docs/dashboard.png")


if __name__ == "__main__":
    unittest.main()
