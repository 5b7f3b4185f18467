"""How a group makes its key, and how it signs with it.

hearing     what messages of an exchange count, and why the others do not
keygen, reshare, repair
            what a participant says next, given what was heard: no file, no clock
group       the public result, and checking a whole transcript
requests, outputs
            what may be signed, and the forms stock tools read
session     one request: who signs together, which shares, which signatures
person      one participant on one machine: vault, nonces, exchange
"""
