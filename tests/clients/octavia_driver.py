"""octavia's haproxy driver against an amphora: scenarios one after the other, a line of JSON for each step.

Each line has the outcome (`ok`, or the name of the driver's exception), the requests that were sent, and how many
attempts were repeated. In requests identifiers have names, `{load balancer}`, and hashes are `{sha1}`. Ends with
`all well` if every step that has to end in one way did.

One process is one controller: `create` comes first, later scenarios change what earlier ones made. With the `--store`
of an earlier process it is the same controller, started again: `create create-tls` then finds its certificates there.
"""

import argparse
import os
import sys
import tempfile

from octavia.common import constants
from octavia_scenarios import Controller, heartbeat_socket
from octavia_session import Session

SCENARIOS = """
info create create-tls traffic update again policy client-auth ping disable rotate-listener-certificate restart reloads
delete-one delete-last udp bad-config agent-config heartbeat silence certificate-rotation vrrp plug
""".split()


def pair(text):
    address, port = text.rsplit(":", 1)
    return address, int(port)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("amphora", help="its id")
    parser.add_argument("port", type=int)
    parser.add_argument("client_cert", help="certificate and key of the controller, one file")
    parser.add_argument("server_ca")
    parser.add_argument("scenario", nargs="+", choices=SCENARIOS)
    parser.add_argument("--address", default="127.0.0.1", help="of the amphora")
    parser.add_argument("--base-path", default="/var/lib/octavia", help="that of the amphora")
    parser.add_argument("--base-cert-dir", help="default: certs below the base path")
    parser.add_argument("--store", help="directory of the listeners' certificates; default: a temporary one")
    parser.add_argument("--vip", default="127.0.0.1")
    parser.add_argument("--http-port", type=int, default=28080)
    parser.add_argument("--tls-port", type=int, default=28443)
    parser.add_argument("--udp-port", type=int, default=28053)
    parser.add_argument("--member", type=pair, action="append", help="ADDRESS:PORT; default: two web servers here")
    parser.add_argument("--connections", type=int, default=50, help="limit of each listener")
    parser.add_argument("--topology", default=constants.TOPOLOGY_SINGLE, choices=constants.SUPPORTED_LB_TOPOLOGIES)
    parser.add_argument("--vrrp-ip", default="127.0.0.1", help="the amphora's own address")
    parser.add_argument("--cidr", default="127.0.0.0/8", help="subnet of VIP and VRRP address")
    parser.add_argument("--gateway")
    parser.add_argument("--mac", default="02:00:00:00:00:01", help="of the port to plug")
    parser.add_argument("--rotated", help="the amphora's next certificate and key, one file")
    parser.add_argument("--patient", action="store_true", help="202 for a reload may come before the new worker serves")
    parser.add_argument("--reloads", type=int, default=20)
    parser.add_argument("--heartbeat-port", type=int, default=0, help="where heartbeats are to go; default: any")
    parser.add_argument("--heartbeat-key", default="insecure")
    parser.add_argument("--heartbeat-interval", type=int, default=1, help="seconds")
    parser.add_argument("--attempts", type=int, default=2)
    parser.add_argument("--wait", type=int, default=0, help="seconds between attempts")
    return parser.parse_args()


def settings(given, store, heartbeats):
    """By group and name, as in octavia.conf."""
    address, port = heartbeats.getsockname()
    return {
        "haproxy_amphora": {
            "bind_port": given.port,
            "client_cert": given.client_cert,
            "server_ca": given.server_ca,
            "base_path": given.base_path,
            "base_cert_dir": given.base_cert_dir or os.path.join(given.base_path, "certs"),
        },
        "certificates": {"storage_path": store},
        "health_manager": {
            "controller_ip_port_list": [f"{address}:{port}"],
            "heartbeat_key": given.heartbeat_key,
            "heartbeat_interval": given.heartbeat_interval,
        },
    }


def main():
    given = arguments()
    with tempfile.TemporaryDirectory() as temporary, heartbeat_socket(given.heartbeat_port) as heartbeats:
        store = given.store or temporary
        session = Session(settings(given, store, heartbeats), given.attempts, given.wait)
        controller = Controller(given, session, store, heartbeats)
        for scenario in given.scenario:
            controller.run(scenario)
    if session.surprises:
        sys.exit(f"{session.surprises} steps ended otherwise than they have to")
    print("all well")


if __name__ == "__main__":
    main()
