"""Somebody else's slow service: half a second for each question. `python backend.py PORT`; /peak says how many it had to do with at a time."""

import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

lock = threading.Lock()
busy = peak = 0


class Backend(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({"peak": peak} if self.path == "/peak" else self.look_up(self.path.strip("/")))

    def look_up(self, customer):
        global busy, peak
        with lock:
            busy += 1
            peak = max(peak, busy)
        time.sleep(0.5)
        with lock:
            busy -= 1
        return {"customer": customer, "orders": len(customer)}

    def answer(self, what):
        body = json.dumps(what).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Backend).serve_forever()
