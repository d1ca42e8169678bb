"""The parts of ../differential.py: requests and their damage, the two workers, and their responses.

calls.py       valid requests, and their encoding
damage.py      damage to a request, on any transport
byte_stream.py cases on a byte stream: unary calls, producers, exchanges
requests.py    an HTTP request, its response, and a connection that sends it
web.py         cases over HTTP: routes, headers, codings, calls
turns.py       cases over HTTP with several requests: streams with their tokens, sticky sessions
outcome.py     the result of a worker, in a form that can be compared
known.py       the known differences, and their reasons
workers.py     the two workers
reference.py   the reference's HTTP worker, a separate program

Runs in the virtual environment of conf.py, which has pyarrow and the reference.
"""
