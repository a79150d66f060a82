import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from rspnet_core.encoders.tiny import TinyEncoder
from rspnet_core.evaluation import cosine_search
from rspnet_core.evaluation.features import embed_videos, pool_map
from rspnet_core.evaluation.retrieval import leave_one_source_out, retrieve
from rspnet_core.evaluation.retrieval_protocol import RETRIEVAL_PROTOCOLS, RetrievalProtocol

PROTOCOL = RETRIEVAL_PROTOCOLS["rspnet_paper"]


def slow_accuracy(gallery: Tensor, gallery_labels: Tensor, query: Tensor, query_labels: Tensor, k: int) -> float:
    hits = 0
    for feature, label in zip(query, query_labels, strict=True):
        cosines = [F.cosine_similarity(feature, other, dim=0).item() for other in gallery]
        nearest = sorted(range(len(gallery)), key=lambda i: -cosines[i])[:k]
        hits += any(gallery_labels[i] == label for i in nearest)
    return hits / len(query)


def random_set(count: int) -> tuple[Tensor, Tensor]:
    return torch.randn(count, 6) + 1, torch.randint(0, 5, (count,))


def test_retrieve_equals_the_slow_reference():
    """Top-k by sorting all cosines, for every k of the protocol, in the slow way."""
    gallery, query = random_set(60), random_set(33)
    result = retrieve(*gallery, *query, PROTOCOL)
    assert result.accuracy == {k: pytest.approx(slow_accuracy(*gallery, *query, k)) for k in (1, 5, 10, 20, 50)}
    assert (result.num_queries, result.num_gallery, result.skipped_k) == (33, 60, ())


@pytest.mark.parametrize("num_of_one_source", [1, 3])
def test_no_video_of_the_same_source_is_retrieved(monkeypatch: pytest.MonkeyPatch, num_of_one_source):
    """Equal to querying each video against all those of other sources, over chunk borders too."""
    monkeypatch.setattr(cosine_search, "MAX_COSINES_AT_ONCE", 7 * 24)
    features, labels = random_set(24)
    sources = torch.arange(24) // num_of_one_source
    result = leave_one_source_out(features, labels, sources, PROTOCOL)
    assert result.num_gallery == 24 - num_of_one_source
    for k in (1, 5, 10, 20):
        hits = 0.0
        for i in range(24):
            others = sources != sources[i]
            hits += slow_accuracy(features[others], labels[others], features[i : i + 1], labels[i : i + 1], k)
        assert result.accuracy[k] == pytest.approx(hits / 24)


def test_a_k_larger_than_the_gallery_is_left_out_and_said():
    """12 videos leave 11 others: 20 and 50 are skipped, not scored on fewer neighbours."""
    result = leave_one_source_out(*random_set(12), torch.arange(12), PROTOCOL)
    assert sorted(result.accuracy) == [1, 5, 10]
    assert result.skipped_k == (20, 50)


def test_every_k_skipped_leaves_an_empty_result():
    """A gallery of two with k = 5 alone gives no accuracy and no error."""
    protocol = dataclasses.replace(PROTOCOL, top_k=(5,))
    result = retrieve(*random_set(2), *random_set(3), protocol)
    assert (result.accuracy, result.skipped_k) == ({}, (5,))


def test_the_length_of_features_does_not_matter():
    """Cosine: scaling each feature by its own positive number changes nothing."""
    (gallery, gallery_labels), (query, query_labels) = random_set(30), random_set(20)
    result = retrieve(gallery, gallery_labels, query, query_labels, PROTOCOL)
    scaled = retrieve(gallery * torch.rand(30, 1).add(0.1), gallery_labels, query * 7, query_labels, PROTOCOL)
    assert scaled == result


def test_centring_takes_the_gallerys_mean_away():
    """Far from the origin angles are the offset's and mislead; around the gallery's mean they do not."""
    gallery, labels = torch.tensor([[101.0, 100.0], [99.0, 100.0]]), torch.tensor([0, 1])
    query = torch.tensor([[100.2, 100.5], [99.8, 99.5]])
    centred = dataclasses.replace(PROTOCOL, centring="gallery")
    assert retrieve(gallery, labels, query, labels, PROTOCOL).accuracy[1] == 0
    assert retrieve(gallery, labels, query, labels, centred).accuracy[1] == 1


def test_features_that_are_not_finite_are_refused():
    """A collapsed or broken encoder does not get a number, on whichever side it shows."""
    features, labels = random_set(4)
    features[2, 1] = float("nan")
    with pytest.raises(ValueError, match="finite"):
        leave_one_source_out(features, labels, torch.arange(4), PROTOCOL)
    whole, _ = random_set(4)
    for gallery, query in ((features, whole), (whole, features)):
        with pytest.raises(ValueError, match="finite"):
            retrieve(gallery, labels, query, labels, PROTOCOL)


def test_an_empty_gallery_is_refused():
    """One video has no others to be found among, and three of one source have none either."""
    for count in (1, 3):
        with pytest.raises(ValueError, match="0 other videos"):
            leave_one_source_out(*random_set(count), torch.zeros(count, dtype=torch.int64), PROTOCOL)


def test_features_that_know_the_source_alone_find_no_class():
    """Eight sources of four videos each, two classes: the very features of a source's number would find the class each
    time among its own videos. Among others the nearest is the first of them all."""
    sources = torch.arange(32) // 4
    labels, features = sources % 2, torch.eye(8)[sources]
    assert leave_one_source_out(features, labels, sources, PROTOCOL).accuracy[1] == 0.5 - 0.125
    assert leave_one_source_out(features, labels, torch.arange(32), PROTOCOL).accuracy[1] == 1


def test_pooling_by_hand():
    """Two frames of 2 x 2: maxima 4 and 8 average to 6; the mean of all is 4.5."""
    feature_map = torch.arange(1.0, 9.0).reshape(1, 1, 2, 2, 2)
    assert pool_map(feature_map, "spatial_max").item() == 6
    assert pool_map(feature_map, "average").item() == 4.5


def test_embedding_is_the_mean_over_clips_in_eval_mode():
    """Equal to one clip at a time through an encoder in eval mode, whose every mode is given back."""
    encoder = TinyEncoder()
    encoder.blocks[1].eval()
    clips = torch.randn(2, 3, 3, 4, 16, 16)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    features = embed_videos(encoder, clips, "spatial_max")
    assert encoder.training
    assert encoder.blocks[0].training
    assert not encoder.blocks[1].training
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())
    encoder.eval()
    with torch.no_grad():
        expected = [[encoder(clip[None]).amax((3, 4)).mean(2)[0] for clip in video] for video in clips]
    torch.testing.assert_close(features, torch.stack([torch.stack(video).mean(0) for video in expected]))


@pytest.mark.parametrize(
    "field",
    [
        {"top_k": ()},
        {"top_k": (0, 1)},
        {"pooling": "max"},
        {"windowing": "dense"},
        {"centring": True},
        {"num_clips": 0},
    ],
)
def test_a_wrong_protocol_is_refused_by_name(field: dict):
    """The error names the field."""
    with pytest.raises(Exception, match=next(iter(field))):
        RetrievalProtocol(**{"name": "mine", "description": "", "pooling": "average", **field})
