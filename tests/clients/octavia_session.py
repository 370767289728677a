"""octavia's haproxy driver without its database and key store: configuration, what it sends, what came of it."""

import json
import re
import sys
import time
import traceback
import types
import urllib.parse

from octavia.amphorae.drivers.haproxy import rest_api_driver
from octavia.common import config

# Codes that the driver makes exceptions of, and that are worth a look at the body.
FAILED = 400


class Session:
    """A driver, and a record of each step taken with it, printed as a line of JSON."""

    def __init__(self, settings, attempts, wait):
        configure(settings, attempts, wait)
        self.requests, self.retries, self.surprises = [], 0, 0
        # By identifier: how it is called in what is printed.
        self.names = {}
        # The driver sleeps before each retry and for nothing else.
        rest_api_driver.time = types.SimpleNamespace(sleep=self.retried)
        rest_api_driver.repo.ListenerRepository = no_database
        self.driver = rest_api_driver.HaproxyAmphoraLoadBalancerDriver()
        for client in self.driver.clients.values():
            client.ssl_adapter.send = self.recording(client.ssl_adapter.send)

    @property
    def client(self):
        return self.driver.clients["1.0"]

    def reconnect(self):
        """Forget the connections that are open."""
        for client in self.driver.clients.values():
            client.session.close()

    def retried(self, seconds):
        self.retries += 1
        time.sleep(seconds)

    def recording(self, send):
        def record(request, **named):
            path = self.named(urllib.parse.urlsplit(request.url).path)
            sent = {"request": f"{request.method} {path}", "sent": len(request.body or b"")}
            if kind := request.headers.get("Content-Type"):
                sent["type"] = kind
            self.requests.append(sent)
            try:
                answer = send(request, **named)
            except Exception as error:
                sent["failed"] = str(error)
                raise
            sent["status"] = answer.status_code
            if answer.status_code >= FAILED:
                sent["answer_type"], sent["answer"] = answer.headers.get("Content-Type"), text_or_json(answer.text)
            return answer

        return record

    def named(self, path):
        for identifier, name in self.names.items():
            path = path.replace(identifier, "{" + name + "}")
        return re.sub("[0-9a-f]{40}", "{sha1}", path)

    def step(self, scenario, name, call, *arguments, expected=("ok",), **named):
        """Call, print what was sent and what came of it, and return the result of success.

        `expected` are the outcomes that it may have, `None` for any.
        """
        self.requests, self.retries = [], 0
        start, result, outcome = time.monotonic(), None, "ok"
        try:
            result = call(*arguments, **named)
        except Exception as error:
            outcome, result = type(error).__name__, str(error)
            if expected is not None and outcome not in expected:
                traceback.print_exc()
        line = {"scenario": scenario, "step": name, "outcome": outcome, "expected": True}
        if expected is not None and outcome not in expected:
            self.surprises += 1
            line["expected"] = False
        line |= {"count": len(self.requests), "retries": self.retries, "seconds": round(time.monotonic() - start, 3)}
        line["result"] = result if isinstance(result, (dict, list, str, int)) else None
        print(json.dumps(line | {"requests": self.requests}), flush=True)
        return result if outcome == "ok" else None

    def sent(self, method, part=""):
        """How many such requests the last step made."""
        return sum(sent["request"].startswith(method) and part in sent["request"] for sent in self.requests)


def configure(settings, attempts, wait):
    """`settings` by group and name, as in octavia.conf."""
    config.init([], default_config_files=[], default_config_dirs=[])
    defaults = {
        "haproxy_amphora": {
            "connection_max_retries": attempts,
            "connection_retry_interval": wait,
            "rest_request_conn_timeout": 5,
            "rest_request_read_timeout": 30,
        },
        "certificates": {"cert_manager": "local_cert_manager"},
    }
    for given in (defaults, settings):
        for group, options in given.items():
            for name, value in options.items():
                config.cfg.CONF.set_override(name, value, group)


def no_database():
    """The driver notes a listener that could not be updated in its database and goes on; here that is the end."""
    raise sys.exception()


def text_or_json(text):
    try:
        return json.loads(text)
    except ValueError:
        return text
