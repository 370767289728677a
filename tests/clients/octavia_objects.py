"""What a controller's database would hold, as octavia's plain objects: one amphora, its load balancers, its ports.

Identifiers follow from the amphora's, so that another run speaks of the same objects.
"""

import uuid

from octavia.common import constants
from octavia.common import data_models as models
from octavia.network import data_models as network

PROJECT = "0c6b4f7a2d9e4e0c9a5e1f3b7d8c2a46"


class Objects:
    """Load balancers behind one amphora at one VIP, the members being (address, port)."""

    def __init__(self, amphora, address, vip, vrrp_ip, topology, connections):
        self.seed, self.names, self.connections = uuid.UUID(amphora), {amphora: "amphora"}, connections
        self.amphora = models.Amphora(
            id=amphora,
            status=constants.AMPHORA_ALLOCATED,
            lb_network_ip=address,
            vrrp_ip=vrrp_ip,
            ha_ip=vip,
            vrrp_port_id=self.id("vrrp port"),
            role=constants.ROLE_MASTER if topology == constants.TOPOLOGY_ACTIVE_STANDBY else constants.ROLE_STANDALONE,
            vrrp_interface="eth1",
            vrrp_id=1,
            vrrp_priority=100,
        )
        # Octavia's rows have it; the plain object has not.
        self.amphora.api_version = None
        self.vip, self.topology = vip, topology
        self.balancer = self.load_balancer("load balancer")

    def id(self, name):
        found = str(uuid.uuid5(self.seed, name))
        self.names[found] = name
        return found

    def load_balancer(self, name):
        balancer = models.LoadBalancer(
            id=self.id(name),
            project_id=PROJECT,
            name=name,
            enabled=True,
            topology=self.topology,
            vip=models.Vip(ip_address=self.vip, vnic_type=constants.VNIC_TYPE_NORMAL),
            amphorae=[self.amphora],
        )
        balancer.vrrp_group = models.VRRPGroup(
            load_balancer_id=balancer.id,
            vrrp_group_name=balancer.id.replace("-", ""),
            vrrp_auth_type=constants.VRRP_AUTH_DEFAULT,
            vrrp_auth_pass="a7c3e1f",
            advert_int=1,
        )
        return balancer

    def listener(self, balancer, name, protocol, port, pool, **more):
        listener = models.Listener(
            id=self.id(name),
            project_id=PROJECT,
            name=name,
            protocol=protocol,
            protocol_port=port,
            peer_port=1025,
            connection_limit=self.connections,
            enabled=True,
            provisioning_status=constants.PENDING_CREATE,
            load_balancer=balancer,
            default_pool=pool,
            default_pool_id=pool.id,
            pools=[pool],
            insert_headers={},
            **more,
        )
        balancer.listeners.append(listener)
        return listener

    def pool(self, name, protocol, members, **more):
        pool = models.Pool(
            id=self.id(name),
            project_id=PROJECT,
            protocol=protocol,
            lb_algorithm=constants.LB_ALGORITHM_ROUND_ROBIN,
            enabled=True,
            operating_status=constants.ONLINE,
            provisioning_status=constants.ACTIVE,
            tls_enabled=False,
            **more,
        )
        pool.members = [self.member(pool, *member) for member in members]
        return pool

    def member(self, pool, address, port):
        return models.Member(
            id=self.id(f"member {pool.id} {address} {port}"),
            project_id=PROJECT,
            pool_id=pool.id,
            pool=pool,
            ip_address=address,
            protocol_port=port,
            weight=1,
            backup=False,
            enabled=True,
            operating_status=constants.NO_MONITOR,
            provisioning_status=constants.ACTIVE,
        )

    def monitor(self, pool, kind):
        return models.HealthMonitor(
            id=self.id(f"monitor {pool.id}"),
            project_id=PROJECT,
            pool_id=pool.id,
            pool=pool,
            type=kind,
            delay=5,
            timeout=2,
            fall_threshold=3,
            rise_threshold=2,
            http_method="GET",
            url_path="/",
            expected_codes="200",
            enabled=True,
            provisioning_status=constants.ACTIVE,
        )

    def policy(self, listener, pool, path):
        """Requests below this path go to this pool."""
        policy = models.L7Policy(
            id=self.id(f"policy {path}"),
            listener=listener,
            action=constants.L7POLICY_ACTION_REDIRECT_TO_POOL,
            redirect_pool=pool,
            redirect_pool_id=pool.id,
            position=1,
            enabled=True,
            provisioning_status=constants.ACTIVE,
        )
        rule = models.L7Rule(
            id=self.id(f"rule {path}"),
            type=constants.L7RULE_TYPE_PATH,
            compare_type=constants.L7RULE_COMPARE_TYPE_STARTS_WITH,
            value=path,
            l7policy=policy,
            enabled=True,
            provisioning_status=constants.ACTIVE,
        )
        policy.l7rules = [rule]
        listener.l7policies, listener.pools = [policy], [*listener.pools, pool]

    def port(self, name, mac, subnet):
        return network.Port(
            id=self.id(name),
            mac_address=mac,
            fixed_ips=[network.FixedIP(subnet_id=subnet.id, ip_address=self.amphora.vrrp_ip, subnet=subnet)],
            network=network.Network(id=self.id("network"), mtu=1450),
        )

    def subnet(self, cidr, gateway):
        return network.Subnet(id=self.id("subnet"), cidr=cidr, gateway_ip=gateway, ip_version=4, host_routes=[])
