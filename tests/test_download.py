"""The resumable download, against a local server that breaks off, stalls, lies and forgets."""

import hashlib
import os
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_scripts._download import Expected, Patience, download
from data_scripts._errors import DataError
from tests.damaged_server import serving

BODY = np.random.default_rng(1).bytes(300_000)
QUICK = Patience(connect_s=5, read_s=10, tries=3, pause_s=0.001)
IMPATIENT = replace(QUICK, read_s=0.5)


def first_byte_asked(headers):
    match = re.fullmatch(r"bytes=(\d+)-", headers.get("Range", ""))
    return int(match[1]) if match else 0


def leftovers(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir())


def test_a_whole_file_arrives_in_one_request(tmp_path):
    with serving(BODY) as server:
        download(server.url, tmp_path / "file", Expected(len(BODY)), QUICK)
        assert [first_byte_asked(headers) for headers in server.asked] == [0]
    assert (tmp_path / "file").read_bytes() == BODY
    assert leftovers(tmp_path) == ["file"]


@pytest.mark.parametrize("fault", ["cut", "stall", "no length"])
def test_a_broken_download_goes_on_where_it_stopped(tmp_path, fault):
    with serving(BODY, (fault, 200_000)) as server:
        download(server.url, tmp_path / "file", Expected(), IMPATIENT if fault == "stall" else QUICK)
        starts = [first_byte_asked(headers) for headers in server.asked]
        assert server.asked[1]["If-Range"] == server.etag
    assert (tmp_path / "file").read_bytes() == BODY
    assert starts[0] == 0 and 100_000 < starts[1] <= 200_000 and len(starts) == 2


def test_the_next_run_goes_on_where_the_last_one_gave_up(tmp_path):
    with serving(BODY, ("cut", 200_000), *[("status", 503)] * 3) as server:
        with pytest.raises(DataError, match=r"503 .*bytes are kept"):
            download(server.url, tmp_path / "file", Expected(), QUICK)
        assert leftovers(tmp_path) == ["file.part", "file.part.json"]
        kept = (tmp_path / "file.part").stat().st_size
        download(server.url, tmp_path / "file", Expected(), QUICK)
        assert first_byte_asked(server.asked[-1]) == kept > 0
    assert (tmp_path / "file").read_bytes() == BODY
    assert leftovers(tmp_path) == ["file"]


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.tuples(st.sampled_from(["cut", "no length"]), st.integers(1, 200_000)), max_size=2))
def test_the_bytes_are_the_same_wherever_it_breaks(tmp_path_factory, cuts):
    folder = tmp_path_factory.mktemp("cuts")
    with serving(BODY, *cuts) as server:
        download(server.url, folder / "file", Expected(len(BODY)), QUICK)
    assert (folder / "file").read_bytes() == BODY


@pytest.mark.parametrize("fault", [("ignore range",), ("shifted range",), ("status", 416)])
def test_a_server_that_cannot_continue_makes_it_start_over(tmp_path, fault):
    with serving(BODY, ("cut", 200_000), fault) as server:
        download(server.url, tmp_path / "file", Expected(len(BODY)), QUICK)
        assert first_byte_asked(server.asked[1]) > 0
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_part_of_another_version_is_not_continued(tmp_path):
    with serving(BODY[::-1], ("cut", 200_000), *[("status", 500)] * 3, etag='"old"') as server:
        with pytest.raises(DataError):
            download(server.url, tmp_path / "file", Expected(), QUICK)
        server.body, server.etag = BODY, '"new"'
        download(server.url, tmp_path / "file", Expected(), QUICK)
        assert server.asked[-1]["If-Range"] == '"old"'
    assert (tmp_path / "file").read_bytes() == BODY


@pytest.mark.parametrize(("fault", "etag"), [("no etag", '"strong"'), ("cut", 'W/"weak"')])
def test_without_a_strong_version_nothing_is_continued(tmp_path, fault, etag):
    faults = [("no etag",), ("status", 500)] if fault == "no etag" else [("cut", 200_000)]
    with serving(BODY, *faults, etag=etag) as server:
        if fault == "no etag":
            (tmp_path / "file.part").write_bytes(BODY[:1000])
        download(server.url, tmp_path / "file", Expected(), QUICK)
        assert all("Range" not in headers for headers in server.asked)
    assert (tmp_path / "file").read_bytes() == BODY


def test_a_part_that_cannot_be_continued_is_not_kept(tmp_path):
    with serving(BODY, ("cut, no etag", 200_000), *[("status", 500)] * 3) as server:
        with pytest.raises(DataError, match=r"later$"):
            download(server.url, tmp_path / "file", Expected(), QUICK)
        assert len(server.asked) > 1
    assert leftovers(tmp_path) == []


def test_a_server_that_always_starts_over_and_breaks_off_is_left(tmp_path):
    with serving(BODY, *[("cut", 200_000)] * 50, etag='W/"weak"') as server:
        with pytest.raises(DataError, match="broke off"):
            download(server.url, tmp_path / "file", Expected(), QUICK)
        assert len(server.asked) <= 4


def test_a_slow_server_is_named_after_a_few_tries(tmp_path):
    with serving(BODY, *[("stall", 0)] * 3) as server:
        with pytest.raises(DataError, match=r"127\.0\.0\.1:\d+ did not answer in time"):
            download(server.url, tmp_path / "file", Expected(), IMPATIENT)
        assert len(server.asked) == 3


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (403, 1), (500, 3), (503, 3)])
def test_error_answers_are_named_and_only_passing_ones_asked_again(tmp_path, status, requests):
    with serving(BODY, *[("status", status)] * 9) as server:
        with pytest.raises(DataError, match=str(status)):
            download(server.url, tmp_path / "file", Expected(), QUICK)
        assert len(server.asked) == requests
    assert leftovers(tmp_path) == []


def test_a_file_of_another_size_is_refused_before_it_is_fetched(tmp_path):
    with serving(BODY) as server, pytest.raises(DataError, match="300,000 bytes instead of 299,999"):
        download(server.url, tmp_path / "file", Expected(len(BODY) - 1), QUICK)
    assert leftovers(tmp_path) == []


def test_an_endless_file_is_refused(tmp_path):
    with serving(BODY, ("no length", len(BODY))) as server, pytest.raises(DataError, match="more than 100,000 bytes"):
        download(server.url, tmp_path / "file", Expected(max_bytes=100_000), QUICK)
    assert leftovers(tmp_path) == []


def test_the_digest_of_the_head_is_checked_as_soon_as_the_head_is_there(tmp_path):
    right = hashlib.md5(BODY[:1000]).hexdigest()
    with serving(BODY) as server:
        download(server.url, tmp_path / "file", Expected(len(BODY), 1000, right), QUICK)
    assert (tmp_path / "file").read_bytes() == BODY

    other = bytes([BODY[0] ^ 1]) + BODY[1:]
    with serving(other, ("stall", 100_000)) as server:  # the rest never comes, and is not waited for
        with pytest.raises(DataError, match=f"first 1,000 bytes have the MD5 .* instead of {right}"):
            download(server.url, tmp_path / "other", Expected(len(BODY), 1000, right), QUICK)
        assert len(server.asked) == 1
    assert leftovers(tmp_path) == ["file"]


@pytest.mark.parametrize("wrong", ["head", "size"])
def test_a_wrong_file_is_removed_when_it_is_closed_as_windows_demands(tmp_path, monkeypatch, wrong):
    unlink = Path.unlink

    def unlink_closed(path, missing_ok=False):
        if path.exists() and is_open(path):
            raise PermissionError(f"{path} is open")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink_closed)
    expected = Expected(head_bytes=1000, head_md5="0" * 32) if wrong == "head" else Expected(max_bytes=100_000)
    says = "first 1,000 bytes have the MD5" if wrong == "head" else "more than 100,000 bytes"
    with serving(BODY, ("no length", len(BODY))) as server, pytest.raises(DataError, match=says):
        download(server.url, tmp_path / "file", expected, QUICK)
    assert leftovers(tmp_path) == []


def is_open(path):
    """Whether this process holds the file open."""
    for number in range(256):
        with suppress(OSError):
            if os.path.samestat(os.fstat(number), path.stat()):
                return True
    return False


def test_a_closed_port_and_an_unknown_host_are_named(tmp_path):
    with serving(BODY) as server:
        closed = server.url
    for url in (closed, "http://nowhere.invalid/camvid.zip"):
        with pytest.raises(DataError, match="cannot be reached"):
            download(url, tmp_path / "file", Expected(), QUICK)
    assert leftovers(tmp_path) == []
