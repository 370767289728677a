"""What the rules of the `lxd` relation are tried with: certificates of every sort, real LXD servers, callers of a host, a
book of the rules that were tried."""

import base64
import datetime
import http.client
import json
import socket
import subprocess
import tempfile
import time

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

PATIENCE = 60


class Book:
    """What was checked."""

    def __init__(self):
        self.section, self.rules, self.broken = "", 0, []

    def rule(self, text, holds, seen=None):
        self.rules += 1
        if not holds:
            self.broken.append(f"{self.section}: {text}: {seen}")
        print(json.dumps({"section": self.section, "rule": text, "holds": bool(holds)}), flush=True)


BOOK = Book()
rule = BOOK.rule


def refuses(text, status, answer):
    """A rule: the answer is a problem document of this status."""
    rule(text, problem(answer, status), answer.text)


def until(what, wanted, patience=PATIENCE):
    """The first answer that is one; none after a while, which breaks a rule."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = wanted()
        if found:
            return found
        time.sleep(0.05)
    rule(what, False, "not in time")
    return None


class Certificate:
    """One of every sort: `key` is a kind, times are seconds from now."""

    def __init__(self, name, key="p256", begins=-86400, ends=86400, issuer=None):
        self.private = {
            "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
            "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
            "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
            "rsa2048": lambda: rsa.generate_private_key(65537, 2048),
            "rsa1024": lambda: rsa.generate_private_key(65537, 1024),
            "ed25519": ed25519.Ed25519PrivateKey.generate,
        }[key]()
        # Certificates know whole seconds.
        self.name, now = named(name), datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        self.begins, self.ends = (now + datetime.timedelta(seconds=seconds) for seconds in (begins, ends))
        builder = x509.CertificateBuilder(
            (issuer or self).name,
            self.name,
            self.private.public_key(),
            x509.random_serial_number(),
            self.begins,
            self.ends,
        )
        signer = (issuer or self).private
        plain = isinstance(signer, ed25519.Ed25519PrivateKey)
        self.take(builder.sign(signer, None if plain else hashes.SHA256()))

    def take(self, certificate):
        self.der = certificate.public_bytes(serialization.Encoding.DER)
        self.pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
        self.fp = certificate.fingerprint(hashes.SHA256()).hex()

    @property
    def key(self):
        form = serialization.PrivateFormat.PKCS8
        return self.private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


class Version1(Certificate):
    """openssl writes version 1 where there are no extensions."""

    def __init__(self, name):
        self.private = ec.generate_private_key(ec.SECP256R1())
        with tempfile.NamedTemporaryFile("w") as key:
            key.write(self.key)
            key.flush()
            request = ["openssl", "req", "-new", "-key", key.name, "-subj", f"/CN={name}"]
            sign = ["openssl", "x509", "-req", "-signkey", key.name, "-days", "2"]
            made = subprocess.run(request, capture_output=True, check=True).stdout
            pem = subprocess.run(sign, input=made, capture_output=True, check=True).stdout
        certificate = x509.load_pem_x509_certificate(pem)
        assert certificate.version == x509.Version.v1
        self.take(certificate)


def named(name):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def block(label, der):
    return f"-----BEGIN {label}-----\n{base64.b64encode(der).decode()}\n-----END {label}-----\n"


def wanting(*pems):
    return {"client_certificates": json.dumps([pem.pem if isinstance(pem, Certificate) else pem for pem in pems])}


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("lxd", timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class Server:
    """An LXD, through its unix socket as root, and through TLS as whoever has a certificate."""

    def __init__(self, facts):
        self.name, self.endpoint = facts["name"], facts["endpoint"]
        self.certificate, self.socket = facts["certificate"], facts["socket"]
        self.fp = x509.load_pem_x509_certificate(self.certificate.encode()).fingerprint(hashes.SHA256()).hex()

    def ask(self, method, path, body=None):
        connection = UnixConnection(self.socket)
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = json.load(connection.getresponse())
        connection.close()
        return answer

    def entries(self):
        """By fingerprint."""
        return {entry["fingerprint"]: entry for entry in self.ask("GET", "/1.0/certificates?recursion=1")["metadata"]}

    def add(self, certificate, name="by hand"):
        body = {"type": "client", "name": name, "certificate": base64.b64encode(certificate.der).decode()}
        assert self.ask("POST", "/1.0/certificates", body)["type"] == "sync"

    def remove(self, fingerprint):
        return self.ask("DELETE", f"/1.0/certificates/{fingerprint}")

    def change(self, fingerprint, **fields):
        assert self.ask("PATCH", f"/1.0/certificates/{fingerprint}", fields)["type"] == "sync"

    def lets_in(self, certificate):
        """What LXD says of who comes with a certificate."""
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(certificate.pem + certificate.key)
            file.flush()
            answer = requests.get(f"{self.endpoint}/1.0", cert=file.name, verify=False, timeout=PATIENCE)
        return answer.json()["metadata"]["auth"] == "trusted"


class Caller:
    """Who sends requests with a token."""

    def __init__(self, url, token=None):
        self.url, self.session = url.rstrip("/"), requests.Session()
        self.session.trust_env = False
        if token:
            self.session.headers["Authorization"] = f"Bearer {token}"

    def __call__(self, method, path, body=None, headers=None, **more):
        if body is not None:
            more["data"] = body if isinstance(body, (str, bytes)) else json.dumps(body)
        return self.session.request(method, f"{self.url}/{path}", headers=headers, timeout=PATIENCE + 20, **more)


class Relation:
    """With unit 0, and a requirer who holds the token."""

    def __init__(self, lab, app="demo"):
        made = lab.operator("POST", "relations", {"interface": "lxd", "remote_app": app, "label": "of a test"})
        assert made.status_code == 201, made.text
        self.made, self.id, self.path = made, made.json()["id"], f"relations/{made.json()['id']}"
        self.requirer = Caller(lab.url, made.json()["token"])
        self.lab = lab
        self.join(0)

    def __call__(self, method, path, body=None, headers=None, **more):
        return self.requirer(method, f"{self.path}/{path}".rstrip("/"), body, headers, **more)

    def join(self, unit):
        return self("PUT", f"units/{unit}")

    def write(self, *pems, unit=0, headers=None):
        return self("PUT", f"units/{unit}/data", wanting(*pems), headers)

    def bag(self, unit=0):
        return self("GET", f"units/{unit}/data").json()

    def provider(self):
        return self("GET", "provider/data").json()

    def nodes(self):
        """What each node is said to trust, by the endpoint."""
        nodes = json.loads(self.provider()["nodes"])
        return {node["endpoint"]: set(node["trusted_certs_fp"]) for node in nodes}

    def registered(self):
        return json.loads(self.provider()["registered_certificates"])

    def until_registered(self, *pems):
        texts = [pem.pem if isinstance(pem, Certificate) else pem for pem in pems]
        return until(f"registered: {len(texts)}", lambda: self.registered() == texts)

    def view(self, certificate):
        views = self("GET", "certificates").json()
        return next((view for view in views if view["fingerprint"] == certificate.fp), None)

    def state(self, certificate, node="one"):
        view = self.view(certificate)
        return next((state for state in view["nodes"] if state["node"] == node), None) if view else None

    def until_state(self, certificate, *state, node="one"):
        """The node's part of the view, once it has this state and, if there are two, this code of error."""

        def found():
            seen = self.state(certificate, node)
            if seen and (seen["state"], *([(seen["error"] or {}).get("code")] if len(state) > 1 else [])) == state:
                return seen
            return None

        return until(f"a certificate is {' '.join(state)} on {node}", found) or {"error": {}}

    def end(self):
        return self.lab.operator("DELETE", self.path)


class Lab:
    def __init__(self, given):
        self.url, self.facade, self.trust = f"{given['url'].rstrip('/')}/v1", given["facade"], given["trust"]
        self.operator, self.stranger, self.token = Caller(self.url, given["token"]), Caller(self.url), given["token"]
        self.servers = [Server(facts) for facts in given["servers"]]
        self.certificate, self.key = given["certificate"], given["key"]
        self.own = x509.load_pem_x509_certificate(self.certificate.encode()).fingerprint(hashes.SHA256()).hex()
        self.nowhere, self.grace, self.relist = given["nowhere"], given["grace"], given["relist"]

    def node(self, place=0, **more):
        server = self.servers[place]
        credential = {"client_certificate": self.certificate, "client_key": self.key}
        return {"endpoint": server.endpoint, "server_certificate": server.certificate, **credential, **more}

    def until_node(self, name, state):
        def found():
            view = self.operator("GET", f"nodes/{name}").json()
            return view if view.get("state") == state else None

        return until(f"node {name} is {state}", found) or {}

    def reconcile(self):
        return self.operator("POST", "reconcile")

    def until_gone(self, *certificates):
        fps = {certificate.fp for certificate in certificates}
        return until(
            "certificates leave the servers", lambda: not any(fps & server.entries().keys() for server in self.servers)
        )


def codes(answer):
    return [(error.get("key"), error.get("index"), error["code"]) for error in answer.json().get("errors", [])]


def problem(answer, status):
    """Whether an answer is a problem document of this status."""
    if answer.status_code != status or answer.headers["Content-Type"] != "application/problem+json":
        return False
    body = answer.json()
    return {"type", "title", "status", "detail"} <= body.keys() and body["status"] == status
