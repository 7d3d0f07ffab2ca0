"""Makes the seeds in corpus/archive: small archives of each kind, whole and hostile."""

import gzip
import io
import pathlib
import stat
import tarfile
import zipfile

FOLDER = pathlib.Path(__file__).parent / "archive"
FILES = [("train/a/1.txt", b"alpha"), ("val/caf\u00e9/2.txt", b"beta " * 60), ("b/empty", b"")]


def tar(format, extra=()):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for name, data in FILES:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for member in extra:
            archive.addfile(member)
    data = out.getvalue().rstrip(b"\0")
    return data + bytes(-len(data) % 512 + 1024)


def odd(kind, name="train/odd", target=""):
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = target
    return [member]


class Unseekable(io.BytesIO):
    """Makes zipfile write sizes behind the data, as a pipe does."""

    def seekable(self):
        return False

    def tell(self):
        raise OSError

    def seek(self, *args):
        raise OSError


def zip_of(compression, stream=False, mode=None, names=FILES):
    out = Unseekable() if stream else io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in names:
            info = zipfile.ZipInfo(name)
            info.compress_type = compression
            if mode:
                info.create_system = 3
                info.external_attr = mode << 16
            archive.writestr(info, data)
    return out.getvalue()


def seeds():
    ustar = tar(tarfile.USTAR_FORMAT)
    deflated = zip_of(zipfile.ZIP_DEFLATED)
    yield "ustar", ustar
    yield "pax", tar(tarfile.PAX_FORMAT)
    yield "gnu", tar(tarfile.GNU_FORMAT, odd(tarfile.REGTYPE, "train/" + "long/" * 40 + "x"))
    yield "gzip", gzip.compress(ustar, mtime=0)
    yield "gzip_twice", gzip.compress(ustar[:700], mtime=0) + gzip.compress(ustar[700:], mtime=0)
    yield "tar_symlink", tar(tarfile.GNU_FORMAT, odd(tarfile.SYMTYPE, target="/etc/passwd"))
    yield "tar_hardlink", tar(tarfile.GNU_FORMAT, odd(tarfile.LNKTYPE, target="train/a/1.txt"))
    yield "tar_device", tar(tarfile.GNU_FORMAT, odd(tarfile.CHRTYPE))
    yield "tar_parent", tar(tarfile.GNU_FORMAT, odd(tarfile.REGTYPE, "a/../../x"))
    yield "tar_absolute", tar(tarfile.GNU_FORMAT, odd(tarfile.REGTYPE, "/x"))
    yield "tar_cut", ustar[:1300]
    yield "tar_empty", bytes(1024)
    yield "zip_deflated", deflated
    yield "zip_stored", zip_of(zipfile.ZIP_STORED)
    yield "zip_streamed", zip_of(zipfile.ZIP_DEFLATED, stream=True)
    yield "zip_symlink", zip_of(zipfile.ZIP_STORED, mode=stat.S_IFLNK | 0o777)
    yield "zip_parent", zip_of(zipfile.ZIP_STORED, names=[("../x", b"x")])
    yield "zip_empty", zip_of(zipfile.ZIP_STORED, names=[])
    yield "zip_cut", deflated[: len(deflated) - 40]
    yield "zip_folder", zip_of(zipfile.ZIP_STORED, names=[("train/", b""), *FILES])


FOLDER.mkdir(exist_ok=True)
for name, data in seeds():
    (FOLDER / name).write_bytes(data)
