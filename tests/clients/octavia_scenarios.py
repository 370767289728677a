"""What a controller does to an amphora: each scenario is a method of `Controller` that takes its steps with `step`.

A step says which outcomes it may have; `expected=None` is for what depends on the machine (interfaces, keepalived,
IPVS) or on a decision of the amphora's. Whoever reads the output judges those.
"""

import os
import socket

from cryptography import x509

from octavia.amphorae.backends.agent import agent_jinja_cfg
from octavia.amphorae.backends.health_daemon import status_message
from octavia.common import constants
from octavia.common import data_models as models
from octavia_lib.common import constants as lib_constants
from octavia_objects import Objects
from octavia_pki import SERVER, Authority
from octavia_traffic import PATIENCE, Load, answers, common_name, presented, serve_a_member, wait_for

NAMES = ("default.example.org", "sni.example.org")
# Of networks for documentation: no machine has it.
ABSENT = "203.0.113.99"
REFUSED, MISSING = ("InvalidRequest",), ("NotFound",)


class Controller:
    """`given` are the arguments of the script, `store` the directory with certificates and secrets."""

    def __init__(self, given, session, store, heartbeats):
        self.given, self.session, self.store, self.heartbeats = given, session, store, heartbeats
        self.driver, self.client = session.driver, session.client
        self.objects = Objects(
            given.amphora, given.address, given.vip, given.vrrp_ip, given.topology, given.connections
        )
        self.amphora, self.balancer = self.objects.amphora, self.objects.balancer
        session.names = self.objects.names
        self.members = given.member or [serve_a_member(name) for name in ("one", "two")]
        self.pool = self.objects.pool("pool", constants.PROTOCOL_HTTP, self.members[:1])
        self.address = f"http://{given.vip}:{given.http_port}/"
        self.http = self.tls = None

    def run(self, scenario):
        def step(name, call, *arguments, **named):
            return self.session.step(scenario, name, call, *arguments, **named)

        getattr(self, scenario.replace("-", "_"))(step)

    def stored(self, reference, make):
        """Put texts by their endings under a reference into the store, unless they are there."""
        if not os.path.exists(os.path.join(self.store, reference + ".crt")):
            for ending, text in make().items():
                with open(os.path.join(self.store, reference + ending), "w") as file:
                    file.write(text)
        return reference

    def certificate(self, reference, name):
        def make():
            authority = Authority("listeners")
            certificate, key = authority.issue(name, SERVER)
            return {".crt": certificate, ".key": key, ".int": authority.certificate}

        return self.stored(reference, make)

    # Questions.

    def info(self, step):
        step("check", self.driver.check, self.amphora)
        step("info", self.driver.get_info, self.amphora)
        step("details", self.client.get_details, self.amphora)
        step("listeners", self.client.get_all_listeners, self.amphora)

    def traffic(self, step):
        self.wait_for_listeners()
        if self.http in self.balancer.listeners:
            step("http", answers, self.address)
        if self.tls in self.balancer.listeners:
            address = (self.given.vip, self.given.tls_port)
            step("certificates", lambda: {name: common_name(presented(address, name)) for name in NAMES})
            step("serial", lambda: str(presented(address, NAMES[0]).serial_number))

    def wait_for_listeners(self):
        if self.given.patient:
            for listener in self.balancer.listeners:
                wait_for((self.given.vip, listener.protocol_port))

    def heartbeat(self, step):
        """The next message, opened and checked by octavia's own code; `agent-config` tells the amphora where to."""
        self.forget_heartbeats()
        if message := step("message", self.receive, PATIENCE):
            assert (message["id"], message["ver"]) == (self.amphora.id, 3), message

    def silence(self, step):
        """For some intervals: what an amphora keeps whose keepalived is configured and does not run."""
        self.forget_heartbeats()
        step("message", self.receive, 3 * self.given.heartbeat_interval, expected=("TimeoutError",))

    def receive(self, patience):
        self.heartbeats.settimeout(patience)
        return status_message.unwrap_envelope(self.heartbeats.recv(65536), self.given.heartbeat_key)

    def forget_heartbeats(self):
        """What was sent before tells of the past."""
        self.heartbeats.setblocking(False)
        try:
            while self.heartbeats.recv(65536):
                pass
        except BlockingIOError:
            pass

    # Listeners.

    def create(self, step):
        http = constants.PROTOCOL_HTTP
        self.http = self.objects.listener(self.balancer, "http", http, self.given.http_port, self.pool)
        step("update", self.driver.update, self.balancer)

    def create_tls(self, step):
        self.tls = self.objects.listener(
            self.balancer,
            "tls",
            constants.PROTOCOL_TERMINATED_HTTPS,
            self.given.tls_port,
            self.pool,
            tls_certificate_id=self.certificate("default", NAMES[0]),
            sni_containers=[models.SNI(position=0, tls_container_id=self.certificate("sni", NAMES[1]))],
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
        self.again(step)

    def again(self, step):
        step("again", self.driver.update, self.balancer)
        assert self.session.sent("PUT", "/certificates/") == 0, "what is there was uploaded again"

    def policy(self, step):
        """A rule that sends some paths to another pool."""
        other = self.objects.pool("other pool", constants.PROTOCOL_HTTP, self.members[1:2])
        self.objects.policy(self.http, other, "/other")
        step("update", self.driver.update, self.balancer)
        step("policy", answers, self.address + "other")

    def client_auth(self, step):
        """A CA for users' certificates and a list of revoked ones: no keys in them."""
        authority = Authority("users")
        self.tls.client_ca_tls_certificate_id = self.stored("users", lambda: {".crt": authority.certificate})
        self.tls.client_crl_container_id = self.stored("revoked", lambda: {".crt": authority.revoked()})
        self.tls.client_authentication = constants.CLIENT_AUTH_OPTIONAL
        step("update", self.driver.update, self.balancer)
        self.again(step)

    def ping(self, step):
        """A monitor that has haproxy run a program."""
        before = self.pool.health_monitor
        self.pool.health_monitor = self.objects.monitor(self.pool, constants.HEALTH_MONITOR_PING)
        step("update", self.driver.update, self.balancer, expected=None)
        self.pool.health_monitor = before
        step("without", self.driver.update, self.balancer)

    def disable(self, step):
        self.balancer.enabled = False
        step("disable", self.driver.update, self.balancer)
        self.balancer.enabled = True
        step("enable", self.driver.update, self.balancer)

    def rotate_listener_certificate(self, step):
        self.tls.tls_certificate_id = self.certificate("next", NAMES[0])
        step("update", self.driver.update, self.balancer)

    def restart(self, step):
        """The end of a failover."""
        step("reload", self.driver.reload, self.balancer, self.amphora)
        step("start", self.driver.start, self.balancer, self.amphora)

    def reloads(self, step):
        """Nobody notices."""

        def reload():
            self.wait_for_listeners()
            with Load(self.address) as load:
                for _ in range(self.given.reloads):
                    self.driver.reload(self.balancer, self.amphora)
            return {"well": load.well, "failures": load.failures[:5], "failed": len(load.failures)}

        step("under load", reload)

    def delete_one(self, step):
        step("delete", self.driver.delete, self.tls)

    def delete_last(self, step):
        step("delete", self.driver.delete, self.http)
        step("again", self.client.delete_listener, self.amphora, self.balancer.id)

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
        upload = self.client.upload_config
        step("garbage", upload, self.amphora, self.balancer.id, "global\n    nonsense here\n", expected=REFUSED)
        step("empty", upload, self.amphora, self.balancer.id, "", expected=REFUSED)
        step("not text", upload, self.amphora, self.balancer.id, b"global\n    # \xff\n", expected=None)
        unknown = self.objects.id("unknown")
        step("unknown", self.client.reload_listener, self.amphora, unknown, expected=MISSING)

    # The amphora itself.

    def agent_config(self, step):
        text = agent_jinja_cfg.AgentJinjaTemplater().build_agent_config(self.amphora.id, self.given.topology)
        step("upload", self.driver.update_amphora_agent_config, self.amphora, text)

    def certificate_rotation(self, step):
        with open(self.given.rotated, "rb") as file:
            pem = file.read()
        step("upload", self.driver.upload_cert_amp, self.amphora, pem)
        self.session.reconnect()
        step("info", self.driver.get_info, self.amphora)
        shown = presented((self.given.address, self.given.port), self.amphora.id, self.given.client_cert)
        assert shown == x509.load_pem_x509_certificate(pem), "the old certificate is still presented"

    def vrrp(self, step):
        find = self.driver.get_interface_from_ip
        interface = step("interface", find, self.amphora, self.amphora.vrrp_ip, expected=("ok", *MISSING))
        step("no interface", find, self.amphora, ABSENT, expected=MISSING)
        step("no address", find, self.amphora, "x", expected=REFUSED)
        self.amphora.vrrp_interface = interface or self.amphora.vrrp_interface
        subnet = {"cidr": self.given.cidr, "gateway_ip": self.given.gateway, "host_routes": []}
        networks = {self.amphora.id: {constants.VIP_SUBNET: subnet, "additional_vip_data": []}}
        step("upload", self.driver.update_vrrp_conf, self.balancer, networks, self.amphora)
        step("start", self.driver.start_vrrp_service, self.amphora, expected=None)
        step("start again", self.driver.start_vrrp_service, self.amphora, expected=None)
        step("reload", self.driver.reload_vrrp_service, self.balancer, expected=None)
        step("stop", self.driver.stop_vrrp_service, self.balancer, expected=None)

    def plug(self, step):
        subnet = self.objects.subnet(self.given.cidr, self.given.gateway)
        vip = (self.amphora, self.balancer, {}, self.objects.port("vrrp port", self.given.mac, subnet), subnet, [])
        step("vip", self.driver.post_vip_plug, *vip, expected=None)
        step("vip again", self.driver.post_vip_plug, *vip, expected=None)
        member = self.objects.port("member port", self.given.mac, subnet)
        step("network", self.driver.post_network_plug, self.amphora, member, {}, expected=None)
        here, rule = self.given.vip, {"protocol": "TCP", "cidr": None, "port": self.given.http_port}
        step("rules", self.driver.set_interface_rules, self.amphora, here, [rule], expected=None)
        bad = {**rule, "protocol": "ICMP"}
        step("bad rules", self.driver.set_interface_rules, self.amphora, here, [bad], expected=None)
        step("rules of nothing", self.client.set_interface_rules, self.amphora, ABSENT, [rule], expected=MISSING)
        port = {"subnet_cidr": self.given.cidr, "gateway": None, "mac_address": self.given.mac}
        step("no vip", self.client.plug_vip, self.amphora, "x", port, expected=REFUSED)
        step("no subnet", self.client.plug_vip, self.amphora, here, {}, expected=REFUSED)
        step("no port", self.client.plug_network, self.amphora, {}, expected=REFUSED)


def heartbeat_socket(port):
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("127.0.0.1", port))
    return receiver
