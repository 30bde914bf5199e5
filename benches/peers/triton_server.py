"""Starts the Triton of the wheel `nvidia-pytriton` with `triton_model.py`, dynamic batching on.

  python triton_server.py MODEL PORT INSTANCES FOLDER
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

CONFIG = """
name: "mlp"
backend: "python"
max_batch_size: 256
input [ { name: "X" data_type: TYPE_FP32 dims: [ 30 ] } ]
output [ { name: "score" data_type: TYPE_FP32 dims: [ 1 ] } ]
instance_group [ { kind: KIND_CPU count: %s } ]
dynamic_batching { }
"""


def main(model: str, port: str, instances: str, folder: str) -> None:
    packages = Path(sysconfig.get_paths()["purelib"])
    triton = packages / "pytriton" / "tritonserver"
    stub = triton / "python_backend_stubs" / ("%d.%d" % sys.version_info[:2]) / "triton_python_backend_stub"
    libraries = packages / "nvidia_pytriton.libs"
    environment = dict(os.environ, LD_LIBRARY_PATH=str(libraries), PEER_PACKAGES=str(packages), PEER_MODEL=model)
    environment["PYTHONHOME"] = home(stub, environment)
    # The backend wants the Python that it runs beside itself.
    backend = Path(folder, "backends", "python")
    backend.mkdir(parents=True)
    for part in [*(triton / "backends" / "python").glob("*.*"), stub]:
        (backend / part.name).symlink_to(part)
    version = Path(folder, "models", "mlp", "1")
    version.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("triton_model.py"), version / "model.py")
    (version.parent / "config.pbtxt").write_text(CONFIG % instances)
    server = str(triton / "bin" / "tritonserver")
    options = [
        "--model-repository=" + str(version.parent.parent),
        "--backend-directory=" + str(backend.parent),
        "--http-address=127.0.0.1",
        "--http-port=" + port,
        "--allow-grpc=false",
        "--allow-metrics=false",
    ]
    os.execve(server, [server, *options], environment)


def home(stub: Path, environment: dict) -> str:
    """Where the standard library is that belongs to the libpython that the stub finds."""
    found = subprocess.run(["ldd", str(stub)], env=environment, stdout=subprocess.PIPE, universal_newlines=True)
    version = "python%d.%d" % sys.version_info[:2]
    for line in found.stdout.splitlines():
        if "lib" + version in line and "=> /" in line:
            library = Path(line.split("=> ")[1].split(" ")[0]).resolve()
            for folder in library.parents:
                if (folder / "lib" / version / "os.py").exists():
                    return str(folder)
    sys.exit(
        "Triton's Python backend needs lib{0}.so.1.0 and its standard library: install them "
        "(Debian and Ubuntu: apt-get install lib{0}), and run this again.".format(version)
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
