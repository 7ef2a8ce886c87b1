"""The tools that people call a gateway with: `buf curl`, grpcurl, and those
that ask reflection for everything, as grpcui does."""

import base64
import json
import pathlib
import subprocess
import tempfile
import types
import unittest

import grpc
from grpc_reflection.v1alpha import reflection_pb2

from support import FRANCE, GATEWAY, SOON, Gateway, contract, files
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

GET_PRODUCT = "connectivity.v1.Catalog/GetProduct"
SERVICES = {f"connectivity.v1.{name}" for name in ("Catalog", "Esim", "Events", "Inventory", "Provisioning")}


def call(*command):
    """The exit code and what was printed, both streams."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=SOON, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


class Tools(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gateway = Gateway(types.SimpleNamespace(addCleanup=cls.addClassCleanup))

    def whole_set(self):
        """The descriptor set with every option, as tools take it."""
        file = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) / "connectivity-v1.binpb"
        file.write_bytes(subprocess.run([GATEWAY, "descriptor-set"], check=True, capture_output=True).stdout)
        return file

    def buf_curl(self, product, *options):
        options = ["--protocol", "grpc", "--http2-prior-knowledge", *options]
        data = json.dumps({"product_id": product})
        return call("buf", "curl", *options, "-d", data, f"http://{self.gateway.address}/{GET_PRODUCT}")

    def test_buf_curl_by_each_reflection_and_by_the_descriptor_set(self):
        sources = [["--reflect-protocol", version] for version in ("grpc-v1", "grpc-v1alpha")]
        for source in [*sources, ["--schema", self.whole_set()], ["--schema", contract()]]:
            with self.subTest(source[1]):
                code, text = self.buf_curl(FRANCE, *source)
                self.assertEqual(code, 0, text)
                self.assertEqual(json.loads(text)["product"]["productId"], FRANCE)
                code, text = self.buf_curl("NO_SUCH_PRODUCT", *source)
                self.assertNotEqual(code, 0)
                self.assertIn('"not_found"', text)
                [info] = [detail for detail in json.loads(text)["details"] if detail["type"] == "google.rpc.ErrorInfo"]
                self.assertIn(b"PRODUCT_NOT_FOUND", base64.b64decode(info["value"] + "=="))

    def test_grpcurl_by_reflection_and_by_the_descriptor_set(self):
        for source in [], ["-protoset", self.whole_set()], ["-protoset", contract()]:
            with self.subTest(source):
                common = ["grpcurl", "-plaintext", *source]
                code, text = call(*common, "-d", json.dumps({"product_id": FRANCE}), self.gateway.address, GET_PRODUCT)
                self.assertEqual(code, 0, text)
                self.assertEqual(json.loads(text)["product"]["productId"], FRANCE)
                code, text = call(*common, "-d", '{"product_id":"NO_SUCH"}', self.gateway.address, GET_PRODUCT)
                self.assertEqual(code, 64 + grpc.StatusCode.NOT_FOUND.value[0], text)
                self.assertIn('"reason":"PRODUCT_NOT_FOUND"', text, "the details are readable")
                code, text = call("grpcurl", "-plaintext", *source, *([] if source else [self.gateway.address]), "list")
                self.assertEqual(code, 0, text)
                self.assertLessEqual(SERVICES, set(text.split()))

    def reflected(self, channel, version):
        """Everything there is, fetched as grpcui does: services, their files,
        then each import by its name."""
        info = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            # Both versions have the same messages.
            reflection_pb2.ServerReflectionRequest.SerializeToString,
            reflection_pb2.ServerReflectionResponse.FromString,
        )

        def ask(**question):
            [answer] = info(iter([reflection_pb2.ServerReflectionRequest(**question)]), timeout=SOON)
            self.assertFalse(answer.HasField("error_response"), f"{question}: {answer.error_response}")
            return answer

        services = {service.name for service in ask(list_services="*").list_services_response.service}
        known = {}

        def keep(answer):
            for content in answer.file_descriptor_response.file_descriptor_proto:
                file = descriptor_pb2.FileDescriptorProto.FromString(content)
                known[file.name] = file
                for name in file.dependency:
                    if name not in known:
                        keep(ask(file_by_filename=name))

        for service in services:
            keep(ask(file_containing_symbol=service))
        for file in list(known.values()):
            for kind in (*file.message_type, *file.enum_type):
                keep(ask(file_containing_symbol=f"{file.package}.{kind.name}"))
        for name in files():
            keep(ask(file_by_filename=name))
        return services, known

    def test_reflection_serves_every_file_that_a_tool_asks_for(self):
        found = {}
        for version in ("v1", "v1alpha"):
            with self.subTest(version), grpc.insecure_channel(self.gateway.address) as channel:
                services, known = self.reflected(channel, version)
                found[version] = set(known)
                self.assertLessEqual(SERVICES, services)
                self.assertLessEqual(set(files()) | {"google/type/money.proto"}, set(known))
                # Complete: a pool takes all, and a call is made with its types.
                pool = descriptor_pool.DescriptorPool()
                added = set()

                def add(name):
                    if name not in added:
                        added.add(name)
                        for dependency in known[name].dependency:
                            add(dependency)
                        pool.Add(known[name])

                for name in files():
                    add(name)
                method = pool.FindMethodByName(GET_PRODUCT.replace("/", "."))
                request = message_factory.GetMessageClass(method.input_type)
                answer = message_factory.GetMessageClass(method.output_type)
                product = channel.unary_unary(f"/{GET_PRODUCT}", request.SerializeToString, answer.FromString)
                self.assertEqual(product(request(product_id=FRANCE), timeout=SOON).product.product_id, FRANCE)
        self.assertEqual(found["v1"], found["v1alpha"])
