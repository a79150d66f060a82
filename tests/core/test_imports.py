import subprocess
import sys

WITHOUT_TORCH = (
    "rspnet_core.random_streams",
    "rspnet_core.sampling.clip_cloze",
    "rspnet_core.sampling.clip_orders",
    "rspnet_core.sampling.clip_plan",
    "rspnet_core.sampling.evenly_spaced",
    "rspnet_core.sampling.frame_indices",
    "rspnet_core.sampling.frame_orders",
    "rspnet_core.sampling.half_overlapping",
    "rspnet_core.sampling.independent_clips",
    "rspnet_core.sampling.paces",
    "rspnet_core.sampling.speed_classes",
    "rspnet_core.sampling.speed_lists",
    "rspnet_core.sampling.speed_pairs",
    "rspnet_core.sampling.temporal_intervals",
    "rspnet_core.sampling.views",
    "rspnet_core.encoders",
    "rspnet_core.pretext",
    "rspnet_core.pretext.rspnet_config",
    "rspnet_core.optimizer_config",
    "rspnet_core.schedules",
    "rspnet_core.evaluation.retrieval_protocol",
    "rspnet_core.evaluation.probe_protocols",
)


def test_what_help_and_decode_workers_read_does_not_import_torch():
    """A fresh interpreter that imports all of it has no torch: it would cost seconds and hundreds of MB."""
    code = f"import sys, {', '.join(WITHOUT_TORCH)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
