"""Reads weight files as data: PyTorch files (zip and legacy format), caffemodels, ONNX is left to onnx itself.

Nothing from a file is ever executed. A PyTorch file is a pickle, and a pickle can name any function and have it called; the
reader here knows the half dozen names that a file of tensors needs, gives its own harmless stand-ins for them and refuses
every other name. torch.load is not used. Knows nothing about networks.
"""
import collections
import io
import math
import pickle
import struct
import zipfile

import numpy as np


class Refused(Exception):
    """An expected failure: a sentence that says what was expected, what came and what to do."""


DTYPES = {
    "FloatStorage": np.dtype("<f4"), "DoubleStorage": np.dtype("<f8"), "HalfStorage": np.dtype("<f2"), "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"), "ShortStorage": np.dtype("<i2"), "CharStorage": np.dtype("i1"), "ByteStorage": np.dtype("u1"), "BoolStorage": np.dtype("?"),
}

# Settings, counters and optimizer states that training checkpoints carry beside their weights: these names give empty shells,
# what they stand for is never imported or called.
INERT = {
    ("argparse", "Namespace"), ("cox.utils", "Parameters"), ("torch", "device"), ("torch", "Size"), ("collections", "defaultdict"),
    ("torch.optim.lr_scheduler", "StepLR"), ("torch.optim.lr_scheduler", "LambdaLR"), ("torch.optim.sgd", "SGD"), ("dill._dill", "_load_type"),
    ("_codecs", "encode"), ("numpy", "dtype"), ("numpy.core.multiarray", "scalar"), ("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("builtins", "set"), ("__builtin__", "set"),
}


class Shell:
    """Stands for an object that is not needed; takes whatever a pickle gives it and does nothing."""

    def __init__(self, *_args, **_kwargs):
        pass

    def __setstate__(self, _state):
        pass

    def __setitem__(self, _key, _value):
        pass

    def __call__(self, *_args, **_kwargs):
        return self

    def append(self, _item):
        pass

    def extend(self, _items):
        pass


class Storage:
    """A run of numbers in the file, bytes read when a tensor needs them."""

    def __init__(self, dtype, count, read):
        self.dtype, self.count, self._read, self._values = dtype, count, read, None

    def values(self):
        if self._values is None:
            data = self._read()
            wanted = self.count * self.dtype.itemsize
            if len(data) != wanted:
                raise Refused(f"Expected {wanted} bytes for a tensor's numbers, got {len(data)}. The file is truncated: get it again.")
            self._values = np.frombuffer(data, self.dtype)
        return self._values


class Pending:
    """A tensor whose numbers may come later in the file (legacy format)."""

    def __init__(self, storage, offset, shape, stride):
        if not isinstance(storage, Storage):
            raise Refused("A tensor of the file names no storage. The file is damaged: get it again.")
        numbers = [offset, *shape, *stride]
        if len(shape) != len(stride) or any(not isinstance(n, int) or n < 0 for n in numbers):
            raise Refused("A tensor of the file has an impossible shape. The file is damaged: get it again.")
        last = offset + sum((n - 1) * step for n, step in zip(shape, stride)) if all(shape) else offset
        if all(shape) and last >= storage.count:
            raise Refused("A tensor of the file reaches beyond its numbers. The file is damaged: get it again.")
        self.storage, self.offset, self.shape, self.stride = storage, offset, tuple(shape), tuple(stride)

    def array(self):
        values = self.storage.values()
        strides = tuple(step * values.itemsize for step in self.stride)
        view = np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, strides, writeable=False)
        return np.array(view)


def _rebuild_tensor(storage, offset, shape, stride, *_rest):
    return Pending(storage, offset, shape, stride)


def _rebuild_parameter(tensor, *_rest):
    return tensor


class StorageType:
    def __init__(self, dtype):
        self.dtype = dtype


ALLOWED = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
}


class SafeUnpickler(pickle.Unpickler):
    """Answers the names that tensors need with stand-ins and refuses all others before anything is called."""

    def __init__(self, stream, load_storage):
        super().__init__(stream, encoding="latin1")
        self.load_storage = load_storage

    def find_class(self, module, name):
        if (module, name) in ALLOWED:
            return ALLOWED[module, name]
        if module in ("torch", "torch.cuda", "torch.storage") and name in DTYPES:
            return StorageType(DTYPES[name])
        if (module, name) in INERT:
            return Shell
        raise Refused(
            f'The file wants to run "{module}.{name}", which a file of weights has no need for; nothing of it was run. '
            "Get the weights as a state dict from the official address, or save them again with torch.save(model.state_dict(), ...)."
        )

    def persistent_load(self, pid):
        return self.load_storage(pid)


def _unpickle(stream, load_storage):
    try:
        return SafeUnpickler(stream, load_storage).load()
    except Refused:
        raise
    except RecursionError:
        raise Refused("The file is nested too deeply to be one of weights. Get it again.") from None
    except Exception as error:  # noqa: BLE001 - a damaged pickle fails in a dozen ways
        raise Refused(f"The file does not read as a PyTorch file ({type(error).__name__}: {error}). It is truncated or damaged: get it again.") from None


def _storage_of(pid, read):
    if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage" or not isinstance(pid[1], StorageType) or not isinstance(pid[4], int):
        raise Refused("A tensor of the file has no known kind of numbers. Save the weights again in float32.")
    return Storage(pid[1].dtype, pid[4], read)


def _read_zip(archive):
    names = set(archive.namelist())
    if any(name.endswith("/constants.pkl") for name in names):
        raise Refused("The file is a TorchScript program, not a file of weights; it is not run. Get the state dict instead.")
    roots = [name[: -len("data.pkl")] for name in names if name.endswith("data.pkl")]
    if len(roots) != 1:
        raise Refused("Expected one data.pkl in the PyTorch file, found " + str(len(roots)) + ". Get the file again.")
    root, storages = roots[0], {}
    if root + "byteorder" in names and archive.read(root + "byteorder") != b"little":
        raise Refused("The file was written on a big-endian machine. Save it again on another one.")

    def load_storage(pid):
        key = pid[2] if isinstance(pid, tuple) and len(pid) > 2 else None
        if key not in storages:
            storages[key] = _storage_of(pid, lambda: archive.read(f"{root}data/{key}"))
        return storages[key]

    return _unpickle(io.BytesIO(archive.read(root + "data.pkl")), load_storage)


def _read_legacy(stream):
    """Magic number, protocol, system, the object, the keys of the storages, then each storage's count and numbers."""
    storages = {}

    def load_storage(pid):
        key = pid[2] if isinstance(pid, tuple) and len(pid) > 2 else None
        if key not in storages:
            storages[key] = _storage_of(pid, lambda: b"")
        view = pid[5] if len(pid) > 5 else None
        if view is not None:
            raise Refused("The file shares numbers between tensors in a way of PyTorch before 0.4. Save it again with a newer one.")
        return storages[key]

    for expected in (0x1950A86A20F9469CFC6C, 1001, None):
        found = _unpickle(stream, load_storage)
        if expected is not None and found != expected:
            raise Refused("The file does not begin as a PyTorch file does. It is of another kind or damaged: get it again.")
    thing = _unpickle(stream, load_storage)
    for key in _unpickle(stream, load_storage):
        if key not in storages:
            raise Refused("The file holds numbers that no tensor names. It is damaged: get it again.")
        storage = storages[key]
        head = stream.read(8)
        count = struct.unpack("<q", head)[0] if len(head) == 8 else -1
        data = stream.read(storage.count * storage.dtype.itemsize)
        if count != storage.count or len(data) != storage.count * storage.dtype.itemsize:
            raise Refused("The file ends inside a tensor's numbers. It is truncated: get it again.")
        storage._read = lambda data=data: data
    return thing


def read_torch(path):
    """The pickled object of a PyTorch file with numpy arrays in place of tensors, whatever else was in it as empty shells."""
    with open(path, "rb") as file:
        head = file.read(4)
        file.seek(0)
        try:
            if head[:4] == b"PK\x03\x04":
                with zipfile.ZipFile(file) as archive:
                    return _settle(_read_zip(archive))
            return _settle(_read_legacy(io.BufferedReader(file)))
        except (zipfile.BadZipFile, KeyError, EOFError, zipfile.LargeZipFile) as error:
            raise Refused(f"The file does not read as a PyTorch file ({error}). It is truncated or damaged: get it again.") from None


def _settle(thing, depth=0):
    if isinstance(thing, Pending):
        return thing.array()
    if isinstance(thing, dict) and depth < 6:
        return {key: _settle(value, depth + 1) for key, value in thing.items()}
    if isinstance(thing, (list, tuple)) and depth < 6:
        return [_settle(value, depth + 1) for value in thing]
    return thing


def read_state_dict(path, prefixes=("module.model.", "module.", "model.", "generator.G.", "G.")):
    """Name -> float array: the file's state dict, wherever a training script put it, without the wrappers' prefix."""
    thing = read_torch(path)
    for key in ("state_dict", "model_state_dict", "model", "params"):
        if isinstance(thing, dict) and isinstance(thing.get(key), dict):
            thing = thing[key]
            break
    if not isinstance(thing, dict):
        raise Refused(f"Expected a state dict in {path}, got {type(thing).__name__}. Save the weights with torch.save(model.state_dict(), ...).")
    found = {name: value for name, value in thing.items() if isinstance(name, str) and isinstance(value, np.ndarray)}
    if not found:
        raise Refused(f"Expected tensors in {path}, found none. Get the file of weights, not of settings.")
    for prefix in prefixes:
        inside = {name[len(prefix) :]: value for name, value in found.items() if name.startswith(prefix)}
        if inside:
            return check_numbers(inside), {name: value for name, value in found.items() if not name.startswith(prefix)}
    return check_numbers(found), {}


def check_numbers(weights):
    for name, values in weights.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise Refused(f'The weight "{name}" holds NaN or infinite values. The file is damaged or its training diverged: get it again.')
    return {name: values.astype(np.float32) if values.dtype.kind == "f" else values for name, values in weights.items()}


# ----------------------------------------------------------------------------------------------------------------
# Caffe. Field numbers: caffe.proto (NetParameter: layers 2, layer 100; V1LayerParameter: name 4, blobs 6; LayerParameter:
# name 1, blobs 7; BlobProto: num, channels, height, width 1 to 4, data 5, shape 7, double_data 8; BlobShape: dim 1).


def _varint(data, at):
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Refused("The caffemodel ends inside a number. It is truncated or of another kind: get it again.")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _fields(data):
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = data[at : at + size], at + size
        elif kind == 2:
            size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
            if len(value) != size:
                raise Refused(f"The caffemodel ends inside a field of {size} bytes. It is truncated: get it again.")
        else:
            raise Refused("The file does not read as a caffemodel. It is of another kind: get the official release.")
        if at > len(data):
            raise Refused("The caffemodel ends inside a field. It is truncated: get it again.")
        yield tag >> 3, kind, value


def _blob(data):
    shape, legacy, parts, dtype = None, {}, [], np.dtype("<f4")
    for number, kind, value in _fields(data):
        if number == 7 and kind == 2:
            shape = []
            for inner, inner_kind, dim in _fields(value):
                if inner != 1:
                    continue
                if inner_kind == 0:
                    shape.append(dim)
                else:
                    at = 0
                    while at < len(dim):
                        size, at = _varint(dim, at)
                        shape.append(size)
        elif number in (1, 2, 3, 4) and kind == 0:
            legacy[number] = value
        elif number == 5:
            parts.append(bytes(value))
        elif number == 8:
            parts.append(bytes(value))
            dtype = np.dtype("<f8")
    if shape is None:
        shape = [legacy.get(number, 1) for number in (1, 2, 3, 4)]
    values = b"".join(parts)
    if len(values) != math.prod(shape) * dtype.itemsize:
        raise Refused(f"Expected {math.prod(shape)} numbers in a blob of the caffemodel, got {len(values) // dtype.itemsize}. It is truncated: get it again.")
    return np.frombuffer(values, dtype).astype(np.float32).reshape(shape)


def read_caffemodel(data):
    """Layer name -> list of blobs, of the layers that have any."""
    layers = {}
    for number, kind, value in _fields(memoryview(data)):
        if kind != 2 or number not in (2, 100):
            continue
        name_field, blob_field = (4, 6) if number == 2 else (1, 7)
        name, blobs = "", []
        for inner, inner_kind, content in _fields(value):
            if inner_kind == 2 and inner == name_field:
                name = bytes(content).decode("utf8", "replace")
            elif inner_kind == 2 and inner == blob_field:
                blobs.append(_blob(content))
        if blobs:
            layers[name] = blobs
    if not layers:
        raise Refused("Expected layers with weights in the caffemodel, found none. Get the .caffemodel, not the .prototxt.")
    return layers
