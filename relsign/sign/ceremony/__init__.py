"""How a group makes its key, and how it signs with it.

charter     what people agree on before they begin
hearing     which messages of an exchange count, and why the others do not
keygen, reshare, repair
            a ceremony from its messages; dealt, boxes, steps, secrets: what they share
group, transcript
            the public result, and a whole ceremony checked again
requests, outputs, tag
            what may be signed, and the forms stock tools read
session     one request: who signs together, and which signatures came of it
moves       what one participant does next in it
member      one participant at work: share, nonces, exchange
account     who signed, found out again later

All but `member` is pure: values in, values out.
"""
