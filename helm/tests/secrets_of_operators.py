"""Secrets and certificates as operators make them: each from its own object."""

import tomllib
import unittest

from chart import MOUNT, configuration, files_of, named, pod


class SecretsOfOperators(unittest.TestCase):
    def test_each_comes_from_its_own_object_and_is_where_the_gateway_reads_it(self):
        mounts = {mount["name"]: mount["mountPath"] for mount in pod("operators")["spec"]["containers"][0]["volumeMounts"]}
        held = {
            f"{mounts[volume['name']]}/{path}": (*source, key)
            for volume in pod("operators")["spec"]["volumes"]
            for source, key, path in files_of(volume)
        }
        self.assertEqual(held, {
            f"{MOUNT}/secret/client-secret": ("secret", "transatel-account", "password"),
            f"{MOUNT}/secret/store-password": ("secret", "ledger-app", "password"),
            f"{MOUNT}/secret/webhook-0": ("secret", "data-stream-2026", "password"),
            f"{MOUNT}/secret/webhook-1": ("secret", "data-stream-2027", "password"),
            f"{MOUNT}/tls/tls.crt": ("secret", "gateway-transatel-gateway-tls", "tls.crt"),
            f"{MOUNT}/tls/tls.key": ("secret", "gateway-transatel-gateway-tls", "tls.key"),
            f"{MOUNT}/client-ca/ca.crt": ("configMap", "company-authorities", "trust-bundle.pem"),
            f"{MOUNT}/store-ca/ca.crt": ("secret", "ledger-ca", "ca.crt"),
        })
        table = tomllib.loads(configuration("operators"))
        named_files = [
            table["transatel"]["client_secret_file"], table["store"]["password_file"], *table["webhook"]["secret_files"],
            table["grpc"]["tls"]["cert_file"], table["grpc"]["tls"]["key_file"], table["grpc"]["tls"]["client_ca_file"],
            table["store"]["url"].split("sslrootcert=")[1],
        ]
        self.assertEqual(sorted(named_files), sorted(held))

    def test_the_certificate_is_for_the_names_that_callers_use_and_becomes_the_mounted_secret(self):
        spec = named("operators", "Certificate")["spec"]
        for service in ("gateway-transatel-gateway", "gateway-transatel-gateway-headless"):
            for name in (service, f"{service}.esim-test", f"{service}.esim-test.svc"):
                self.assertIn(name, spec["dnsNames"])
        self.assertEqual(spec["issuerRef"], {"name": "company", "kind": "ClusterIssuer", "group": "cert-manager.io"})
        [volume] = [volume for volume in pod("operators")["spec"]["volumes"] if volume["name"] == "tls"]
        self.assertEqual(volume["secret"]["secretName"], spec["secretName"])
        self.assertEqual(named("everything", "Certificate")["spec"]["secretName"], "gateway-tls")
