"""Pretext tasks by name. A new one is a file and a line here; import paths, so that `--help` costs no
torch."""

PRETEXT_TASKS = {
    "rspnet": "rspnet_core.pretext.rspnet:RSPNet",
}
