"""A requirer of the `lxd` relation: a charm under ops' test framework, its relation being Plugbay's REST.

usage: lxd_requirer.py [--directory DIRECTORY] [--wait SECONDS] URL RELATION TOKEN [UNIT]

URL is that of the plugin's surface `main`, TOKEN the relation's. The charm writes a certificate into its bag and is
active once it gets into every published node with pylxd. It then replaces the certificate, and at last it leaves.
Every hook runs with the bags as REST has them, and what it writes goes back there; between hooks is a long poll.
Prints a line of JSON for each hook, and `all well` if nodes let in the certificate that they were said to trust, and
none that was taken back.
"""

import argparse
import datetime
import hashlib
import json
import os
import ssl
import sys
import tempfile
import time

import ops
import pylxd
import requests
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from ops import testing

META = {"name": "requirer", "requires": {"lxd": {"interface": "lxd"}}}
POLL = 20


class Credential:
    """A key and its self-signed certificate, in two files."""

    def __init__(self, directory, name):
        self.name = name
        self.files = tuple(os.path.join(directory, f"{name}.{kind}") for kind in ("crt", "key"))
        if not os.path.exists(self.files[0]):
            self.make()
        with open(self.files[0]) as file:
            self.pem = file.read()
        self.fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.pem)).hexdigest()

    def make(self):
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, self.name)])
        builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(hours=1))
        certificate = builder.not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
        form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        with open(self.files[0], "wb") as file:
            file.write(certificate.public_bytes(serialization.Encoding.PEM))
        with open(self.files[1], "wb") as file:
            file.write(key.private_bytes(serialization.Encoding.PEM, *form))

    def is_let_in(self, endpoint):
        """The relation says nothing of servers' certificates, so there is nothing to check them against."""
        return pylxd.Client(endpoint=endpoint, cert=self.files, verify=False).trusted


class Requirer(ops.CharmBase):
    directory = None

    def __init__(self, framework):
        super().__init__(framework)
        framework.observe(self.on["lxd"].relation_created, self._created)
        framework.observe(self.on["lxd"].relation_changed, self._changed)
        framework.observe(self.on.upgrade_charm, self._rotate)

    def _created(self, event):
        self._want(event.relation, [Credential(self.directory, "first")])
        self.unit.status = ops.WaitingStatus("not trusted yet")

    def _rotate(self, _):
        """The new one first; the old one goes when it is trusted."""
        relation = self.model.get_relation("lxd")
        self._want(relation, [Credential(self.directory, name) for name in ("first", "second")])
        self.unit.status = ops.WaitingStatus("not trusted yet")

    def _changed(self, event):
        bag = event.relation.data[event.unit]
        if bag["version"].split(".")[0] != "1":
            self.unit.status = ops.BlockedStatus(f"version {bag['version']}")
            return
        wanted = json.loads(event.relation.data[self.unit]["client_certificates"])
        nodes, registered = json.loads(bag["nodes"]), json.loads(bag["registered_certificates"])
        newest = Credential(self.directory, "second" if len(wanted) > 1 else self._only(wanted))
        if not nodes or newest.pem not in registered:
            return
        for node in nodes:
            assert newest.fingerprint in node["trusted_certs_fp"], f"registered, but not said of {node['name']}"
            if not newest.is_let_in(node["endpoint"]):
                self.unit.status = ops.BlockedStatus(f"{node['name']} does not trust {newest.name}")
                return
        self._want(event.relation, [newest])
        self.unit.status = ops.ActiveStatus(newest.name)

    def _only(self, wanted):
        return next(name for name in ("first", "second") if Credential(self.directory, name).pem in wanted)

    def _want(self, relation, credentials):
        relation.data[self.unit]["client_certificates"] = json.dumps([credential.pem for credential in credentials])


class Model:
    """The relation as Juju would carry it: the charm's own bag, and the provider's."""

    def __init__(self, url, relation, token, unit, patience):
        self.relation_url, self.unit, self.patience = f"{url.rstrip('/')}/v1/relations/{relation}", unit, patience
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {token}"
        self.bag, self.provider, self.etag, self.status = {}, {}, None, ops.testing.UnknownStatus()
        self.context = testing.Context(Requirer, meta=META, unit_id=unit)

    def rest(self, method, path, expected, **more):
        answer = self.session.request(method, f"{self.relation_url}/{path}", timeout=POLL + 20, **more)
        if answer.status_code not in expected:
            raise SystemExit(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer

    def poll(self):
        """Wait for another bag of the provider; false if there is none for a while."""
        headers = {"If-None-Match": self.etag} if self.etag else {}
        answer = self.rest("GET", "provider/data", (200, 304), params={"wait": POLL}, headers=headers)
        if answer.status_code == 304:
            return False
        self.provider, self.etag = answer.json(), answer.headers["ETag"]
        return True

    def hook(self, name):
        relation = testing.Relation(
            "lxd",
            interface="lxd",
            id=1,
            remote_app_name="provider",
            remote_units_data={0: self.provider},
            local_unit_data=self.bag,
        )
        events = self.context.on
        event = {
            "created": lambda: events.relation_created(relation),
            "changed": lambda: events.relation_changed(relation, remote_unit=0),
            "rotate": events.upgrade_charm,
        }[name]()
        before = testing.State(relations={relation}, unit_status=self.status)
        after = self.context.run(event, before)
        self.status, bag = after.unit_status, dict(after.get_relation(1).local_unit_data)
        if bag != self.bag:
            self.bag = bag
            self.rest("PUT", f"units/{self.unit}/data", (200,), json=bag)
        print(json.dumps({"hook": name, "status": self.status.name, "message": self.status.message}), flush=True)

    def until_active(self, credential):
        deadline = time.monotonic() + self.patience
        while self.status != testing.ActiveStatus(credential):
            if time.monotonic() > deadline:
                raise SystemExit(f"{credential} is not trusted in time: {self.provider}")
            if self.poll():
                self.hook("changed")

    def until_let_in_nowhere(self, credential):
        """What was taken back leaves the nodes soon, and not at once."""
        deadline = time.monotonic() + self.patience
        for node in json.loads(self.provider["nodes"]):
            while credential.is_let_in(node["endpoint"]):
                if time.monotonic() > deadline:
                    raise SystemExit(f"{credential.name} is still trusted by {node['name']}")
                time.sleep(0.05)


def run(given, directory):
    Requirer.directory = directory
    model = Model(given.url, given.relation, given.token, given.unit, given.wait)
    model.rest("PUT", f"units/{given.unit}", (200, 201))
    model.hook("created")
    model.until_active("first")
    model.hook("rotate")
    model.until_active("second")
    model.until_let_in_nowhere(Credential(directory, "first"))
    model.rest("DELETE", f"units/{given.unit}", (204,))
    model.until_let_in_nowhere(Credential(directory, "second"))
    print("all well")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("relation")
    parser.add_argument("token")
    parser.add_argument("unit", nargs="?", type=int, default=0)
    parser.add_argument("--directory", help="of the unit's certificates; default: a temporary one")
    parser.add_argument("--wait", type=int, default=60, help="seconds for each thing that has to come true")
    given = parser.parse_args()
    urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        os.environ.pop(name, None)  # They win over `verify`.
    if given.directory:
        run(given, given.directory)
    else:
        with tempfile.TemporaryDirectory() as directory:
            run(given, directory)


if __name__ == "__main__":
    sys.exit(main())
