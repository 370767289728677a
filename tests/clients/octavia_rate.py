"""How many `GET /1.0/details` a second: octavia_rate.py AMPHORA CLIENT_CERT SERVER_CA SECONDS NAME=PORT...

Asks each amphora in turn, by clients with certificates: `new`, a connection for each request, as octavia's agent wants
it (it closes after each), and `kept`, one connection as long as the server keeps it, as octavia's driver asks. Prints a
line of JSON for each amphora. Clients are processes, so that they do not wait for one another.
"""

import http.client
import json
import multiprocessing
import ssl
import sys
import time

CLIENTS = 4


class Connection(http.client.HTTPConnection):
    """As octavia's driver: the certificate has to name the amphora, not the address."""

    def __init__(self, port, context, amphora):
        super().__init__("127.0.0.1", port, timeout=30)
        self.context, self.amphora = context, amphora

    def connect(self):
        super().connect()
        self.sock = self.context.wrap_socket(self.sock, server_hostname=self.amphora)


def ask(connection):
    connection.request("GET", "/1.0/details")
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200 and json.loads(body)["api_version"] == "1.0", (answer.status, body)
    return answer.will_close


def client(given, port, kept, seconds, start, counts):
    amphora, client_cert, server_ca = given
    context = ssl.create_default_context(cafile=server_ca)
    context.load_cert_chain(client_cert)
    connection = Connection(port, context, amphora)
    start.wait()
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        # `http.client` connects again by itself after a close.
        if ask(connection) or not kept:
            connection.close()
        count += 1
    counts.put(count)


def rate(given, port, kept, seconds):
    start, counts = multiprocessing.Barrier(CLIENTS), multiprocessing.Queue()
    all_of_them = (given, port, kept, seconds, start, counts)
    clients = [multiprocessing.Process(target=client, args=all_of_them) for _ in range(CLIENTS)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
        assert one.exitcode == 0, "a client ended with an error"
    return round(sum(counts.get() for _ in clients) / seconds, 1)


def main(amphora, client_cert, server_ca, seconds, *servers):
    given = (amphora, client_cert, server_ca)
    for server in servers:
        name, port = server.split("=")
        rates = {kind: rate(given, int(port), kind == "kept", float(seconds)) for kind in ("new", "kept")}
        print(json.dumps({"server": name, **rates}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
