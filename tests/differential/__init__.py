"""What ../differential.py is made of: requests and what is done to them, the two workers, and what they answer.

calls.py       requests as they should be, and how one is turned into bytes
damage.py      what is done to a request, on any transport
byte_stream.py cases on a byte stream: unary calls, producers, exchanges
requests.py    an HTTP request, its answer, and a connection that sends it
web.py         cases on HTTP: routes, headers, codings, calls
turns.py       cases on HTTP that take several requests: streams with their tokens, sticky sessions
outcome.py     what a worker did, in the terms that the two are compared in
known.py       where the two may differ, and why
workers.py     the two workers
reference.py   the reference's HTTP worker, a program of its own

Runs in the virtual environment of conf.py, which has pyarrow and the reference.
"""
