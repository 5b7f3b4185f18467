"""Where the signed messages of ceremonies travel: a folder, a relay, or paper."""
