"""LXD servers of Debian on loopback: each a trust store of its own, or all one cluster. Incus, too.

usage: lxd_daemon.py [--cluster] [--count] [--incus DIRECTORY] [--trust CERTIFICATE]... DIRECTORY ADDRESS...

Needs root (namespaces of mounts and processes). An ADDRESS is HOST:PORT of loopback; port 0 is a free one. At one that is
written `incus=HOST:PORT` there is an Incus, of the packages that are unpacked in `--incus`. Prints `serving` and JSON when all servers answer: `servers`, a list of `name`, `endpoint`, `certificate`, `fingerprint`,
`socket` (the server's unix socket, whose callers are trusted) and `token` (for one client, none in a cluster), and
`password`, which lets any client in, except into Incus. Every certificate of `--trust`, a file, is trusted from the start.

Then it obeys lines on its input and answers each with `done`: `stop N`, `kill N`, `start N`, `freeze N` (accepts
connections and stays silent), `thaw N`, N being the place of the server in the list. With `--count` there is also
`requests N`: after `done`, JSON says how many requests of each method came since it was asked last, from clients that
were trusted from the start. The end of the input, or SIGKILL, ends it with everything that it started; `unshare`, which
it is started by, heeds no other signal.

There are no storage pools and no networks, and nothing leaves the machine: LXD asks its image server through a proxy
that does not exist.
"""

import argparse
import base64
import collections
import glob
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

ISOLATE = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
PASSWORD = "let me in"
REQUEST = re.compile(r'msg="Handling API request".* method=(\w+) protocol=tls .*username=(\w+)')
PATIENCE = 60


class Refused(Exception):
    """What LXD said instead of doing it."""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("lxd", timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Server:
    program, home, environ, password = "lxd", "LXD_DIR", {}, {"core__trust_password": PASSWORD}

    def __init__(self, directory, name, address, log_requests):
        host, port = address.rsplit(":", 1)
        self.name, self.address = name, f"{host}:{int(port) or free_port(host)}"
        self.directory = os.path.join(directory, name)
        self.socket = os.path.join(self.directory, "unix.socket")
        self.process, self.options, self.read = None, ["--debug"] if log_requests else [], 0
        os.makedirs(self.directory, exist_ok=True)

    def start(self):
        """A host name of its own is what an independent server is called by."""
        named = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', self.name]
        nowhere = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY"), "http://127.0.0.1:9")
        environment = {**os.environ, **self.environ, **nowhere, self.home: self.directory}
        with open(f"{self.directory}.log", "a") as log:
            command = [*named, self.program, "--group", "root", *self.options]
            self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{self.program} does not start: see {self.directory}.log")
            time.sleep(0.02)

    def ready(self):
        try:
            self.call("GET", "/internal/ready")
        except (OSError, Refused, http.client.HTTPException):
            return False
        return True

    def end(self, how):
        self.process.send_signal(how)
        self.process.wait()

    def freeze(self):
        """When this returns, no thread of it answers anything more."""
        self.process.send_signal(signal.SIGSTOP)
        while any(state_of(file) != "T" for file in glob.glob(f"/proc/{self.process.pid}/task/*/stat")):
            time.sleep(0.001)

    def call(self, method, path, body=None):
        """Through the unix socket; waits for what LXD does in the background."""
        connection = UnixConnection(self.socket)
        connection.request(method, path, None if body is None else json.dumps(body))
        answer = json.load(connection.getresponse())
        connection.close()
        if answer["type"] == "error":
            raise Refused(f"{method} {path}: {answer['error']}")
        metadata = answer["metadata"]
        if answer["type"] == "async" and metadata["class"] == "task":
            metadata = self.call("GET", f"{answer['operation']}/wait")
            if metadata["status_code"] != 200:
                raise Refused(f"{method} {path}: {metadata['err']}")
        return metadata

    def configure(self, **settings):
        self.call("PATCH", "/1.0", {"config": {key.replace("__", "."): value for key, value in settings.items()}})

    def listen(self):
        self.configure(core__https_address=self.address, **self.password)

    def found_cluster(self):
        self.listen()
        self.configure(cluster__https_address=self.address)
        self.call("PUT", "/1.0/cluster", {"server_name": self.name, "enabled": True})

    def join_cluster(self, first):
        self.call("PUT", "/1.0/cluster", {
            "server_name": self.name,
            "enabled": True,
            "server_address": self.address,
            "cluster_address": first.address,
            "cluster_certificate": first.environment()["certificate"],
            "cluster_password": PASSWORD,
        })

    def trust(self, file):
        certificate = base64.b64encode(der_of(file)).decode()
        self.call("POST", "/1.0/certificates", {"type": "client", "name": "operator", "certificate": certificate})

    def token(self):
        made = self.call("POST", "/1.0/certificates", {"type": "client", "name": "by-token", "token": True})["metadata"]
        keys = {"client_name": made["request"]["name"], **{key: made[key] for key in ("fingerprint", "addresses", "secret")}}
        return base64.b64encode(json.dumps({**keys, "expires_at": "0001-01-01T00:00:00Z"}).encode()).decode()

    def requests(self, clients):
        """By method, since the last time."""
        found = collections.Counter()
        with open(f"{self.directory}.log") as log:
            log.seek(self.read)
            for match in filter(None, map(REQUEST.search, log)):
                found[match[1]] += match[2] in clients
            self.read = os.fstat(log.fileno()).st_size
        return found

    def environment(self):
        return self.call("GET", "/1.0")["environment"]

    def facts(self, token):
        environment = self.environment()
        return {
            "name": environment["server_name"],
            "endpoint": f"https://{self.address}",
            "certificate": environment["certificate"],
            "fingerprint": environment["certificate_fingerprint"],
            "socket": self.socket,
            "token": token,
        }


class Incus(Server):
    home, password = "INCUS_DIR", {}

    def __init__(self, root, *more):
        super().__init__(*more)
        self.program = os.path.join(root, "usr/libexec/incus/incusd")
        self.environ = {"LD_LIBRARY_PATH": os.path.dirname(glob.glob(f"{root}/usr/lib/*/libcowsql.so.0")[0])}


def described(given, name, address):
    product, _, at = address.rpartition("=")
    more = (given.directory, name, at, given.count)
    return Incus(given.incus, *more) if product == "incus" else Server(*more)


def state_of(file):
    """Of a thread: the letter after its name, which stands in brackets. One that has ended does nothing, either."""
    try:
        with open(file) as stat:
            return stat.read().rpartition(")")[2].split()[0]
    except OSError:
        return "T"


def der_of(file):
    with open(file) as pem:
        return ssl.PEM_cert_to_DER_cert(pem.read())


def free_port(host):
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def at_once(actions):
    """All of them, side by side; fails if one does."""
    failures = []

    def run(action):
        try:
            action()
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run, args=[action]) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def serve(given):
    """As the first process of its namespace."""
    prefix = "member" if given.cluster else "server"
    servers = [described(given, f"{prefix}{n}", address) for n, address in enumerate(given.address)]
    at_once([server.start for server in servers])
    first, stores = servers[0], servers
    if given.cluster:
        stores = [first]
        first.found_cluster()
        for server in servers[1:]:
            server.join_cluster(first)
    else:
        at_once([server.listen for server in servers])
    for server in stores:
        for file in given.trust:
            server.trust(file)
    facts = [server.facts(None if given.cluster else server.token()) for server in servers]
    print("serving", json.dumps({"password": PASSWORD, "servers": facts}), flush=True)
    obey(servers, {hashlib.sha256(der_of(file)).hexdigest() for file in given.trust})
    at_once([lambda server=server: server.end(signal.SIGKILL) for server in servers])


def obey(servers, clients):
    commands = {
        "start": Server.start,
        "stop": lambda server: server.end(signal.SIGTERM),
        "kill": lambda server: server.end(signal.SIGKILL),
        "freeze": Server.freeze,
        "thaw": lambda server: server.process.send_signal(signal.SIGCONT),
        "requests": lambda server: server.requests(clients),
    }
    for line in sys.stdin:
        name, place = line.split()
        said = commands[name](servers[int(place)])
        print("done" if said is None else f"done {json.dumps(said)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cluster", action="store_true", help="the servers are members of one cluster")
    parser.add_argument("--count", action="store_true", help="requests; costs the servers a log of them")
    parser.add_argument("--incus", metavar="DIRECTORY", type=os.path.abspath, help="where its packages are unpacked")
    parser.add_argument("--trust", action="append", default=[], help="file of a client certificate")
    parser.add_argument("directory", type=os.path.abspath)
    parser.add_argument("address", nargs="+")
    given = parser.parse_args()
    if os.getpid() != 1:
        os.execvp(ISOLATE[0], [*ISOLATE, sys.executable, *sys.argv])
    serve(given)


if __name__ == "__main__":
    main()
