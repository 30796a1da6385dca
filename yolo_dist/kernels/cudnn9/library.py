"""``libcudnn`` itself: its version, descriptors, and its functions by name."""
import ctypes
import functools

_DATA_TYPES = {'f': 0, 'd': 1, 'e': 2}
_NOT_PROPAGATE_NAN = 0
_LEAST_VERSION = 90000

_ONE = {'f': ctypes.c_float(1), 'd': ctypes.c_double(1)}
_ZERO = {'f': ctypes.c_float(0), 'd': ctypes.c_double(0)}

_library = None


def load():
    """Load the frontend, and the library as it has found it.

    Raises:
        ImportError: If one is missing, or older than cuDNN 9.
    """
    global _library
    try:
        import cudnn
        found = cudnn.backend_version()
        if found < _LEAST_VERSION:
            raise ImportError(f'cuDNN {found} is too old, 9.0 is needed')
        # Loaded by now, from wherever the frontend looked; found again by its soname.
        _library = ctypes.CDLL('libcudnn.so.9')
    except (OSError, RuntimeError, AttributeError) as error:
        raise ImportError(f'nvidia-cudnn-frontend finds no cuDNN 9: {error}') from error
    _library.cudnnGetVersion.restype = ctypes.c_size_t
    _library.cudnnGetErrorString.restype = ctypes.c_char_p


def version():
    """Version of the library, such as 92800."""
    return int(_library.cudnnGetVersion())


class CudnnError(RuntimeError):
    """A function of cuDNN did not succeed."""


def call(name, *arguments):
    """Call a function of the library.

    Args:
        name (str): Its name.
        *arguments: ctypes objects; ints are addresses or descriptors, ``None`` is NULL.

    Raises:
        CudnnError: With what cuDNN says.
    """
    status = getattr(_library, name)(*(
        ctypes.c_void_p(argument) if isinstance(argument, int) else argument
        for argument in arguments))
    if status != 0:
        reason = _library.cudnnGetErrorString(ctypes.c_int(status)).decode()
        raise CudnnError(f'{name}: {reason}')


def size_from(name, *arguments):
    """Call a function whose last argument returns a size, in bytes."""
    size = ctypes.c_size_t()
    call(name, *arguments, ctypes.byref(size))
    return size.value


def one(dtype):
    """Address of the factor 1, in the precision that a function blends arrays of a dtype in."""
    return ctypes.byref(_ONE['d' if dtype.char == 'd' else 'f'])


def zero(dtype):
    """Like :func:`one`, of the factor 0."""
    return ctypes.byref(_ZERO['d' if dtype.char == 'd' else 'f'])


def _create(kind):
    descriptor = ctypes.c_void_p()
    call(f'cudnnCreate{kind}Descriptor', ctypes.byref(descriptor))
    return descriptor.value


# A run has a few hundred of them; they live on the host and belong to no device.
@functools.cache
def tensor(dtype_char, dims, strides):
    """Descriptor of a tensor.

    Args:
        dtype_char ({'e', 'f', 'd'}): NumPy's character of the dtype.
        dims (tuple of int): ``(N, C, H, W)``.
        strides (tuple of int): Of these four, in elements.

    Returns:
        int: The descriptor.
    """
    descriptor = _create('Tensor')
    call('cudnnSetTensor4dDescriptorEx', descriptor, ctypes.c_int(_DATA_TYPES[dtype_char]),
         *map(ctypes.c_int, (*dims, *strides)))
    return descriptor


@functools.cache
def normalization(x, mode):
    """Descriptor of scale, shift, mean and variance for a tensor's descriptor and a mode."""
    descriptor = _create('Tensor')
    call('cudnnDeriveBNTensorDescriptor', descriptor, x, ctypes.c_int(mode))
    return descriptor


@functools.cache
def pooling(mode, window, pad, stride):
    """Descriptor of two-dimensional pooling; all but the mode are pairs (vertical, horizontal)."""
    descriptor = _create('Pooling')
    call('cudnnSetPooling2dDescriptor', descriptor, ctypes.c_int(mode),
         ctypes.c_int(_NOT_PROPAGATE_NAN), *map(ctypes.c_int, (*window, *pad, *stride)))
    return descriptor


@functools.cache
def activation(mode, coefficient):
    """Descriptor of an activation; the coefficient is the ceiling of a clipped ReLU."""
    descriptor = _create('Activation')
    call('cudnnSetActivationDescriptor', descriptor, ctypes.c_int(mode),
         ctypes.c_int(_NOT_PROPAGATE_NAN), ctypes.c_double(coefficient))
    return descriptor


def raw_handle(handle):
    """Return the frontend's handle as the address that the library knows it by."""
    return getattr(handle, 'backend_handle', handle)
