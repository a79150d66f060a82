"""Where videos lie on the map, what colour they have, and that it is a picture whatever videos are called."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from rspnet_platform.shards.dataset import ShardedDataset
from rspnet_platform.visualise import embedding_map
from rspnet_platform.visualise.chosen_videos import ChosenVideo
from rspnet_platform.visualise.embedding_map import (
    FILE_NAME,
    OTHER_COLOUR,
    STRONG_FIRST,
    EmbeddingMap,
    class_colours,
    colour_of,
    draw_embedding_map,
    drawn_places,
    make_map,
    render_map,
    render_map_fragment,
)
from rspnet_platform.visualise.part_configs import DataChoice, EmbeddingMapConfig
from rspnet_platform.visualise.principal_plane import PrincipalPlane, principal_plane

from tests.core.tiny_tasks import CONFIGS
from tests.task_checkpoint import smaller, write_checkpoint

SVG = "{http://www.w3.org/2000/svg}"


def test_the_plane_holds_the_largest_variances():
    """Directions that differ much along one axis, little along another and not at all along the third: the map's axes
    are these, in this order, with the shares of the variance that they have."""
    wide, narrow = np.array([-0.2, 0.2, 0.0, 0.0]), np.array([0.0, 0.0, -0.1, 0.1])
    features = np.stack([np.sqrt(1 - wide**2 - narrow**2), wide, narrow], axis=1)
    plane = principal_plane(features)
    np.testing.assert_allclose(plane.points, np.stack([wide, narrow], axis=1), atol=2e-3)
    assert plane.explained == pytest.approx((0.8, 0.2), abs=0.01)


def test_lengths_and_order_make_no_difference_to_the_plane():
    """Cosines do not see lengths either; each video keeps its point in another order."""
    generator = np.random.default_rng(0)
    features = generator.normal(size=(20, 5))
    order = generator.permutation(20)
    plane, other = principal_plane(features), principal_plane((features * generator.uniform(1, 9, (20, 1)))[order])
    np.testing.assert_allclose(other.points, plane.points[order], atol=1e-9)


def test_features_that_make_no_plane_are_refused():
    with pytest.raises(ValueError, match="2 videos to map; accepted are 3 or more"):
        principal_plane(np.eye(2))
    with pytest.raises(ValueError, match="not finite"):
        principal_plane(np.full((3, 2), np.nan))
    assert np.isfinite(principal_plane(np.ones((3, 2))).points).all()


def videos_of(labels: list[str | None], video_id: str = "video") -> list[ChosenVideo]:
    return [
        ChosenVideo(
            video_index=10 + place,
            video_id=f"{video_id}{place}",
            label=label,
            frames_per_second=25.0,
            location=("s", 0, place),
        )
        for place, label in enumerate(labels)
    ]


def render(videos: list[ChosenVideo], points: np.ndarray, queries: frozenset[int] = frozenset()) -> ElementTree.Element:
    return ElementTree.fromstring(render_map(drawn(videos, points, queries), "<model>", "stamp"))


def drawn(videos: list[ChosenVideo], points: np.ndarray, queries: frozenset[int] = frozenset()) -> EmbeddingMap:
    plane = PrincipalPlane(points=points, explained=(0.5, 0.25))
    labels = [video.label for video in videos]
    return make_map(videos, labels, queries, {"this model": plane}, np.arange(len(videos)))


def circles(svg: ElementTree.Element) -> list[ElementTree.Element]:
    """The points alone: those of the legend have no title."""
    return [circle for circle in svg.iter(f"{SVG}circle") if circle.find(f"{SVG}title") is not None]


def test_points_lie_where_their_features_do():
    """To the right what is larger along the first axis, above what is larger along the second, on one scale; a video of
    the test split is a ring; videos of one class have one colour."""
    svg = render(videos_of(["a", "b", "a"]), np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 2.0]]), queries=frozenset({11}))
    first, right, above = circles(svg)
    x, y = (float(right.attrib[name]) - float(first.attrib[name]) for name in ("cx", "cy"))
    assert (x > 0, y) == (True, 0)
    assert float(above.attrib["cx"]) == float(first.attrib["cx"])
    assert float(first.attrib["cy"]) - float(above.attrib["cy"]) == pytest.approx(x / 2)
    assert first.attrib["fill"] == above.attrib["fill"] == right.attrib["fill"].replace("#fffefb", first.attrib["fill"])
    assert right.attrib["stroke"] not in (first.attrib["fill"], OTHER_COLOUR)
    assert [circle.findtext(f"{SVG}title") for circle in circles(svg)] == ["a: video0", "b: video1", "a: video2"]


HOSTILE = "\"'><script>alert(1)</script>&\x00\x1b\u202e"


def test_names_of_strangers_leave_it_a_picture():
    """Well-formed, without scripts and links, whatever videos and classes are called."""
    svg = render(videos_of([HOSTILE, None, "b"], HOSTILE), np.eye(3)[:, :2])
    tags = {element.tag for element in svg.iter()}
    assert tags == {f"{SVG}{name}" for name in ("svg", "rect", "text", "tspan", "g", "circle", "title")}
    assert "alert" in str(circles(svg)[0].findtext(f"{SVG}title"))
    assert circles(svg)[1].attrib["fill"] == OTHER_COLOUR


def test_a_page_shows_the_same_points():
    """As many, in the same places, and no legend where there is no label."""
    videos, points = videos_of([HOSTILE, None, "b"], HOSTILE), np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 2.0]])
    fragment = str(render_map_fragment(drawn(videos, points)))
    found = re.findall(r'<circle cx="([^"]*)" cy="([^"]*)"', fragment)
    assert found == [(circle.attrib["cx"], circle.attrib["cy"]) for circle in circles(render(videos, points))]
    assert "<script" not in fragment
    assert "others" in fragment
    assert "others" not in render_map_fragment(drawn(videos_of([None] * 3), points))


def test_the_largest_classes_have_colours_and_the_others_are_grey():
    """As many as there are colours, all different, none of them grey."""
    sizes = {f"class_{index:02d}": 30 - index for index in range(30)}
    colours = class_colours([name for name, size in sizes.items() for _ in range(size)] + [None])
    assert list(colours) == sorted(sizes)[: len(STRONG_FIRST)]
    assert len(set(colours.values()) | {OTHER_COLOUR}) == len(colours) + 1
    assert colour_of("class_29", colours) == colour_of(None, colours) == OTHER_COLOUR
    assert colour_of("class_00", colours) == colours["class_00"]


def test_too_many_videos_are_drawn_by_the_seed(monkeypatch: pytest.MonkeyPatch):
    """All where they are few enough."""
    assert drawn_places(5, seed=0).tolist() == [0, 1, 2, 3, 4]
    monkeypatch.setattr(embedding_map, "MAX_NUM_POINTS", 3)
    first = drawn_places(100, seed=0)
    assert len(set(first.tolist())) == 3
    assert first.tolist() == drawn_places(100, seed=0).tolist() != drawn_places(100, seed=1).tolist()


def test_videos_that_are_not_drawn_are_counted():
    """Of four the second and the last have points, their own; the legend counts all."""
    videos = videos_of(["a", "b", "b", None])
    points = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [4.0, 0.0]])
    planes = {"this model": PrincipalPlane(points=points, explained=(0.5, 0.25))}
    shown = np.array([1, 3])
    part = make_map([videos[1], videos[3]], ["a", "b", "b", None], frozenset(), planes, shown)
    assert [point.title for point in part.panels[0].points] == ["b: video1", "no label: video3"]
    whole = make_map(videos, ["a", "b", "b", None], frozenset(), planes, np.arange(4))
    assert part.panels[0].points == [whole.panels[0].points[place] for place in shown]
    assert [(entry.name, entry.count) for entry in part.legend] == [("a", 1), ("b", 2), ("others", 1)]
    assert (part.num_shown, part.num_videos) == (2, 4)


@pytest.mark.slow
def test_a_map_of_a_run(small_dataset: ShardedDataset, tmp_path: Path):
    """A checkpoint's encoder on a real Ray: a point for each video in each of two panels."""
    write_checkpoint(tmp_path / "model", smaller(CONFIGS["moco"]), changes={"data.shards": small_dataset.uri})
    result = draw_embedding_map(
        EmbeddingMapConfig(
            model=str(tmp_path / "model"), data=DataChoice(shards=small_dataset.uri), output=str(tmp_path / "map")
        )
    )
    assert (result["num_videos"], result["num_shown"], result["num_damaged"]) == (24, 24, 0)
    svg = ElementTree.fromstring((tmp_path / "map" / FILE_NAME).read_text())
    assert len(circles(svg)) == 2 * 24
    assert {len(shares) for shares in result["explained_variance"].values()} == {2}
