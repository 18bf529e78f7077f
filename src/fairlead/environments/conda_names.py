"""What conda calls otherwise than package indexes do, and what only conda has. Short on purpose: other names are taken as they stand, with a notice."""

from __future__ import annotations

ONLY_CONDA = frozenset((
    "_libgcc_mutex", "_openmp_mutex", "binutils", "blas", "bzip2", "c-ares", "ca-certificates", "compilers", "cuda", "cuda-runtime", "cuda-toolkit",
    "cudatoolkit", "cudnn", "freetype", "gcc", "gcc_linux-64", "gxx", "gxx_linux-64", "icu", "intel-openmp", "jpeg", "krb5", "ld_impl_linux-64", "libblas",
    "libcblas", "libcurl", "libedit", "libev", "libffi", "libgcc", "libgcc-ng", "libgfortran", "libgfortran-ng", "libgomp", "liblapack", "libnghttp2",
    "libopenblas", "libpng", "libsodium", "libssh2", "libstdcxx-ng", "libtiff", "libuuid", "libuv", "libwebp", "libxml2", "libxgboost", "libzlib",
    "llvm-openmp", "lz4-c", "mkl", "mkl-service", "mkl_fft", "mkl_random", "nccl", "ncurses", "openblas", "openjdk", "openmpi", "openssl", "perl",
    "_py-xgboost-mutex", "pthread-stubs", "python_abi", "pytorch-cuda", "pytorch-mutex", "r-base", "readline", "sqlite", "tk", "xz", "yaml", "zeromq", "zlib",
    "zstd",
))  # fmt: skip
OTHERWISE_CALLED = {
    "dask-core": "dask",
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "py-lightgbm": "lightgbm",
    "py-xgboost": "xgboost",
    "pytables": "tables",
    "python-graphviz": "graphviz",
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "seaborn-base": "seaborn",
    "xgboost-base": "xgboost",
}
SEVERAL = {
    "opencv": "opencv-python-headless or opencv-python",
    "py-opencv": "opencv-python-headless or opencv-python",
    "faiss": "faiss-cpu",
    "cupy-core": "cupy-cuda12x",
}
INSTALLERS = frozenset(("pip", "wheel", "conda", "mamba", "uv"))
