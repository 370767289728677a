"""octavia's haproxy driver against an amphora: scenarios one after the other, a line of JSON for each step.

Each line has the outcome (`ok`, or the name of the driver's exception), the requests that were sent, and how many
attempts were repeated. Ends with `all well` if every step that has to end in one way did. One process is one
controller: `create` comes first, later scenarios change what earlier ones made.
"""

import argparse
import http.server
import os
import socket
import ssl
import sys
import tempfile
import threading
import urllib.request

from cryptography import x509
from cryptography.x509.oid import NameOID

from octavia.amphorae.backends.agent import agent_jinja_cfg
from octavia.certificates.manager.local import LocalCertManager
from octavia.common import constants
from octavia.common import data_models as models
from octavia_lib.common import constants as lib_constants
from octavia_objects import Objects
from octavia_pki import SERVER, Authority
from octavia_session import Session, counted

NAMES = ("default.example.org", "sni.example.org")


class Controller:
    """The scenarios, each a method; `-` in a scenario's name is `_` here."""

    def __init__(self, given, session):
        self.given, self.session = given, session
        self.driver, self.client = session.driver, session.client
        self.objects = Objects(
            given.amphora, given.address, given.vip, given.vrrp_ip, given.topology, given.connections
        )
        self.amphora, self.balancer = self.objects.amphora, self.objects.balancer
        self.members = given.member or [serve_a_member(name) for name in ("one", "two")]
        self.pool = self.objects.pool("pool", constants.PROTOCOL_HTTP, self.members[:1])
        self.authority = Authority("listeners")
        self.http = self.tls = None

    def run(self, scenario):
        def step(name, call, *arguments, **named):
            return self.session.step(scenario, name, call, *arguments, **named)

        getattr(self, scenario.replace("-", "_"))(step)

    def stored_certificate(self, name):
        certificate, key = self.authority.issue(name, SERVER)
        return LocalCertManager.store_cert(None, certificate, key, self.authority.certificate)

    def info(self, step):
        step("check", self.driver.check, self.amphora)
        step("info", self.driver.get_info, self.amphora)
        step("details", self.client.get_details, self.amphora)
        step("listeners", self.client.get_all_listeners, self.amphora)

    def create(self, step):
        self.http = self.objects.listener(
            self.balancer, "http", constants.PROTOCOL_HTTP, self.given.http_port, self.pool
        )
        step("update", self.driver.update, self.balancer)

    def create_tls(self, step):
        default, other = map(self.stored_certificate, NAMES)
        sni = [models.SNI(position=0, tls_container_id=other)]
        self.tls = self.objects.listener(
            self.balancer,
            "tls",
            constants.PROTOCOL_TERMINATED_HTTPS,
            self.given.tls_port,
            self.pool,
            tls_certificate_id=default,
            sni_containers=sni,
            tls_versions=[lib_constants.TLS_VERSION_1_2, lib_constants.TLS_VERSION_1_3],
            tls_ciphers=constants.CIPHERS_OWASP_SUITE_B,
        )
        step("update", self.driver.update, self.balancer)

    def update(self, step):
        self.pool.members = [self.objects.member(self.pool, *member) for member in self.members]
        self.pool.members[0].weight = 3
        step("members", self.driver.update, self.balancer)
        self.pool.lb_algorithm = constants.LB_ALGORITHM_LEAST_CONNECTIONS
        self.pool.health_monitor = self.objects.monitor(self.pool, constants.HEALTH_MONITOR_HTTP)
        step("pool", self.driver.update, self.balancer)
        step("again", self.driver.update, self.balancer)
        assert self.session.sent("PUT", "/certificates/") == 0, "what is there was uploaded again"

    def rotate_listener_certificate(self, step):
        self.tls.tls_certificate_id = self.stored_certificate(NAMES[0])
        step("update", self.driver.update, self.balancer)
        assert self.session.sent("PUT", "/certificates/") == 2, "a certificate and the list of certificates are new"

    def delete_one(self, step):
        step("delete", self.driver.delete, self.tls)

    def delete_last(self, step):
        step("delete", self.driver.delete, self.http)
        step("again", self.client.delete_listener, self.amphora, self.balancer.id)

    def traffic(self, step):
        """Through the listeners, to the members."""
        here = self.given.vip
        if self.http in self.balancer.listeners:
            address = f"http://{here}:{self.given.http_port}/"
            step("http", lambda: counted(ask(address) for _ in range(8)))
        if self.tls in self.balancer.listeners:
            address = (here, self.given.tls_port)
            step("certificates", lambda: {name: common_name(presented(address, name)) for name in NAMES})
            step("serial", lambda: str(presented(address, NAMES[0]).serial_number))

    def agent_config(self, step):
        text = agent_jinja_cfg.AgentJinjaTemplater().build_agent_config(self.amphora.id, self.given.topology)
        step("upload", self.driver.update_amphora_agent_config, self.amphora, text)

    def certificate_rotation(self, step):
        with open(self.given.rotated, "rb") as file:
            pem = file.read()
        step("upload", self.driver.upload_cert_amp, self.amphora, pem)
        self.session.reconnect()
        step("info", self.driver.get_info, self.amphora)
        where = (self.given.address, self.given.port)
        shown = presented(where, self.amphora.id, self.given.client_cert)
        assert shown == x509.load_pem_x509_certificate(pem), "the old certificate is still presented"

    def vrrp(self, step):
        vrrp_ip, absent = self.amphora.vrrp_ip, "203.0.113.99"
        interface = step("interface", self.driver.get_interface_from_ip, self.amphora, vrrp_ip, expected=None)
        step("no interface", self.driver.get_interface_from_ip, self.amphora, absent, expected=("NotFound",))
        step("no address", self.driver.get_interface_from_ip, self.amphora, "x", expected=("InvalidRequest",))
        self.amphora.vrrp_interface = interface
        subnet = {"cidr": self.given.cidr, "gateway_ip": self.given.gateway, "host_routes": []}
        networks = {self.amphora.id: {constants.VIP_SUBNET: subnet, "additional_vip_data": []}}
        step("upload", self.driver.update_vrrp_conf, self.balancer, networks, self.amphora)
        step("start", self.driver.start_vrrp_service, self.amphora, expected=None)
        step("start again", self.driver.start_vrrp_service, self.amphora, expected=None)
        step("reload", self.driver.reload_vrrp_service, self.balancer, expected=None)
        step("stop", self.driver.stop_vrrp_service, self.balancer, expected=None)

    def plug(self, step):
        subnet = self.objects.subnet(self.given.cidr, self.given.gateway)
        port = self.objects.port(self.given.mac, subnet)
        step("vip", self.driver.post_vip_plug, self.amphora, self.balancer, {}, port, subnet, [], expected=None)
        step("vip again", self.driver.post_vip_plug, self.amphora, self.balancer, {}, port, subnet, [], expected=None)
        member = self.objects.port(self.given.mac, subnet, "member port")
        step("network", self.driver.post_network_plug, self.amphora, member, {}, expected=None)
        rules = [{"protocol": "TCP", "cidr": None, "port": self.given.http_port}]
        here, absent = self.given.vip, "203.0.113.99"
        step("rules", self.driver.set_interface_rules, self.amphora, here, rules, expected=None)
        missing = ("AmpDriverNotImplementedError",)
        bad = [{"protocol": "ICMP", "cidr": None, "port": 1}]
        step("bad rules", self.client.set_interface_rules, self.amphora, here, bad, expected=None)
        step("rules of nothing", self.driver.set_interface_rules, self.amphora, absent, rules, expected=missing)
        client, net = self.client, {"subnet_cidr": self.given.cidr, "gateway": None, "mac_address": self.given.mac}
        step("no vip", client.plug_vip, self.amphora, "x", net, expected=("InvalidRequest",))
        step("no subnet", client.plug_vip, self.amphora, here, {}, expected=("InvalidRequest",))
        step("no port", client.plug_network, self.amphora, {}, expected=("InvalidRequest",))

    def udp(self, step):
        balancer = self.objects.load_balancer("datagrams")
        pool = self.objects.pool("datagram pool", lib_constants.PROTOCOL_UDP, self.members[:1])
        pool.health_monitor = self.objects.monitor(pool, constants.HEALTH_MONITOR_UDP_CONNECT)
        port = self.given.udp_port
        listener = self.objects.listener(balancer, "udp", lib_constants.PROTOCOL_UDP, port, pool)
        step("update", self.driver.update, balancer, expected=None)
        step("listeners", self.client.get_all_listeners, self.amphora)
        step("delete", self.driver.delete, listener)

    def bad_config(self, step):
        garbage, refused = "global\n    nonsense here\n", ("InvalidRequest",)
        lb = self.balancer.id
        step("garbage", self.client.upload_config, self.amphora, lb, garbage, expected=refused)
        step("empty", self.client.upload_config, self.amphora, lb, "", expected=refused)
        text = b"global\n    # \xff\n"
        step("not text", self.client.upload_config, self.amphora, lb, text, expected=None)
        unknown = self.objects.id("unknown")
        step("unknown", self.client.reload_listener, self.amphora, unknown, expected=("NotFound",))
        if self.balancer.listeners:
            step("good again", self.driver.update, self.balancer)

    def restart(self, step):
        """As in a failover: the whole configuration, then start."""
        step("reload", self.driver.reload, self.balancer, self.amphora)
        step("start", self.driver.start, self.balancer, self.amphora)


SCENARIOS = """info create create-tls traffic update rotate-listener-certificate restart delete-one delete-last
agent-config certificate-rotation vrrp plug udp bad-config""".split()


def serve_a_member(name):
    """A web server in this process that answers with its name."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(name)))
            self.end_headers()
            self.wfile.write(name.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    # A health check hangs up when it has read the status.
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address


def ask(address):
    with urllib.request.urlopen(address, timeout=10) as answer:
        return answer.read().decode()


def presented(address, name, client_cert=None):
    """The certificate that a server presents to who asks for this name."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if client_cert:
        context.load_cert_chain(client_cert)
    with socket.create_connection(address, timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname=name) as wrapped:
            return x509.load_der_x509_certificate(wrapped.getpeercert(binary_form=True))


def common_name(certificate):
    return certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


def pair(text):
    address, port = text.rsplit(":", 1)
    return address, int(port)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("amphora", help="its id")
    parser.add_argument("port", type=int)
    parser.add_argument("client_cert", help="certificate and key of the controller")
    parser.add_argument("server_ca")
    parser.add_argument("scenario", nargs="+", choices=SCENARIOS)
    parser.add_argument("--address", default="127.0.0.1", help="of the amphora")
    parser.add_argument("--base-path", default="/var/lib/octavia", help="that of the amphora")
    parser.add_argument("--base-cert-dir", help="default: certs below the base path")
    parser.add_argument("--vip", default="127.0.0.1")
    parser.add_argument("--http-port", type=int, default=28080)
    parser.add_argument("--tls-port", type=int, default=28443)
    parser.add_argument("--udp-port", type=int, default=28053)
    parser.add_argument("--member", type=pair, action="append", help="ADDRESS:PORT; default: two web servers here")
    parser.add_argument("--connections", type=int, default=50, help="limit of each listener")
    parser.add_argument("--topology", default=constants.TOPOLOGY_SINGLE)
    parser.add_argument("--vrrp-ip", default="127.0.0.1", help="the amphora's own address")
    parser.add_argument("--cidr", default="127.0.0.0/8", help="subnet of VIP and VRRP address")
    parser.add_argument("--gateway")
    parser.add_argument("--mac", default="02:00:00:00:00:01", help="of the port to plug")
    parser.add_argument("--rotated", help="the amphora's next certificate and key")
    parser.add_argument("--controller", action="append", default=[], help="ADDRESS:PORT that heartbeats go to")
    parser.add_argument("--heartbeat-key", default="insecure")
    parser.add_argument("--heartbeat-interval", type=int, default=1)
    parser.add_argument("--attempts", type=int, default=2)
    parser.add_argument("--wait", type=int, default=0, help="seconds between attempts")
    return parser.parse_args()


def settings(given, store):
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
            "controller_ip_port_list": given.controller,
            "heartbeat_key": given.heartbeat_key,
            "heartbeat_interval": given.heartbeat_interval,
        },
    }


def main():
    given = arguments()
    with tempfile.TemporaryDirectory() as store:
        session = Session(settings(given, store), given.attempts, given.wait)
        controller = Controller(given, session)
        for scenario in given.scenario:
            controller.run(scenario)
    if session.surprises:
        sys.exit(f"{session.surprises} steps ended otherwise than they have to")
    print("all well")


if __name__ == "__main__":
    main()
