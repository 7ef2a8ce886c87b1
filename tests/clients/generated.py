"""The contract as seven languages generate it: packages as the file options
say, names that stand alone, and no copies of classes that are Google's."""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

from examples import PROTOC
from support import GENERATED, GRPCIO_PROTOC, ROOT, contract, files, generate
from google.protobuf import descriptor_pb2

# Simple names that other classes of a caller's file have, in Java (java.lang,
# io.grpc), C# (System, Grpc.Core) and TypeScript.
TAKEN = set(
    "Action Activation Boolean Call Channel Character Class Date Double Duration Enum Error Exception Float Function"
    " Guid Integer Iterable Long Map Math Metadata Method Module Money Number Object Operator Package Process Promise"
    " Range Record Resolution Response Runtime Server Short Start State Status String System Task Thread Timestamp Type Void".split()
)


class Generated(unittest.TestCase):
    def tree(self, *outputs, protoc=PROTOC, more=()):
        """What a generator writes: texts by their paths."""
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        generate(protoc, *(output.format(folder) for output in outputs), more=more)
        found = {str(file.relative_to(folder)): file.read_text(errors="replace") for file in folder.rglob("*") if file.is_file()}
        self.assertTrue(found)
        return found

    def is_ours(self, tree, place, declared):
        """Every file is in the package's place and declares it; none is Google's."""
        for path, text in tree.items():
            self.assertRegex(path, place)
            self.assertRegex(text, f"(?m)^{declared}", path)

    def test_java(self):
        plugin = "--plugin=protoc-gen-grpc-java=/usr/bin/grpc_java_plugin"
        tree = self.tree("--java_out={}", plugin, "--grpc-java_out={}")
        self.is_ours(tree, r"^connectivity/v1/\w+\.java$", r"package connectivity\.v1;$")
        for name in ("Order", "StreamStart", "ActivationMode", "OperatorResolution", "NetworkOperator", "CatalogGrpc"):
            self.assertIn(f"connectivity/v1/{name}.java", tree, "a class has a file of its own")

    def test_go(self):
        tree = self.tree("--go_out={}", "--go-grpc_out={}")
        self.is_ours(tree, r"^connectivity/v1/\w+\.pb\.go$", "package connectivityv1$")
        money = [text for text in tree.values() if "*money.Money" in text]
        self.assertTrue(money and all('"google.golang.org/genproto/googleapis/type/money"' in text for text in money))

    def test_csharp(self):
        tree = self.tree("--csharp_out={}", "--csharp_opt=base_namespace=")
        self.is_ours(tree, r"^Connectivity/V1/\w+\.cs$", r"namespace Connectivity\.V1 \{$")

    def test_php(self):
        plugin = "--plugin=protoc-gen-grpc=/usr/bin/grpc_php_plugin"
        tree = self.tree("--php_out={}", plugin, "--grpc_out={}")
        metadata = {path: text for path, text in tree.items() if path.startswith("GPBMetadata/")}
        self.is_ours(metadata, r"^GPBMetadata/Connectivity/V1/\w+\.php$", r"namespace GPBMetadata\\Connectivity\\V1;$")
        classes = {path: text for path, text in tree.items() if path not in metadata}
        # Old names of nested types, which PHP's generator keeps as aliases.
        self.is_ours(classes, r"^Connectivity/V1/[\w/]+\.php$", r"namespace Connectivity\\V1(\\\w+)?;$")
        self.assertIn("Connectivity/V1/CatalogClient.php", classes)

    def test_ruby(self):
        plugin = "--plugin=protoc-gen-grpc=/usr/bin/grpc_ruby_plugin"
        tree = self.tree("--ruby_out={}", plugin, "--grpc_out={}")
        self.is_ours(tree, r"^connectivity/v1/\w+_pb\.rb$", r"module Connectivity\n +module V1$")

    def test_python(self):
        tree = {str(file.relative_to(GENERATED)): "" for file in pathlib.Path(GENERATED).rglob("*.py")}
        self.is_ours(tree, r"^connectivity/v1/\w+_pb2(_grpc)?\.py$", "")
        classes = "from google.type import money_pb2; from connectivity.v1 import catalog_pb2 as c;"
        same = "print(type(c.Destination().lowest_price) is money_pb2.Money)"
        done = subprocess.run([sys.executable, "-c", classes + same], cwd=GENERATED, capture_output=True, text=True)
        self.assertEqual(done.stdout, "True\n", done.stderr)

    def test_python_from_the_source(self):
        """With everything that the contract imports and that is not Google's."""
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        foreign = [file for file in (ROOT / "third_party").rglob("*.proto") if "google" not in file.parts]
        includes = [f"-I{ROOT / 'proto'}", f"-I{ROOT / 'third_party'}"]
        sources = [ROOT / "proto" / file for file in files()]
        subprocess.run([*GRPCIO_PROTOC, *includes, f"--python_out={folder}", *foreign, *sources], check=True)
        program = "from connectivity.v1 import types_pb2 as t; f = t.SimRef.DESCRIPTOR.fields_by_name['iccid'];"
        program += "print(f.GetOptions().debug_redact)"
        done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True)
        self.assertEqual(done.stdout, "True\n", done.stderr)

    def test_names_stand_alone(self):
        """Flat packages put each name beside the language's own and the library's."""
        contents = descriptor_pb2.FileDescriptorSet.FromString(contract().read_bytes())
        ours = [file for file in contents.file if file.package == "connectivity.v1"]
        types = [kind.name for file in ours for kind in (*file.message_type, *file.enum_type, *file.service)]
        self.assertEqual(len(types), len(set(types)))
        self.assertEqual(TAKEN & set(types), set())
        for file in ours:
            for enum in file.enum_type:
                prefix = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper()
                for value in enum.value:
                    self.assertTrue(value.name.startswith(f"{prefix}_"), value.name)
        self.assertEqual({file.name for file in ours}, set(files()))
