"""The example service of pyssf 0.4.7, the library by which OCCI became known, to compare with. For Python 2.

    occi_pyssf.py SOURCE PORT

SOURCE is pyssf's source distribution, unpacked. The service is the script that comes with it, as it is, but for where it
listens and what it prints about each request, which costs it more than the request does.
"""

import os
import runpy
import sys
from wsgiref import simple_server


class Quiet(simple_server.WSGIRequestHandler):
    def log_message(self, *_):
        pass

    def address_string(self):
        return self.client_address[0]


def main(source, port):
    make_server = simple_server.make_server

    # As many clients may wait as are there.
    simple_server.WSGIServer.request_queue_size = 64

    def here(_host, _port, app):
        server = make_server("127.0.0.1", port, app, handler_class=Quiet)
        sys.stdout = open(os.devnull, "w")
        return server

    simple_server.make_server = here
    sys.path.insert(0, source)
    runpy.run_path(os.path.join(source, "misc", "run_iaas_wsgi_service.py"), run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
