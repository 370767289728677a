"""The rules of sections 1 and 3.6: which certificates are where, whose they are, and what takes them away."""

import json
import re
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from lxd_lab import (
    BOOK,
    PATIENCE,
    Caller,
    Certificate,
    Relation,
    Version1,
    block,
    named,
    problem,
    refuses,
    rule,
    until,
    wanting,
)

MERGE = {"Content-Type": "application/merge-patch+json"}
KEYS = ["nodes", "registered_certificates", "version"]


def entries(lab):
    BOOK.section = "1.6 entries"
    relation = Relation(lab)
    kinds = {
        "p256": ("EC", 256),
        "p384": ("EC", 384),
        "p521": ("EC", 521),
        "rsa2048": ("RSA", 2048),
        "ed25519": ("Ed25519", 256),
    }
    issuer = Certificate("issuer")
    sorts = {kind: Certificate(f"of-{kind}", kind) for kind in kinds}
    sorts.update(version1=Version1("old"), leaf=Certificate("leaf", issuer=issuer))
    wait = {"Prefer": "wait=30"}
    rule("good ones are registered", relation.write(*sorts.values(), headers=wait).json()["pending"] == [])
    relation.until_registered(*sorts.values())
    for kind, certificate in sorts.items():
        rule(f"{kind} is let in", all(server.lets_in(certificate) for server in lab.servers))
        view = relation.view(certificate)
        rule(f"{kind} is told", (view["key"]["kind"], view["key"]["bits"]) == kinds.get(kind, ("EC", 256)), view)

    good = sorts["p256"]
    crlf = "Certificate:\n    Data:\n" + good.pem.replace("\n", "\r\n") + "text behind\n"
    one_line = block("CERTIFICATE", good.der)
    relation.write(crlf, good.pem, one_line, headers=wait)
    relation.until_registered(crlf)
    rule(
        "several spellings are one certificate, in the first",
        len(relation("GET", "certificates").json()) == 1 and relation.nodes()[lab.servers[0].endpoint] == {good.fp},
    )
    two = Certificate("second block")
    relation.write(good.pem + two.pem + issuer.pem, headers=wait)
    relation.until_registered(good.pem + two.pem + issuer.pem)
    rule(
        "of several blocks the first counts, the rest are counted",
        relation.view(good)["ignored_blocks"] == 2 and two.fp not in lab.servers[0].entries(),
    )

    same_key = Certificate("same key")
    twin = Certificate("twin")
    twin.private = same_key.private
    twin.take(
        x509.CertificateBuilder(
            named("twin"), named("twin"), twin.private.public_key(), 77, twin.begins, twin.ends
        ).sign(twin.private, hashes.SHA256())
    )
    relation.write(same_key, twin, headers=wait)
    relation.until_registered(same_key, twin)
    rule("two certificates over one key are two entries", {same_key.fp, twin.fp} <= lab.servers[0].entries().keys())

    expired, later, weak = (
        Certificate("expired", ends=-60),
        Certificate("later", begins=6),
        Certificate("weak", "rsa1024"),
    )
    written = relation.write(expired, later, weak, good, headers=wait)
    rule("expired, early and weak ones are taken into the bag", written.status_code == 200)
    relation.until_registered(good)
    rule("they do not keep others back", all(good.fp in server.entries() for server in lab.servers))
    for certificate, code in ((expired, "expired"), (weak, "key_too_weak")):
        state = relation.until_state(certificate, "failed", code)
        rule(
            f"failed/{code} is not tried again",
            state.get("next_attempt") is None and state["error"].get("message"),
            state,
        )
        rule(f"failed/{code} is nowhere", not any(certificate.fp in server.entries() for server in lab.servers))
    state = relation.until_state(later, "failed", "not_yet_valid")
    early = time.time() < later.begins.timestamp()
    rule(
        "failed/not_yet_valid is tried again at notBefore",
        not early or state.get("next_attempt") == later.begins.strftime("%Y-%m-%dT%H:%M:%SZ"),
        state,
    )
    relation.until_registered(later, good)
    rule(
        "one that has become valid is registered",
        later.begins.timestamp() <= time.time() < later.begins.timestamp() + 5,
    )
    for certificate in (expired, weak):
        try:
            lab.servers[0].add(certificate)
            rule("LXD refuses it, too", False)
        except AssertionError:
            rule("LXD refuses it, too", True)
    relation.write()
    lab.until_gone(later, good)

    short = Certificate("short", ends=6)
    relation.write(good, short)
    relation.until_registered(good, short)
    etag = relation("GET", "provider/data").headers["ETag"]
    polled = relation("GET", "provider/data", params={"wait": 30}, headers={"If-None-Match": etag})
    after = time.time() - short.ends.timestamp()
    rule(
        "one that runs out leaves the bag in that second, and who waits is told",
        json.loads(polled.json()["registered_certificates"]) == [good.pem]
        and short.fp not in polled.text
        and 0 <= after < 2.5,
        (after, polled.text),
    )
    lab.until_gone(short)
    relation.until_state(short, "failed", "expired")
    rule("then it is deleted", relation.view(short)["nodes"][0]["owned"] is False)
    relation.end()
    lab.until_gone(good)


def ownership(lab):
    BOOK.section = "1.6, 1.7 ownership"
    one, two = Relation(lab), Relation(lab, "other")
    shared, foreign = Certificate("shared"), Certificate("foreign")
    for server in lab.servers:
        server.add(foreign)
    one.join(1)
    one.write(shared, foreign), one.write(shared, unit=1), two.write(shared)
    one.until_registered(shared, foreign), two.until_registered(shared)
    view = lab.operator("GET", f"certificates/{shared.fp}").json()
    rule(
        "owners are all units that want it",
        [(owner["relation"], owner["unit"]) for owner in view["owners"]]
        == sorted([(one.id, "demo/0"), (one.id, "demo/1"), (two.id, "other/0")]),
        view,
    )
    rule("ours is owned", all(state["owned"] and state["state"] == "registered" for state in view["nodes"]), view)
    theirs = one.state(foreign)
    rule("theirs is trusted and not owned", (theirs["state"], theirs["owned"]) == ("registered", False), theirs)
    rule(
        "the requirer sees its own units only", all(owner["relation"] == one.id for owner in one.view(shared)["owners"])
    )
    rule("certificates of other relations are not in the bag", two.nodes()[lab.servers[0].endpoint] == {shared.fp})
    entry = lab.servers[0].entries()[shared.fp]
    rule("an entry has a name that marks it as ours", entry["name"].startswith("juju-relation-"), entry)
    rule("an entry's name suits later versions", not entry["name"].startswith("-") and "/" not in entry["name"], entry)
    one("DELETE", "units/1")
    one.write(foreign)
    until("the certificate leaves the bag", lambda: shared.fp not in one.nodes()[lab.servers[0].endpoint])
    rule("it stays while another wants it", shared.fp in lab.servers[0].entries() and two.registered() == [shared.pem])
    two.end()
    lab.until_gone(shared)
    one.end()
    lab.reconcile()
    until("the ledgers are empty", lambda: lab.operator("GET", "certificates").json() == [])
    rule("theirs is never deleted", all(foreign.fp in server.entries() for server in lab.servers))
    own = Relation(lab)
    own.write(lab.certificate)
    own.until_registered(lab.certificate)
    own.end()
    lab.reconcile()
    until("the ledgers are empty", lambda: lab.operator("GET", "certificates").json() == [])
    rule(
        "our own credential is reported as trusted, and never deleted",
        all(lab.own in server.entries() for server in lab.servers),
    )
    for server in lab.servers:
        server.remove(foreign.fp)

    BOOK.section = "1.7 drift"
    relation, kept = Relation(lab), Certificate("kept")
    relation.write(kept)
    relation.until_registered(kept)
    lab.servers[0].remove(kept.fp)
    until(
        "an entry that an administrator deleted comes back",
        lambda: kept.fp in lab.servers[0].entries(),
        lab.relist + PATIENCE,
    )
    rule("an entry that an administrator deleted comes back", relation.until_registered(kept))
    lab.servers[0].change(kept.fp, name="an administrator's")
    lab.reconcile()
    until("it is not ours any more", lambda: relation.state(kept)["owned"] is False)
    relation.end()
    until("the ledgers are empty", lambda: lab.operator("GET", "certificates").json() == [])
    rule(
        "an entry that an administrator renamed is theirs",
        kept.fp in lab.servers[0].entries() and kept.fp not in lab.servers[1].entries(),
    )
    lab.servers[0].remove(kept.fp)


def lifecycle(lab):
    BOOK.section = "1.5 lifecycle"
    operator, server = lab.operator, lab.servers[0]
    relation, first, second = Relation(lab), Certificate("first"), Certificate("second")
    rule(
        "created: version and nodes",
        relation.provider()["version"] == "1.0" and json.loads(relation.provider()["registered_certificates"]) == [],
    )
    node = json.loads(relation.provider()["nodes"])[0]
    rule(
        "a node is endpoint, name and a list",
        node == {"endpoint": server.endpoint, "name": server.name, "trusted_certs_fp": []},
        node,
    )
    relation.write(first)
    relation.until_registered(first)
    relation.join(1)
    rule("joined: nothing is reset", relation.nodes()[server.endpoint] == {first.fp})
    relation.write(second, unit=1)
    relation.until_registered(first, second)
    rule("changed: the union over the units", relation.nodes()[server.endpoint] == {first.fp, second.fp})
    prints = json.loads(relation.provider()["nodes"])[0]["trusted_certs_fp"]
    rule(
        "fingerprints are sorted lower-case hex",
        prints == sorted(prints) and all(re.fullmatch("[0-9a-f]{64}", one) for one in prints),
    )
    relation("DELETE", "units/1")
    lab.until_gone(second)
    rule(
        "departed: its certificates go",
        relation.until_registered(first) and server.lets_in(first) and not server.lets_in(second),
    )
    rule("departed: the unit is forgotten", relation("GET", "units/1").status_code == 404)
    # A node that is added gets everything, one that goes gives everything back.
    gone = operator("DELETE", "nodes/two")
    rule("node removed: 202 while it owes, else 204", gone.status_code in (202, 204))
    until("the node is gone", lambda: operator("GET", "nodes/two").status_code == 404)
    rule(
        "node removed: its certificates are taken off",
        first.fp not in lab.servers[1].entries() and first.fp in server.entries(),
    )
    rule("node removed: it is not published", list(relation.nodes()) == [server.endpoint])
    rule("its absence takes nothing from registered", relation.registered() == [first.pem])
    operator("PUT", "nodes/two", lab.node(1))
    until("a node that was added gets everything", lambda: first.fp in lab.servers[1].entries())
    rule(
        "node added: it is published with what it confirmed",
        relation.until_registered(first) and set(relation.nodes()) == {one.endpoint for one in lab.servers},
    )
    operator("PATCH", "nodes/two", {"enabled": False}, MERGE)
    until("a disabled node is withdrawn", lambda: list(relation.nodes()) == [server.endpoint])
    operator("PATCH", "nodes/two", {"enabled": True}, MERGE)
    until("an enabled node is published", lambda: len(relation.nodes()) == 2)

    BOOK.section = "1.5 broken"
    etag = relation("GET", "provider/data").headers["ETag"]
    polled = []
    poll = threading.Thread(
        target=lambda: polled.append(
            Caller(lab.url, relation.made.json()["token"])(
                "GET", f"{relation.path}/provider/data", params={"wait": 50}, headers={"If-None-Match": etag}
            )
        )
    )
    poll.start()
    # Its worker cannot pay while the node is disabled, so that what is owed can be looked at.
    operator("PATCH", "nodes/two", {"enabled": False}, MERGE)
    until("the node is disabled", lambda: operator("GET", "nodes/two").json()["state"] == "disabled")
    broke = relation.end()
    rule("broken: 202 while a node owes removals", broke.status_code == 202, broke.text)
    poll.join()
    rule("a poll on a relation that breaks ends", polled[0].status_code in (200, 410))
    refuses("the bag is withdrawn", 410, relation("GET", "provider/data"))
    refuses("a relation that was broken is 410", 410, operator("GET", relation.path))
    rule("it is not listed", relation.id not in [one["id"] for one in operator("GET", "relations").json()])

    def torn():
        return operator("PUT", f"{relation.path}/units/0/data", wanting(first))

    refuses("writing while it is torn down is 409", 409, torn())
    refuses("a requirer that writes then learns that, too", 409, relation.write(first))
    refuses("joining then is 409", 409, operator("PUT", f"{relation.path}/units/3"))
    refuses("departing then is 409", 409, operator("DELETE", f"{relation.path}/units/0"))
    rule("breaking it again is 202 while removals are owed", operator("DELETE", relation.path).status_code == 202)
    view = operator("GET", f"certificates/{first.fp}").json()
    owed = next(state for state in view["nodes"] if state["node"] == "two")
    rule("a removal that is owed is told", owed["state"] == "removing" and view["owners"] == [], view)
    operator("PATCH", "nodes/two", {"enabled": True}, MERGE)
    lab.until_gone(first)
    until("breaking it again is 410 when all is paid", lambda: problem(operator("DELETE", relation.path), 410))
    refuses("writing then is 410", 410, torn())
    quiet = Relation(lab)
    rule("broken: 204 when nothing is owed", quiet.end().status_code == 204)
    refuses("breaking it again then is 410", 410, operator("DELETE", quiet.path))


def projects(lab):
    BOOK.section = "3.6, 3.7 projects"
    operator, server = lab.operator, lab.servers[0]
    relation, certificate, more = Relation(lab), Certificate("limited"), Certificate("more")
    operator("PATCH", "nodes/one", {"projects": ["default"]}, MERGE)
    relation.write(certificate)
    relation.until_registered(certificate)
    entry = server.entries()[certificate.fp]
    rule("a node's projects restrict", entry["restricted"] and entry["projects"] == ["default"], entry)
    rule("another node's do not", not lab.servers[1].entries()[certificate.fp]["restricted"])
    operator("PATCH", "nodes/one", {"projects": ["nowhere"]}, MERGE)
    relation.write(certificate, more)
    state = relation.until_state(more, "pending", "project_not_found")
    rule(
        "an unknown project is told in LXD's words",
        "not found" in state["error"].get("message", "").lower() and state["error"]["http_status"] == 404,
        state,
    )
    soon = state.get("next_attempt") or ""
    rule("it is tried again, slowly", soon > time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 30)), state)
    rule("the node is online all the same", operator("GET", "nodes/one").json()["state"] == "online")
    rule("its other entries stay", certificate.fp in relation.nodes()[server.endpoint])
    operator("PATCH", "nodes/one", {"projects": None}, MERGE)
    relation.end()
    lab.until_gone(certificate, more)

    BOOK.section = "3.6 trust"
    relation, certificate = Relation(lab), Certificate("stranded")
    server.change(lab.own, type="client", restricted=True, projects=["default"])
    relation.write(certificate)
    view = lab.until_node("one", "untrusted")
    rule("a credential that is restricted makes the node untrusted", view.get("error"), view)
    until("the other node gets it", lambda: certificate.fp in lab.servers[1].entries())
    server.change(lab.own, type="client", restricted=False, projects=[])
    lab.reconcile()
    rule("when it is not any more, the work is done", relation.until_registered(certificate))
    server.remove(lab.own)
    lab.reconcile()
    lab.until_node("one", "untrusted")
    until(
        "an untrusted node is withdrawn after the grace",
        lambda: list(relation.nodes()) == [lab.servers[1].endpoint],
        lab.grace + PATIENCE,
    )
    server.ask(
        "POST",
        "/1.0/certificates",
        {"type": "client", "name": "operator", "certificate": "".join(lab.certificate.splitlines()[1:-1])},
    )
    lab.reconcile()
    lab.until_node("one", "online")
    rule("one that trusts us again is published again", until("two nodes", lambda: len(relation.nodes()) == 2))
    relation.end()
    lab.until_gone(certificate)
