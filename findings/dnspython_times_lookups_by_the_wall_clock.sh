#!/usr/bin/env bash
# dnspython 2.9.2, Python 3.11: a look-up is timed by the wall clock, so that setting the clock while it is under way
# ends it, forwards by its lifetime (5 s) or more, backwards by more than a second.
#
# Seen: the first of two servers answers SERVFAIL, so the second is asked, and answers within milliseconds. With the
# clock left alone, or set forwards by 2 s in between, the address comes. Set forwards by 6 s, LifetimeTimeout is raised
# at once instead ("The resolution lifetime expired after 6.001 seconds"), and also when it is set back by 2 s ("after
# -1.999 seconds"). Here time.time is replaced rather than the clock set.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check dnspython==2.9.2
"$work/venv/bin/python" - <<'PY'
import socket
import sys
import threading
import time

import dns.message
import dns.nameserver
import dns.rcode
import dns.resolver
import dns.rrset

wall_clock, ahead = time.time, 0.0
time.time = lambda: wall_clock() + ahead


def answer_one(server, rcode, step):
    """Sets the clock by `step` seconds, then answers."""
    global ahead
    query, client = server.recvfrom(512)
    response = dns.message.make_response(dns.message.from_wire(query))
    response.set_rcode(rcode)
    if rcode == dns.rcode.NOERROR:
        response.answer.append(dns.rrset.from_text("sip.example.", 60, "IN", "A", "192.0.2.1"))
    ahead += step
    server.sendto(response.to_wire(), client)


def looked_up(step):
    """The address, or the message of the time-out."""
    resolver, nameservers = dns.resolver.Resolver(configure=False), []
    for rcode, seconds in ((dns.rcode.SERVFAIL, step), (dns.rcode.NOERROR, 0)):
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("127.0.0.1", 0))
        threading.Thread(target=answer_one, args=(server, rcode, seconds), daemon=True).start()
        nameservers.append(dns.nameserver.Do53Nameserver("127.0.0.1", server.getsockname()[1]))
    resolver.nameservers = nameservers
    try:
        return resolver.resolve("sip.example.", "A")[0].to_text()
    except dns.resolver.LifetimeTimeout as timeout:
        return str(timeout)


for step, seen in (
    (0, "192.0.2.1"),
    (2, "192.0.2.1"),
    (6, "The resolution lifetime expired after "),
    (-2, "The resolution lifetime expired after -"),
):
    began = time.monotonic()
    if not (result := looked_up(step)).startswith(seen):
        sys.exit(f"changed: with the clock set by {step} s: {result}")
    if time.monotonic() - began > 4:
        sys.exit(f"changed: with the clock set by {step} s it takes longer")
PY
echo "as described"
