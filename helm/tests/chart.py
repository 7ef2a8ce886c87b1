"""What the tests of the chart share: helm renders a case of `values/`, and the
objects that come out are looked up."""

import copy
import functools
import os
import pathlib
import subprocess
import tempfile
import tomllib

import yaml

TESTS = pathlib.Path(__file__).resolve().parent
CHART = TESTS.parent / "transatel-gateway"
ROOT = TESTS.parents[1]
GATEWAY = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "debug/transatel-gateway"
CASES = sorted(path.stem for path in (TESTS / "values").glob("*.yaml"))
# The oldest that Chart.yaml allows, and the newest there is a schema for.
KUBERNETES = ["1.27", "1.37"]
MOUNT = "/etc/transatel-gateway"
NAMESPACE = "esim-test"


def run(*command, fails=False, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if (done.returncode != 0) != fails:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stderr if fails else done.stdout


def values_of(case):
    return TESTS / "values" / f"{case}.yaml"


def helm(action, case, *options, **more):
    name = [] if action == "lint" else ["gateway"]
    return run("helm", action, *name, CHART, "--namespace", NAMESPACE, "--values", values_of(case), *options, **more)


@functools.cache
def text(case, *options):
    return helm("template", case, *options)


@functools.cache
def parsed(case, *options):
    return [document for document in yaml.safe_load_all(text(case, *options)) if document]


def render(case, *options):
    # Parsing takes longer than rendering; copies, since a test may change what it gets.
    return copy.deepcopy(parsed(case, *options))


def refusal(case, *options):
    return helm("template", case, *options, fails=True)


def objects(case, kind, *options):
    return [document for document in render(case, *options) if document["kind"] == kind]


def named(case, kind, ending="", *options):
    """The one object of a kind whose name has this ending after the release's."""
    found = objects(case, kind, *options)
    base = "esim" if case == "everything" else "gateway-transatel-gateway"
    [match] = [document for document in found if document["metadata"]["name"] == base + ending]
    return match


def pod(case, *options):
    return named(case, "Deployment", "", *options)["spec"]["template"]


def container(case, *options):
    [found] = [one for one in pod(case, *options)["spec"]["containers"] if one["name"] == "gateway"]
    return found


def files_of(volume):
    """The files of a volume that is not the configuration: (kind and name of the
    object, key, path)."""
    for source in volume.get("projected", {}).get("sources", [volume]):
        for kind in {"secret", "configMap"} & set(source):
            held = source[kind]
            for item in held.get("items", []):
                yield (kind, held.get("secretName") or held["name"]), item["key"], item["path"]


def configuration(case, *options):
    return named(case, "ConfigMap", "", *options)["data"]["gateway.toml"]


def printed_by_the_gateway(documents):
    """Checks and prints the configuration of what was rendered with the real
    binary, as if the pod's files were where they are mounted."""
    specs = [one["spec"]["template"]["spec"] for one in documents if one["kind"] == "Deployment"]
    [spec] = [spec for spec in specs if any(one["name"] == "gateway" for one in spec["containers"])]
    [own] = [one for one in spec["containers"] if one["name"] == "gateway"]
    [settings] = [one["data"]["gateway.toml"] for one in documents if one["kind"] == "ConfigMap" and "gateway.toml" in one.get("data", {})]
    made = {key: value for one in documents if one["kind"] == "Secret" for key, value in one["stringData"].items()}
    if own["args"] != ["serve", "--config", f"{MOUNT}/config/gateway.toml"]:
        raise AssertionError(own["args"])
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "gateway.toml"
        file.write_text(settings.replace(MOUNT, folder))
        for volume in spec["volumes"]:
            for _, key, path in files_of(volume):
                [mount] = [mount["mountPath"] for mount in own["volumeMounts"] if mount["name"] == volume["name"]]
                held = pathlib.Path(mount.replace(MOUNT, folder)) / path
                held.parent.mkdir(exist_ok=True)
                # What an operator makes is an address under this name only.
                held.write_text(made.get(key, "postgres://app@ledger/app" if path == "store-url" else f"the {key}"))
        # What comes from the pod itself is an address.
        environment = {variable["name"]: variable.get("value", "10.0.0.7") for variable in own["env"]}
        run(GATEWAY, "check-config", "--config", file, env=environment)
        return tomllib.loads(run(GATEWAY, "print-config", "--config", file, env=environment))


def rules(case, *options):
    [_, group] = named(case, "PrometheusRule", "", *options)["spec"]["groups"]
    return group["rules"]
