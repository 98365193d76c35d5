"""A download over HTTP that continues where an interrupted one stopped."""

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests
from tqdm.auto import tqdm
from urllib3.exceptions import HTTPError

from data_scripts._errors import DataError

_CHUNK = 2**16
_PASSING = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server, and how often to ask again.

    Attributes:
        connect_s: seconds to wait for a connection.
        read_s: seconds to wait for the next bytes.
        tries: attempts in a row that bring nothing new before giving up.
        pause_s: seconds before the second attempt; doubled before each further one.
    """

    connect_s: float = 15
    read_s: float = 60
    tries: int = 4
    pause_s: float = 1


@dataclass(frozen=True)
class Expected:
    """What is known of a file before it is fetched; None where nothing is.

    Attributes:
        n_bytes: size of the whole file.
        head_bytes: how many of the first bytes `head_md5` covers.
        head_md5: MD5 of those first bytes.
        max_bytes: a file above this size is not the one that is wanted.
    """

    n_bytes: int | None = None
    head_bytes: int = 2**20
    head_md5: str | None = None
    max_bytes: int = 2 * 2**30


class _PassingFailure(Exception):
    """The attempt failed in a way that may pass."""


class _WrongFile(DataError):
    """What arrives is not what is wanted, so no part of it is worth keeping."""


def download(url: str, target: Path, expected: Expected, patience: Patience) -> None:
    """Fetch `url` into the file `target`.

    What has arrived is kept in ``target.part``, and the server's name for this version of the file (its ETag) in
    ``target.part.json``; the next call goes on from there, if the server still has the same version.

    Raises:
        DataError: if the server cannot be reached, refuses, keeps failing, or sends another file than `expected`.
    """
    if target.is_file():
        return
    part = _Part(url, target, expected)
    try:
        _attempts(part, patience)
        part.finish()
    except _WrongFile:
        # Here, where the file is closed: Windows removes no open one, and would hide the reason.
        part.remove()
        raise
    finally:
        if not part.can_resume():
            part.remove()


def _attempts(part: "_Part", patience: Patience) -> None:
    """Ask until the part is complete, or until several attempts in a row have brought nothing new."""
    failures, most = 0, part.size()
    while True:
        try:
            _attempt(part, patience)
            return
        except _PassingFailure as error:
            # Only an attempt that got further than all before it earns new patience: a server that always
            # starts over and always breaks off must not keep us for ever.
            failures = 1 if part.size() > most else failures + 1
            most = max(most, part.size())
            if failures >= patience.tries:
                kept = f" ({part.size():,} bytes are kept)" if part.can_resume() else ""
                raise DataError(
                    f"{part.url} could not be fetched: {error}; run the same command again later{kept}"
                ) from error
            tqdm.write(f"{error}; trying again ({failures} of {patience.tries - 1})")
            time.sleep(patience.pause_s * 2 ** (failures - 1))


class _Part:
    """The unfinished file beside `target`, with what is needed to continue it."""

    def __init__(self, url: str, target: Path, expected: Expected) -> None:
        self.url, self.target, self.expected = url, target, expected
        self.path = target.with_name(f"{target.name}.part")
        self.note = target.with_name(f"{target.name}.part.json")

    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def etag(self) -> str | None:
        """The version that the part belongs to; None if it cannot be continued safely."""
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
            return note["etag"] if note["url"] == self.url else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def can_resume(self) -> bool:
        return self.size() > 0 and self.etag() is not None

    def start(self, etag: str | None) -> None:
        """Empty the part; note the version that is going to fill it."""
        self.remove()
        # A weak ETag promises the same meaning, not the same bytes: nothing to continue from.
        if etag is not None and not etag.startswith("W/"):
            self.note.write_text(json.dumps({"url": self.url, "etag": etag}), encoding="utf-8")

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def check_head(self) -> None:
        """Compare the first bytes with their published digest, as soon as they are there."""
        if self.expected.head_md5 is None or self.size() < self.expected.head_bytes:
            return
        with self.path.open("rb") as file:
            found = hashlib.md5(file.read(self.expected.head_bytes), usedforsecurity=False).hexdigest()
        if found != self.expected.head_md5:
            raise _WrongFile(
                f"{self.url} is not the published file: its first {self.expected.head_bytes:,} bytes have the MD5 "
                f"{found} instead of {self.expected.head_md5}; get the archive elsewhere and pass it with --from"
            )

    def check_size(self, n_bytes: int) -> None:
        """Refuse a file of another size than the published one."""
        wanted, limit = self.expected.n_bytes, self.expected.max_bytes
        if wanted is not None and n_bytes != wanted:
            raise _WrongFile(
                f"{self.url} is not the published file: it has {n_bytes:,} bytes instead of {wanted:,}; "
                "get the archive elsewhere and pass it with --from"
            )
        if n_bytes > limit:
            raise _WrongFile(
                f"{self.url} is not the wanted file: it has more than {limit:,} bytes; pass one with --from"
            )

    def finish(self) -> None:
        self.check_size(self.size())
        self.check_head()
        os.replace(self.path, self.target)
        self.note.unlink(missing_ok=True)


def _attempt(part: _Part, patience: Patience) -> None:
    """Ask once for what is missing, and append it to the part."""
    url, expected = part.url, part.expected
    part.check_head()
    have = part.size() if part.can_resume() else 0
    if expected.n_bytes is not None and have == expected.n_bytes:
        return
    # Ranges count bytes as sent, so compression on the way would make them meaningless.
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": part.etag()}
    with (
        _passing_failures(url),
        requests.get(url, headers=headers, stream=True, timeout=(patience.connect_s, patience.read_s)) as response,
    ):
        total = _accept(response, part, have)
        arrived = part.size()
        units = {"unit": "B", "unit_scale": True, "unit_divisor": 1024}
        bar = tqdm(desc="Downloading", initial=arrived, total=total, leave=False, **units)
        with part.path.open("ab") as file, bar:
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                file.flush()
                bar.update(len(chunk))
                if arrived < expected.head_bytes <= arrived + len(chunk):
                    part.check_head()
                arrived += len(chunk)
                if arrived > (expected.n_bytes or expected.max_bytes):
                    part.check_size(arrived)
    if total is not None and part.size() < total:
        raise _PassingFailure(f"the connection to {_host(url)} broke off at {part.size():,} of {total:,} bytes")


def _accept(response: requests.Response, part: _Part, have: int) -> int | None:
    """Check the server's answer, make the part ready for its bytes, and return the whole file's size, if known."""
    status = response.status_code
    if status in _PASSING:
        raise _PassingFailure(f"{_host(part.url)} answered {status} {response.reason}")
    if status == 416:
        part.remove()
        raise _PassingFailure(f"{_host(part.url)} could not continue at byte {have:,}, so it starts over")
    if status not in (200, 206):
        raise DataError(
            f"{part.url} cannot be fetched: the server answered {status} {response.reason}; "
            "get the archive elsewhere and pass it with --from"
        )
    if status == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != have:
            part.remove()
            raise _PassingFailure(f"{_host(part.url)} continued at another byte than {have:,}, so it starts over")
        total = None if match[2] == "*" else int(match[2])
    else:
        part.start(response.headers.get("ETag"))
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
    if total is not None:
        part.check_size(total)
    return total


@contextmanager
def _passing_failures(url: str) -> Iterator[None]:
    """Turn what the network does into a sentence; certificates and malformed addresses do not mend with time."""
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise DataError(f"{_host(url)} has no valid certificate: check the clock and the proxy settings") from error
    except requests.Timeout as error:
        raise _PassingFailure(f"{_host(url)} did not answer in time") from error
    except (requests.exceptions.ChunkedEncodingError, HTTPError) as error:
        raise _PassingFailure(f"the connection to {_host(url)} broke off") from error
    except requests.ConnectionError as error:
        reason = (
            "did not answer in time" if "Read timed out" in str(error) else "cannot be reached (is there a network?)"
        )
        raise _PassingFailure(f"{_host(url)} {reason}") from error
    except requests.RequestException as error:
        raise DataError(
            f"{url} cannot be fetched ({error}): get the archive elsewhere and pass it with --from"
        ) from error


def _host(url: str) -> str:
    return urlsplit(url).netloc
