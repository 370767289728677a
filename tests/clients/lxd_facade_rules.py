"""The rules of section 5: `/1.0` as stock clients of LXD ask for it."""

import base64
import socket
import ssl
import tempfile
import warnings

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from lxd_lab import BOOK, PATIENCE, Caller, Certificate, Relation, rule, until

KEYS = "type status status_code operation error_code error metadata".split()


def envelope(answer, status, code=None):
    """Whether an answer is LXD's, of this status; `code` is of the envelope's success."""
    body = answer.json()
    if answer.status_code != status or sorted(body) != sorted(KEYS):
        return False
    if status >= 400:
        return (body["type"], body["error_code"], body["status_code"], body["status"], body["metadata"]) == (
            "error",
            status,
            0,
            "",
            None,
        ) and body["error"]
    return (body["type"], body["status"], body["status_code"], body["error_code"], body["error"]) == (
        "sync",
        "Success",
        200,
        0,
        "",
    )


def facade(lab):
    BOOK.section = "5 facade"
    base = lab.facade.rstrip("/")
    operator, stranger = Caller(base, lab.token), Caller(base)
    relation, wanted, added = Relation(lab), Certificate("wanted"), Certificate("added")
    requirer = Caller(base, relation.made.json()["token"])
    relation.write(wanted)
    relation.until_registered(wanted)
    root = requests.get(f"{base}/", timeout=PATIENCE)
    rule("GET / lists the version", envelope(root, 200) and root.json()["metadata"] == ["/1.0"], root.text)
    for caller, auth in ((stranger, "untrusted"), (operator, "trusted"), (requirer, "trusted")):
        server = caller("GET", "1.0")
        said = server.json()["metadata"]
        rule(
            f"GET /1.0 is open to anyone: {auth}",
            envelope(server, 200)
            and said["auth"] == auth
            and said["api_version"] == "1.0"
            and said["api_status"] == "stable"
            and said["api_extensions"] == [],
            server.text,
        )
        rule(f"the environment is for who is trusted: {auth}", ("environment" in said) == (auth == "trusted"))
    rule(
        "a stranger's list is 403 not authorized",
        envelope(stranger("GET", "1.0/certificates"), 403)
        and stranger("GET", "1.0/certificates").json()["error"] == "not authorized",
    )
    listed = requirer("GET", "1.0/certificates")
    rule(
        "a list of URLs",
        envelope(listed, 200) and listed.json()["metadata"] == [f"/1.0/certificates/{wanted.fp}"],
        listed.text,
    )
    full = requirer("GET", "1.0/certificates?recursion=1").json()["metadata"]
    rule(
        "a list of objects",
        sorted(full[0]) == sorted("name type restricted projects certificate fingerprint".split())
        and full[0]["type"] == "client",
        full,
    )
    rule(
        "a PEM that parses",
        x509.load_pem_x509_certificate(full[0]["certificate"].encode()).fingerprint(hashes.SHA256()).hex() == wanted.fp,
    )
    text = base64.encodebytes(added.der).decode()
    made = requirer(
        "POST",
        "1.0/certificates",
        {"type": "client", "certificate": text, "name": "x", "password": "", "restricted": False, "projects": None},
    )
    rule(
        "POST with base64 in lines is 201 with a Location",
        envelope(made, 201)
        and made.headers["Location"] == f"/1.0/certificates/{added.fp}"
        and made.json()["metadata"] is None,
        made.text,
    )
    relation.until_registered(wanted, added) or relation.until_registered(added, wanted)
    rule("it is on every node", all(added.fp in server.entries() for server in lab.servers))
    again = requirer("POST", "1.0/certificates", {"type": "client", "certificate": text})
    rule(
        "a duplicate is 409 in LXD's words",
        envelope(again, 409) and again.json()["error"] == "Certificate already in trust store",
        again.text,
    )
    got = requirer("GET", f"1.0/certificates/{added.fp[:12].upper()}")
    rule(
        "a prefix in any case is enough",
        envelope(got, 200) and got.json()["metadata"]["name"] == "x" and got.headers["ETag"],
        got.text,
    )
    for path in ("%25", added.fp[:10] + "%25", "_", "zz", added.fp + "0"):
        rule(
            f"no wildcards: {path[-3:]}",
            envelope(requirer("GET", f"1.0/certificates/{path}"), 404)
            and envelope(requirer("DELETE", f"1.0/certificates/{path}"), 404),
        )
    rule(
        "an unknown one is 404 in LXD's words",
        requirer("GET", f"1.0/certificates/{'0' * 64}").json()["error"] == "Certificate not found",
    )
    rule(
        "what a unit wants is not deleted here: 403", envelope(requirer("DELETE", f"1.0/certificates/{wanted.fp}"), 403)
    )
    gone = requirer("DELETE", f"1.0/certificates/{added.fp[:12]}")
    rule(
        "DELETE of a prefix is 200 with an empty object",
        envelope(gone, 200) and gone.json()["metadata"] == {},
        gone.text,
    )
    lab.until_gone(added)
    texts = {
        "Invalid certificate type": {"type": "metrics", "certificate": text},
        "illegal base64": {"type": "client", "certificate": added.pem},
        "nvalid certificate material": {"type": "client", "certificate": base64.b64encode(b"xx").decode()},
        "trailing data": {"type": "client", "certificate": base64.b64encode(added.der * 2).decode()},
        "certificate is expired": {
            "type": "client",
            "certificate": base64.b64encode(Certificate("e", ends=-60).der).decode(),
        },
        "isn't valid yet": {
            "type": "client",
            "certificate": base64.b64encode(Certificate("n", begins=600).der).decode(),
        },
        "RSA key is too weak": {
            "type": "client",
            "certificate": base64.b64encode(Certificate("w", "rsa1024").der).decode(),
        },
    }
    for words, body in texts.items():
        answer = requirer("POST", "1.0/certificates", body)
        theirs = (
            lab.servers[0].ask("POST", "/1.0/certificates", body)["error"]
            if words != "Invalid certificate type"
            else words
        )
        rule(
            f"400 in LXD's words: {words}",
            envelope(answer, 400) and words in answer.json()["error"] and words in theirs,
            (answer.text, theirs),
        )
    rule("a body that is not JSON is 400", envelope(requirer("POST", "1.0/certificates", "{"), 400))
    wrong = stranger("POST", "1.0/certificates", {"type": "client", "certificate": text, "password": "wrong"})
    rule("a wrong password is 403", envelope(wrong, 403) and wrong.json()["error"] == "not authorized", wrong.text)
    for path in (
        "1.0/events",
        "1.0/operations",
        "1.0/instances",
        "1.0/projects",
        "1.0/auth/identities",
        "1.0/cluster",
        "2.0",
    ):
        answer = operator("GET", path)
        rule(f"/{path} is LXD's 404", envelope(answer, 404) and answer.json()["error"] == "not found", answer.text)
    for method, path in (("PUT", "1.0"), ("DELETE", "1.0/certificates"), ("PATCH", f"1.0/certificates/{wanted.fp}")):
        answer = operator(method, path, {})
        rule(
            f"{method} /{path[:16]} is 501 not implemented",
            envelope(answer, 501) and answer.json()["error"] == "not implemented",
            answer.text,
        )

    BOOK.section = "5.3 TLS"
    client = Certificate("by-tls")
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(client.pem + client.key)
        file.flush()
        tls = requests.Session()
        tls.trust_env, tls.verify, tls.cert = False, False, file.name
        at = lab.trust.rstrip("/")
        rule(
            "a certificate that nobody knows is untrusted",
            tls.get(f"{at}/1.0").json()["metadata"]["auth"] == "untrusted",
        )
        body = {
            "name": "",
            "type": "client",
            "restricted": False,
            "projects": None,
            "certificate": "",
            "password": relation.made.json()["token"],
            "token": False,
        }
        joined = tls.post(f"{at}/1.0/certificates", json=body)
        rule(
            "who comes with the relation's token joins with its own certificate",
            envelope(joined, 201) and joined.headers["Location"].endswith(client.fp),
            joined.text,
        )
        rule("and is trusted on the next request", tls.get(f"{at}/1.0").json()["metadata"]["auth"] == "trusted")
        rule("and again is 409", envelope(tls.post(f"{at}/1.0/certificates", json=body), 409))
        already = tls.post(f"{at}/1.0/certificates", json={"type": "client"})
        rule(
            "who is trusted and sends none is told so: 400",
            envelope(already, 400) and already.json()["error"] == "Client is already trusted",
            already.text,
        )
        until("the nodes let it in", lambda: all(server.lets_in(client) for server in lab.servers))
        rule("the nodes let it in", True)
        rule(
            "without TLS 1.3 there is no answer",
            not speaks(at, ssl.TLSVersion.TLSv1_2) and speaks(at, ssl.TLSVersion.TLSv1_3),
        )
    relation.end()
    lab.until_gone(wanted, client)


def speaks(url, version):
    host, port = url.removeprefix("https://").rstrip("/").rsplit(":", 1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context.maximum_version = version
    try:
        with socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain) as tls:
            return tls.version() is not None
    except (ssl.SSLError, ConnectionError):
        return False
