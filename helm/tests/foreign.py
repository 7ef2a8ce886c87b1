"""Kinds that are not Kubernetes' own. No Python package carries their projects'
schemas, so that these are written by hand after their API references: they know
the fields that the chart and `docs/kubernetes.md` use, and refuse every other."""

import jsonschema

TEXT = {"type": "string", "minLength": 1}
NUMBER = {"type": "integer", "minimum": 0}
FLAG = {"type": "boolean"}
ANY = {}


def closed(required=(), **fields):
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": fields}


def items(of, least=0):
    return {"type": "array", "items": of, "minItems": least}


def one_of(*values):
    return {"enum": list(values)}


TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
DURATION = {"type": "string", "pattern": "^([0-9]+(h|m|s))+$"}
HOSTS = items({"type": "string", "pattern": r"^(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"})
SELECTOR = closed(matchLabels=TEXTS, matchExpressions=items({"type": "object"}))

PARENT = closed(["name"], group=TEXT, kind=TEXT, namespace=TEXT, name=TEXT, sectionName=TEXT, port=NUMBER)
BACKEND = closed(["name", "port"], group=ANY, kind=TEXT, namespace=TEXT, name=TEXT, port=NUMBER, weight=NUMBER)


def route(match):
    return closed(["rules"], parentRefs=items(PARENT, 1), hostnames=HOSTS, rules=items(closed(
        ["backendRefs"], name=TEXT, matches=items(match, 1), filters=items({"type": "object"}), backendRefs=items(BACKEND, 1))))


PORTS = items(closed(["ports"], ports=items(closed(["port"], port=TEXT, protocol=one_of("TCP", "UDP", "ANY")), 1),
                     rules=closed(dns=items(closed(matchPattern=TEXT, matchName=TEXT), 1))), 1)

# By apiVersion and kind: what `spec` may hold.
SPECS = {
    ("monitoring.coreos.com/v1", "ServiceMonitor"): closed(["selector", "endpoints"], selector=SELECTOR, endpoints=items(
        closed(port=TEXT, path=TEXT, interval=DURATION), 1)),
    # promtool reads it.
    ("monitoring.coreos.com/v1", "PrometheusRule"): closed(["groups"], groups=items({"type": "object"}, 1)),
    ("cert-manager.io/v1", "Certificate"): closed(
        ["secretName", "issuerRef"], secretName=TEXT, issuerRef=closed(["name"], name=TEXT, kind=TEXT, group=TEXT),
        duration=DURATION, renewBefore=DURATION, dnsNames=HOSTS, usages=items(one_of("digital signature", "server auth")),
        privateKey=closed(algorithm=one_of("RSA", "ECDSA", "Ed25519"), size=one_of(256, 384, 521), rotationPolicy=one_of("Never", "Always"))),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): route(closed(path=closed(["type", "value"], type=one_of("Exact", "PathPrefix"), value=TEXT))),
    ("gateway.networking.k8s.io/v1", "GRPCRoute"): route(closed(method=closed(type=one_of("Exact"), service=TEXT, method=TEXT))),
    ("cilium.io/v2", "CiliumNetworkPolicy"): closed(
        ["endpointSelector"], endpointSelector=SELECTOR, egress=items(closed(
            toEndpoints=items(SELECTOR, 1), toFQDNs=items(closed(matchName=TEXT, matchPattern=TEXT), 1), toPorts=PORTS), 1)),
    ("security.istio.io/v1", "PeerAuthentication"): closed(
        selector=SELECTOR, mtls=closed(["mode"], mode=one_of("STRICT", "PERMISSIVE")),
        portLevelMtls={"type": "object", "additionalProperties": closed(["mode"], mode=one_of("STRICT", "PERMISSIVE", "DISABLE"))}),
    ("networking.istio.io/v1", "ServiceEntry"): closed(
        ["hosts"], hosts=HOSTS, location=one_of("MESH_EXTERNAL"), resolution=one_of("DNS"),
        ports=items(closed(["number", "name", "protocol"], number=NUMBER, name=TEXT, protocol=one_of("TLS", "TCP")), 1)),
    ("policy.linkerd.io/v1beta3", "Server"): closed(
        ["podSelector", "port"], podSelector=SELECTOR, port=ANY, proxyProtocol=one_of("gRPC", "HTTP/1", "opaque", "unknown"), accessPolicy=TEXT),
    ("policy.linkerd.io/v1alpha1", "MeshTLSAuthentication"): closed(identities=items(TEXT, 1)),
    ("policy.linkerd.io/v1alpha1", "AuthorizationPolicy"): closed(
        ["targetRef", "requiredAuthenticationRefs"], targetRef=closed(["group", "kind", "name"], group=TEXT, kind=TEXT, name=TEXT),
        requiredAuthenticationRefs=items(closed(["kind", "name"], group=TEXT, kind=TEXT, name=TEXT, namespace=TEXT))),
    ("cloud.google.com/v1", "BackendConfig"): closed(healthCheck=closed(
        ["type", "requestPath"], type=one_of("HTTP", "HTTPS", "HTTP2"), requestPath=TEXT, port=NUMBER, checkIntervalSec=NUMBER, timeoutSec=NUMBER)),
    ("networking.gke.io/v1", "HealthCheckPolicy"): closed(
        ["targetRef"], targetRef=closed(["kind", "name"], group=ANY, kind=one_of("Service"), name=TEXT),
        default=closed(config=closed(type=one_of("HTTP"), httpHealthCheck=closed(requestPath=TEXT, port=NUMBER)))),
    ("keda.sh/v1alpha1", "ScaledObject"): closed(
        ["scaleTargetRef", "triggers"], scaleTargetRef=closed(["name"], name=TEXT, kind=TEXT, apiVersion=TEXT), minReplicaCount=NUMBER,
        maxReplicaCount=NUMBER, pollingInterval=NUMBER, cooldownPeriod=NUMBER, triggers=items(closed(
            ["type", "metadata"], type=TEXT, metadata=TEXTS, metricType=TEXT), 1)),
}


def is_foreign(document):
    return (document["apiVersion"], document["kind"]) in SPECS


def validate(document):
    metadata = closed(["name"], name=TEXT, namespace=TEXT, labels=TEXTS, annotations=TEXTS)
    whole = closed(["spec"], apiVersion=TEXT, kind=TEXT, metadata=metadata, spec=SPECS[document["apiVersion"], document["kind"]])
    jsonschema.validate(document, whole)
