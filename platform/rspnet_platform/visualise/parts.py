"""The parts that `jobs/visualize.py` makes. A new one is a config, a function and a line here; the dict holds import
paths, so that `--help` costs no torch."""

from dataclasses import dataclass
from typing import Any

from rspnet_platform.visualise.part_configs import (
    ConfusionMatrixConfig,
    CurvesConfig,
    EmbeddingMapConfig,
    GalleryConfig,
    ReportConfig,
    RoiMapsConfig,
)


@dataclass(frozen=True, kw_only=True)
class Part:
    """`function` is the path of one that takes a `config_type` and returns what the job prints as JSON."""

    config_type: type[Any]
    function: str


PARTS = {
    "report": Part(config_type=ReportConfig, function="rspnet_platform.report.draw_report:draw_report"),
    "curves": Part(config_type=CurvesConfig, function="rspnet_platform.visualise.curves:draw_curves"),
    "roi_maps": Part(config_type=RoiMapsConfig, function="rspnet_platform.visualise.roi_maps:draw_roi_maps"),
    "gallery": Part(config_type=GalleryConfig, function="rspnet_platform.visualise.gallery:draw_gallery"),
    "confusion_matrix": Part(
        config_type=ConfusionMatrixConfig, function="rspnet_platform.visualise.confusion_matrix:draw_confusion_matrix"
    ),
    "embedding_map": Part(
        config_type=EmbeddingMapConfig, function="rspnet_platform.visualise.embedding_map:draw_embedding_map"
    ),
}
