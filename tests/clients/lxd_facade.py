"""pylxd against a server that answers `/1.0` as LXD does: what it may do with certificates, a step after the other.

URL is http or https, with or without a path. Prints a line of JSON for each step, and `all well` if each went as with
LXD; with LXD itself, too.
"""

import argparse
import base64
import datetime
import hashlib
import json

import pylxd
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pylxd.client import get_session_for_url
from pylxd.exceptions import Conflict, LXDAPIException, NotFound


def certificate(name, days=1):
    """PEM and fingerprint. With negative days, one that ran out."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=10))
    made = builder.not_valid_after(now + datetime.timedelta(days=days)).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM), made.fingerprint(hashes.SHA256()).hex()


def step(name, **facts):
    print(json.dumps({"step": name, **facts}), flush=True)


def refused(kind, action):
    """The message of an error that has to be."""
    try:
        action()
    except kind as error:
        return str(error)
    raise SystemExit(f"{kind.__name__} expected")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--token", help="goes along as `Authorization: Bearer`")
    parser.add_argument("--cert", nargs=2, metavar=("CERTIFICATE", "KEY"), help="files of the client")
    given = parser.parse_args()
    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    session = get_session_for_url(given.url, verify=False, cert=given.cert and tuple(given.cert))
    session.trust_env = False
    if given.token:
        session.headers["Authorization"] = f"Bearer {given.token}"
    try_certificates(pylxd.Client(endpoint=given.url, session=session))
    print("all well")


def try_certificates(client):
    """Leaves things as they were."""
    assert client.trusted
    step("connect", server=client.host_info["environment"]["server"], extensions=len(client.host_info["api_extensions"]))
    before = {entry.fingerprint for entry in client.certificates.all()}

    pem, fingerprint = certificate("pylxd-one")
    entry = client.certificates.create("", pem, name="one")
    assert (entry.fingerprint, entry.name, entry.type, entry.restricted) == (fingerprint, "one", "client", False)
    der = base64.b64decode("".join(entry.certificate.split("\n")[1:-2]))
    assert hashlib.sha256(der).hexdigest() == fingerprint
    step("create", fingerprint=fingerprint)
    assert "already in trust store" in refused(Conflict, lambda: client.certificates.create("", pem))
    step("create again")

    other, second = certificate("pylxd-two")
    assert client.certificates.create("", other).name == "pylxd-two"
    assert {entry.fingerprint for entry in client.certificates.all()} == before | {fingerprint, second}
    assert client.certificates.get(fingerprint[:12]).fingerprint == fingerprint
    step("list", entries=len(before) + 2)

    expired, _ = certificate("pylxd-expired", days=-1)
    step("create expired", error=refused(LXDAPIException, lambda: client.certificates.create("", expired)))

    for one in (fingerprint, second):
        client.certificates.get(one).delete()
        refused(NotFound, lambda one=one: client.certificates.get(one))
    assert {entry.fingerprint for entry in client.certificates.all()} == before
    step("delete")


if __name__ == "__main__":
    main()
