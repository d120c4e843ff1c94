"""Uploads: their names are never paths, and they are read and saved as files are."""

import ntpath
import posixpath

import hypothesis.strategies as st
import pytest
import trio
from hypothesis import example, given

from finch.http.spool import IN_MEMORY, Spool
from finch.http.uploads import Upload, safe_filename

NAMES = {
    "photo.jpg": "photo.jpg",
    "größe 1.jpg": "größe 1.jpg",
    "../../etc/passwd": "passwd",
    "/etc/passwd": "passwd",
    "C:\\Users\\ada\\photo.jpg": "photo.jpg",
    "C:photo.jpg": "C_photo.jpg",
    "\\\\server\\share\\photo.jpg": "photo.jpg",
    "photo.jpg:hidden": "photo.jpg_hidden",
    "..": "",
    ".": "",
    "": "",
    "   ": "",
    "photo/": "",
    ".htaccess": "htaccess",
    "...": "",
    "photo.jpg. . ": "photo.jpg",
    "photo.jpg\0.exe": "photo.jpg.exe",
    "photo\r\nset-cookie: a=b.jpg": "photoset-cookie_ a=b.jpg",
    "photo\u202egpj.exe": "photogpj.exe",
    "con": "_con",
    "NUL.txt": "_NUL.txt",
    "com1.tar.gz": "_com1.tar.gz",
    "lpt¹": "_lpt¹",
    "console.txt": "console.txt",
    "-rf": "rf",
    "~": "",
    "<script>.html": "_script_.html",
    'a"b|c?d*': "a_b_c_d_",
    "e\u0301.txt": "é.txt",
    "x" * 300 + ".jpg": "x" * 196 + ".jpg",
    "ä" * 300: "ä" * 100,
    "a." + "b" * 300: "a." + "b" * 198,
}


@pytest.mark.parametrize("given_name", NAMES)
def test_a_clients_name_is_made_safe(given_name):
    assert safe_filename(given_name) == NAMES[given_name]


@given(st.text() | st.text(st.sampled_from("./\\:~-. \0aC\u202e\u3000")))
@example("%2e%2e%2fx")
@example(".\u200b.")
@example(". .")
@example("\u200b-.-.")
@example("a" * 220 + "." + "." * 10)
def test_a_name_is_never_a_path(name):
    safe = safe_filename(name)
    assert safe == posixpath.basename(safe) == ntpath.basename(safe)
    assert safe not in (".", "..")
    assert not safe.startswith((".", "-", "~", " "))
    assert not safe.endswith((".", " "))
    assert not ntpath.splitdrive(safe)[0]
    assert safe == " ".join(safe.split())
    assert len(safe.encode()) <= 201
    assert safe_filename(safe) == safe


@pytest.fixture(params=["in memory", "on disk"])
async def upload(request):
    """The second upload of a form."""
    spool = Spool()
    await spool.write(b"before")
    data = bytes(range(256)) * (1200 if request.param == "on disk" else 3)
    upload = Upload(spool, "a.bin", "image/png", start=6, size=len(data))
    await spool.write(data)
    await spool.write(b"behind")
    await spool.finish()
    assert spool.blocks == (len(data) > IN_MEMORY)
    upload_of.append(data)
    yield upload
    await spool.aclose()


upload_of = []


async def test_it_is_read_in_steps(upload):
    data = upload_of[-1]
    assert upload.size == len(data)
    assert await upload.read(10) == data[:10]
    assert await upload.read(5) == data[10:15]
    assert await upload.read() == data[15:]
    assert await upload.read() == await upload.read(3) == b""
    upload.seek(len(data) - 2)
    assert await upload.read(100) == data[-2:]
    upload.seek(-5)
    assert await upload.read(1) == data[:1]
    upload.seek(10**9)
    assert await upload.read() == b""


async def test_its_pieces_are_all_of_it_whatever_was_read_before(upload):
    await upload.read(7)
    pieces = [piece async for piece in upload]
    assert b"".join(pieces) == upload_of[-1]
    assert max(map(len, pieces)) <= 65536


async def test_it_is_saved(upload, tmp_path):
    await upload.read(7)
    path = await upload.save(tmp_path / "b.bin")
    assert path.read_bytes() == upload_of[-1]
    await upload.save(str(tmp_path / "c.bin"))
    assert sorted(one.name for one in tmp_path.iterdir()) == ["b.bin", "c.bin"]


async def test_it_replaces_no_file_unless_told_to(upload, tmp_path):
    path = tmp_path / "b.bin"
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        await upload.save(path)
    assert path.read_bytes() == b"old"
    await upload.save(path, overwrite=True)
    assert path.read_bytes() == upload_of[-1]
    assert [one.name for one in tmp_path.iterdir()] == ["b.bin"]


@pytest.mark.parametrize("overwrite", [False, True])
async def test_what_fails_leaves_nothing(upload, tmp_path, overwrite, monkeypatch):
    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(Spool, "copy", fail)
    with pytest.raises(OSError, match="full"):
        await upload.save(tmp_path / "b.bin", overwrite=overwrite)
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_is_no_place(upload, tmp_path):
    with pytest.raises(IsADirectoryError, match="folder / name"):
        await upload.save(tmp_path)
    with pytest.raises(FileNotFoundError):
        await upload.save(tmp_path / "nowhere" / "b.bin")
    with pytest.raises(TypeError, match="is saved to a path, not a bytes"):
        await upload.save(b"x")


async def test_libraries_get_a_file_object(upload):
    data = upload_of[-1]

    def use():
        with upload.open() as file:
            assert file.read(3) == data[:3]
            assert file.seek(-4, 2) == len(data) - 4
            assert file.read() == data[-4:]
            assert file.seek(0) == 0
            assert file.read() == data
            with pytest.raises(ValueError, match="before the beginning"):
                file.seek(-1)

    await trio.to_thread.run_sync(use)


async def test_it_says_what_it_is(upload):
    assert repr(upload) == f"<Upload 'a.bin' image/png of {upload.size} bytes>"


async def test_after_the_request_it_is_gone(upload, tmp_path):
    await upload._spool.aclose()
    for use in (upload.read, lambda: upload.save(tmp_path / "b"), aiter(upload).__anext__):
        with pytest.raises(ValueError, match="read or save an upload before the handler returns"):
            await use()
    with pytest.raises(ValueError, match="already answered"):
        upload.open().read()
    assert list(tmp_path.iterdir()) == []
