"""How it runs: ingest, streaming, training, tracking and inference around `rspnet_core`."""
