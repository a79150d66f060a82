"""Each line of the table in `rspnet_platform/videos/README.md` that is about pictures and streams."""

import io
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import rspnet_platform.videos
from av.stream import Disposition
from rspnet_platform.ingest.ingest_config import IngestConfig
from rspnet_platform.ingest.transcoding import TranscodedVideo, transcode
from rspnet_platform.videos.refusal_reasons import RefusalReason, VideoRefusedError
from rspnet_platform.videos.sequential_decoding import open_video

from tests.videos import decode_all, decode_scaled, encode_video, luma_psnr, moving_pictures, mux_again


def taken(data: bytes, short_side: int = 32) -> TranscodedVideo:
    return transcode(io.BytesIO(data), IngestConfig(source="-", output="-", short_side=short_side))


def refusal_of(data: bytes) -> VideoRefusedError:
    with pytest.raises(VideoRefusedError) as caught:
        taken(data)
    return caught.value


def means(picture: np.ndarray) -> tuple[float, float, float]:
    """Of Y, U and V."""
    height = picture.shape[0] * 2 // 3
    chroma = picture[height:].reshape(2, -1)
    return float(picture[:height].mean()), float(chroma[0].mean()), float(chroma[1].mean())


def plain(colour: tuple[int, ...], height: int = 64, width: int = 64) -> list[np.ndarray]:
    return [np.full((height, width, len(colour)), colour, np.uint8)] * 3


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [(63, 101, (32, 52)), (1, 1, (32, 32)), (1, 7, (32, 224)), (9, 1, (288, 32)), (3, 5, (32, 54))],
)
def test_odd_sizes(height: int, width: int, expected: tuple[int, int]) -> None:
    """Odd sides, down to a single pixel, are scaled to even ones; every frame stays."""
    video = taken(encode_video([np.full((height, width, 3), 200, np.uint8)] * 3, codec="png", container="mov",
                               pixel_format="rgb24"))  # fmt: skip
    assert (video.height, video.width, video.num_frames) == (*expected, 3)
    assert means(decode_all(video.data)[0]) == pytest.approx((188, 128, 128), abs=2)


def test_pixels_count_as_square() -> None:
    """Anamorphic pictures stay narrow, as other readers return them."""

    def prepare(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)

    data = encode_video(moving_pictures(3, 64, 64), prepare=prepare)
    with av.open(io.BytesIO(data), "r") as container:
        assert container.streams.video[0].sample_aspect_ratio == 2
    video = taken(data)
    assert (video.height, video.width) == (32, 32)


def test_an_extreme_aspect_is_over_the_limit() -> None:
    """A picture of 1 to 300 would be scaled to 32x9600."""
    ribbon = encode_video([np.zeros((2, 600, 3), np.uint8)] * 3, codec="png", container="mov", pixel_format="rgb24")
    error = refusal_of(ribbon)
    assert (error.reason, "9600x32" in error.detail) == (RefusalReason.OVER_LIMIT, True)


@pytest.mark.parametrize(
    ("codec", "container", "pixel_format"),
    [
        ("libx264", "mp4", "yuv420p10le"),
        ("libx264", "mp4", "yuv444p"),
        ("mjpeg", "avi", "yuvj422p"),
        ("ffv1", "matroska", "gray"),
        ("ffv1", "matroska", "gray16le"),
        ("ffv1", "matroska", "yuva444p10le"),
        ("ffv1", "matroska", "gbrp10le"),
        ("prores_ks", "mov", "yuv422p10le"),
        ("gif", "gif", "rgb8"),
        ("apng", "apng", "rgba"),
        ("libvpx-vp9", "webm", "yuv420p"),
        ("mpeg2video", "mpeg", "yuv420p"),
        ("wmv2", "asf", "yuv420p"),
        ("flv", "flv", "yuv420p"),
    ],
)
def test_white_is_white_in_every_format(codec: str, container: str, pixel_format: str) -> None:
    """Bit depth, subsampling, palettes, gray and full range all end in 8-bit 4:2:0 of limited range."""
    for level, expected in ((255, 235), (0, 16)):
        data = encode_video(plain((level,) * 3), codec=codec, container=container, pixel_format=pixel_format)
        video = taken(data)
        assert video.num_frames == 3
        assert means(decode_all(video.data)[1]) == pytest.approx((expected, 128, 128), abs=2)


@pytest.mark.parametrize(("codec", "container"), [("libx264", "mp4"), ("libvpx-vp9", "webm"), ("ffv1", "matroska")])
def test_full_range_is_compressed(codec: str, container: str) -> None:
    """Where the frames say that 255 is white, 235 is stored, whatever the name of the format."""
    planes = np.full((96, 64), 128, np.uint8)
    planes[:64] = 255

    def prepare(stream: Any) -> None:
        stream.codec_context.color_range = 2

    data = encode_video([planes] * 3, codec=codec, container=container, picture_format="yuv420p", prepare=prepare)
    assert means(decode_all(taken(data).data)[0]) == pytest.approx((235, 128, 128), abs=2)


@pytest.mark.parametrize("codec_and_container", [("png", "mov"), ("qtrle", "mov"), ("apng", "apng")])
def test_alpha_is_left_out(codec_and_container: tuple[str, str]) -> None:
    """The colours below are shown, however transparent: nothing is composited."""
    codec, container = codec_and_container
    pixel_format = "argb" if codec == "qtrle" else "rgba"
    colour = (0, 255, 0, 0) if codec == "qtrle" else (255, 0, 0, 0)
    data = encode_video(
        plain(colour), codec=codec, container=container, pixel_format=pixel_format, picture_format=pixel_format
    )
    assert means(decode_all(taken(data).data)[0]) == pytest.approx((81, 90, 240), abs=2)


def with_colour_space(number: int) -> bytes:
    def prepare(stream: Any) -> None:
        stream.codec_context.colorspace = number

    return encode_video(plain((255, 0, 0)), prepare=prepare)


@pytest.mark.parametrize("number", [0, 1, 4, 5, 6, 7, 9])
def test_known_colour_spaces_become_bt601(number: int) -> None:
    """The matrix that the frames name is undone: what was gray stays gray, whatever the matrix."""
    video = encode_video(plain((128, 128, 128)), prepare=lambda s: setattr(s.codec_context, "colorspace", number))
    assert means(decode_all(taken(video).data)[0]) == pytest.approx((126, 128, 128), abs=2)
    if number == 1:  # the encoder left the pixels as BT.601 has them: read as BT.709 they are another red
        luma = means(decode_all(taken(with_colour_space(1)).data)[0])[0]
        assert luma != pytest.approx(81, abs=2)


@pytest.mark.parametrize("number", [8, 14])
def test_an_unknown_colour_space_is_refused(number: int) -> None:
    """YCgCo and ICtCp have no conversion here: the video is refused by that name instead of taken in wrong colours."""
    error = refusal_of(with_colour_space(number))
    assert (error.reason, f"colour space {number}" in error.detail) == (RefusalReason.UNSUPPORTED, True)


def interlaced_pictures() -> list[np.ndarray]:
    """Each field shows its own instant of a texture that moves 6 pixels a field to the side: [288, 352, 3]."""
    texture = np.random.default_rng(0).integers(0, 256, (18, 30, 3), np.uint8).repeat(16, 0).repeat(16, 1)
    instants = [np.roll(texture, 6 * index, 1)[:288, :352] for index in range(12)]
    pictures = [top.copy() for top in instants[::2]]
    for picture, bottom in zip(pictures, instants[1::2], strict=True):
        picture[1::2] = bottom[1::2]
    return pictures


def comb_of(picture: np.ndarray) -> float:
    """How much each line differs from the mean of its neighbours."""
    luma = picture[: picture.shape[0] * 2 // 3].astype(float)
    return float(np.abs(luma[1:-1] - (luma[:-2] + luma[2:]) / 2).mean())


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_interlaced_frames_are_one_picture_each(codec: str) -> None:
    """Both fields are scaled together, as other readers do, and half the lines or less show no comb."""
    options = {
        "libx264": {"x264-params": "tff=1:mbtree=0", "crf": "10"},
        "mpeg2video": {"flags": "+ildct+ilme", "qscale": "2"},
    }[codec]
    flagged = encode_video(interlaced_pictures(), codec=codec, container="mpegts", options=options)
    woven = encode_video(interlaced_pictures(), options={"crf": "10", "mbtree": "0"})
    with av.open(io.BytesIO(flagged), "r") as container:
        assert next(container.decode(video=0)).interlaced_frame
    with open_video(flagged, short_side=128) as first, open_video(woven, short_side=128) as second:
        pairs = list(zip(first.frames, second.frames, strict=True))
    assert len(pairs) == 6
    for from_flagged, from_woven in pairs:
        assert luma_psnr(from_flagged, from_woven) > 30
        assert comb_of(from_flagged) < 1.2 * comb_of(from_woven)


def with_streams(*streams: tuple[str, list[np.ndarray], int], container: str = "matroska") -> bytes:
    """A file of several video streams: (codec, pictures, disposition) of each."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        encoders: list[Any] = []
        for codec, pictures, disposition in streams:
            stream: Any = output.add_stream(codec, rate=25)
            stream.height, stream.width = pictures[0].shape[:2]
            stream.pix_fmt = "rgb24" if codec == "png" else "yuv420p"
            stream.disposition = disposition
            encoders.append(stream)
        for stream, (_, pictures, _) in zip(encoders, streams, strict=True):
            for picture in pictures:
                output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            output.mux(stream.encode(None))
    return buffer.getvalue()


def test_of_several_streams_the_default_one_is_taken() -> None:
    """A stream that is marked as default is taken before others, whatever their order and size."""
    small, large = moving_pictures(5, 48, 64), moving_pictures(7, 96, 64)
    for first, second, expected in ((0, Disposition.default, 7), (Disposition.default, 0, 5)):
        data = with_streams(("libx264", small, int(first)), ("libx264", large, int(second)))
        assert taken(data).num_frames == expected


def with_sound(pictures: list[np.ndarray], container: str) -> bytes:
    """One video stream and four of silence."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        film: Any = output.add_stream("mpeg2video", rate=25)
        film.height, film.width = pictures[0].shape[:2]
        film.pix_fmt = "yuv420p"
        sounds: list[Any] = [output.add_stream("mp2", rate=48_000) for _ in range(4)]
        for picture in pictures:
            output.mux(film.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(film.encode(None))
        for sound in sounds:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 2304), np.int16), format="s16", layout="stereo")
            silence.rate, silence.pts = 48_000, 0
            output.mux([*sound.encode(silence), *sound.encode(None)])
    return buffer.getvalue()


@pytest.mark.parametrize("container", ["mpeg", "mpegts"])
def test_streams_that_appear_late_lose_nothing(container: str) -> None:
    """Recordings of which one in the middle, beyond what libav reads to learn what the file is, has sound."""
    constant = {"b": "6M", "minrate": "6M", "maxrate": "6M", "bufsize": "1M"}
    pictures = moving_pictures(180, 48, 64)
    silent = encode_video(pictures, codec="mpeg2video", container=container, options=constant)
    assert len(silent) > 5_000_000
    joined = silent + with_sound(pictures[:20], container) + silent
    with av.open(io.BytesIO(joined), "r") as opened:
        assert len(opened.streams) == 1
    assert taken(joined).num_frames == 380


def test_a_cover_is_not_a_video() -> None:
    """A still picture beside a film is passed over; alone, beside music, it makes no video."""
    cover = ("png", [np.zeros((200, 200, 3), np.uint8)], int(Disposition.attached_pic))
    film = ("libx264", moving_pictures(5, 48, 64), 0)
    assert taken(with_streams(cover, film, container="mp4")).num_frames == 5
    error = refusal_of(with_streams(cover, container="mp4"))
    assert (error.reason, "still picture" in error.detail) == (RefusalReason.NO_VIDEO_STREAM, True)


def test_a_codec_without_decoder_is_unsupported() -> None:
    """The file opens and names a codec that nobody knows."""
    data = encode_video(moving_pictures(5, 48, 64), codec="mpeg4", container="avi")
    assert refusal_of(data.replace(b"FMP4", b"QQQQ")).reason == RefusalReason.UNSUPPORTED


def test_a_change_of_size_is_scaled_to_the_first() -> None:
    """What begins in one size and goes on in another comes out in the first one's."""
    parts = [
        encode_video(plain((level,) * 3, *size), container="mpegts", options={"mbtree": "0", "bf": "0"})
        for level, size in ((200, (64, 96)), (50, (128, 96)))
    ]
    with open_video(b"".join(parts), short_side=32) as opened:
        assert [picture.shape for picture in opened.frames] == [(48, 48)] * 6
    video = taken(b"".join(parts))
    assert (video.height, video.width, video.num_frames) == (32, 48, 6)
    assert [round(means(picture)[0]) for picture in decode_all(video.data)] == pytest.approx(
        [188] * 3 + [59] * 3, abs=2
    )


def test_one_frame_is_too_short_unless_that_is_asked_for() -> None:
    """The least number of frames is a setting; by default two."""
    data = encode_video(moving_pictures(1, 48, 64))
    assert refusal_of(data).reason == RefusalReason.TOO_SHORT
    config = IngestConfig(source="-", output="-", short_side=32, min_num_frames=1)
    assert transcode(io.BytesIO(data), config).num_frames == 1


@pytest.mark.parametrize("seconds", [-0.4, 0, 7])
def test_times_may_begin_anywhere(seconds: float) -> None:
    """Negative first times and late ones lose no frame."""
    whole = encode_video(moving_pictures(20, 48, 64))
    options = {"avoid_negative_ts": "disabled"}
    data = mux_again(whole, "mpegts", shift_ticks=int(seconds * 12_800), options=options)
    with av.open(io.BytesIO(data), "r") as container:
        first = next(container.decode(video=0)).time
    assert first == pytest.approx(seconds, abs=0.01)
    assert taken(data).num_frames == 20


def test_frames_without_times_are_all_kept() -> None:
    """A bare H.264 stream has no container, no times and no number of frames."""
    data = encode_video(moving_pictures(20, 48, 64), container="h264")
    video = taken(data)
    assert (video.num_frames, video.facts.num_frames_promised) == (20, None)
    reference = decode_scaled(data, video.height, video.width)
    assert all(luma_psnr(a, b) > 28 for a, b in zip(decode_all(video.data), reference, strict=True))


def test_what_an_edit_list_hides_is_not_there() -> None:
    """A cut without encoding anew begins between key frames: the frames before are decoded, not shown, not missed."""
    whole = encode_video(moving_pictures(60, 48, 64), options={"g": "60", "bf": "2", "mbtree": "0"})
    data = mux_again(whole, "mp4", shift_ticks=-int(0.8 * 12_800), options={"avoid_negative_ts": "disabled"})
    video = taken(data)
    assert (video.num_frames, video.facts.num_frames_promised) == (40, 60)
    reference = decode_scaled(whole, video.height, video.width)[20:]
    assert all(luma_psnr(a, b) > 28 for a, b in zip(decode_all(video.data), reference, strict=True))


@pytest.mark.parametrize("container", ["mpegts", "matroska", "mp4"])
def test_a_stream_that_begins_between_key_frames(container: str) -> None:
    """What cannot be decoded before the first key frame is left out by the decoder; the rest is right or refused."""
    whole = encode_video(moving_pictures(60, 48, 64), container="mpegts", options={"g": "20", "mbtree": "0"})
    if container == "mpegts":
        packet_bytes = 188
        video = taken(whole[len(whole) // 3 // packet_bytes * packet_bytes :])
        assert 20 <= video.num_frames < 60
    else:
        error = refusal_of(mux_again(whole, container, first_packet=7))
        assert error.reason == RefusalReason.INCOMPLETE


def test_the_table_of_odd_videos_names_its_tests() -> None:
    """Every line of the table is held by tests that exist."""
    folder = Path(rspnet_platform.videos.__path__[0])
    rows = [line for line in (folder / "README.md").read_text().splitlines() if line.startswith("| ")][1:]
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert len(rows) >= 25
    for row in rows:
        names = re.findall(r"`(test_\w+)`", row)
        assert names, row
        assert all(f"def {name}(" in tests for name in names), row
