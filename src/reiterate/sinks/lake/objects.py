"""Files of a bucket, as pyiceberg reads and writes them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import AlreadyExistsError
from pyiceberg.io import FileIO, InputFile, InputStream, OutputFile, OutputStream

if TYPE_CHECKING:
    from types import TracebackType

    from reiterate.sinks.lake.bucket import Bucket

AHEAD_BYTES = 2**16
"""So much is fetched at once of a file that is read in parts."""


class Objects(FileIO):
    """All that is below the dataset's directory in a bucket, by its location."""

    def __init__(self, bucket: Bucket) -> None:
        super().__init__()
        self._bucket = bucket

    def new_input(self, location: str) -> InputFile:
        return Object(self._bucket, location)

    def new_output(self, location: str) -> OutputFile:
        return Object(self._bucket, location)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        self._bucket.remove(self._bucket.name_at(location if isinstance(location, str) else location.location))


class Object(InputFile, OutputFile):
    """A file of a bucket; it is there, whole, once what was created is closed."""

    def __init__(self, bucket: Bucket, location: str) -> None:
        super().__init__(location)
        self._bucket = bucket
        self._name = bucket.name_at(location)

    def __len__(self) -> int:
        return self._bucket.size(self._name)

    def exists(self) -> bool:
        return self._bucket.has(self._name)

    def open(self, seekable: bool = True) -> InputStream:  # noqa: ARG002 (as pyiceberg has it)
        if self._name.endswith(".parquet"):
            # of which only the end is wanted
            return io.BufferedReader(Parts(self._bucket, self._name), AHEAD_BYTES)
        return io.BytesIO(obstore.get(self._bucket.store, self._name).bytes())

    def to_input_file(self) -> InputFile:
        return self

    def create(self, overwrite: bool = False) -> OutputStream:
        return Upload(self._bucket, self._name, overwrite=overwrite)


class Parts(io.RawIOBase):
    """A file of which no more is fetched than is read."""

    def __init__(self, bucket: Bucket, name: str) -> None:
        super().__init__()
        self._bucket = bucket
        self._name = name
        self._size = bucket.size(name)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        length = min(len(buffer), self._size - self._at)
        if length <= 0:
            return 0
        found = obstore.get_range(self._bucket.store, self._name, start=self._at, length=length)
        buffer[:length] = memoryview(found)
        self._at += length
        return length


class Upload(io.BytesIO):
    """
    What is to be a file of a bucket, once it is closed without an error.

    :raises FileExistsError: when there is one by then, and it is not to be written over
    """

    def __init__(self, bucket: Bucket, name: str, *, overwrite: bool) -> None:
        super().__init__()
        self._bucket = bucket
        self._name = name
        self._overwrite = overwrite

    def close(self) -> None:
        if not self.closed:
            body = self.getvalue()
            super().close()
            try:
                self._bucket.put(self._name, body, mode="overwrite" if self._overwrite else "create")
            except AlreadyExistsError as error:
                raise FileExistsError(self._name) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind:
            super().close()
        self.close()
