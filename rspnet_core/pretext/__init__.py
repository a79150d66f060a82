"""Pretext tasks by name. A new one is a file and a line here; import paths, so that `--help` costs no
torch."""

PRETEXT_TASKS = {
    "rspnet": "rspnet_core.pretext.rspnet:RSPNet",
    "relative_speed": "rspnet_core.pretext.relative_speed:RelativeSpeed",
    "appearance_instance": "rspnet_core.pretext.appearance_instance:AppearanceInstance",
    "cvrl": "rspnet_core.pretext.cvrl:CVRL",
    "pace": "rspnet_core.pretext.pace:Pace",
    "speednet": "rspnet_core.pretext.speednet:SpeedNet",
    "clip_order": "rspnet_core.pretext.clip_order:ClipOrder",
    "video_cloze": "rspnet_core.pretext.video_cloze:VideoCloze",
    "frame_order": "rspnet_core.pretext.frame_order:FrameOrder",
    "moco": "rspnet_core.pretext.moco:MoCo",
    "simclr": "rspnet_core.pretext.simclr:SimCLR",
}
