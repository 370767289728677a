"""What users of a load balancer see: members to balance between, requests through it, certificates it presents."""

import collections
import http.server
import socket
import ssl
import threading
import time
import urllib.request

from cryptography import x509
from cryptography.x509.oid import NameOID

PATIENCE = 10


def serve_a_member(name):
    """A web server in this process that answers with its name."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(name)))
            self.end_headers()
            self.wfile.write(name.encode())

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 128

        def handle_error(self, *_):
            """A health check hangs up when it has read the status."""

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address


def wait_for(address):
    """Until somebody accepts there."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(address).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def ask(address):
    with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
        return answer.read().decode()


def answers(address, requests=8):
    """How often each member answered."""
    return dict(collections.Counter(ask(address) for _ in range(requests)))


class Load:
    """Users who ask all the time, each request on a connection of its own."""

    def __init__(self, address, users=4):
        self.address, self.ended = address, threading.Event()
        self.well, self.failures = 0, []
        self.users = [threading.Thread(target=self.ask_on, daemon=True) for _ in range(users)]

    def __enter__(self):
        for user in self.users:
            user.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for user in self.users:
            user.join()

    def ask_on(self):
        while not self.ended.is_set():
            try:
                ask(self.address)
                self.well += 1
            except OSError as error:
                self.failures.append(str(error))


def presented(address, name, client_cert=None):
    """The certificate that a server presents to who asks for this name."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if client_cert:
        context.load_cert_chain(client_cert)
    with socket.create_connection(address, timeout=PATIENCE) as plain:
        with context.wrap_socket(plain, server_hostname=name) as wrapped:
            return x509.load_der_x509_certificate(wrapped.getpeercert(binary_form=True))


def common_name(certificate):
    return certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
