"""Writes what a Swift of one node reads: configurations and rings. Runs in the services' own environment:
`python swift_files.py FOLDER PROXY_PORT ACCOUNT_PORT CONTAINER_PORT OBJECT_PORT`.
"""

import getpass
import sys
from pathlib import Path

from swift.common.ring import RingBuilder  # pyright: ignore[reportMissingImports]

ADDRESS = "127.0.0.1"
KINDS = ("account", "container", "object")
CLUSTER = """
[swift-hash]
swift_hash_path_prefix = tests
swift_hash_path_suffix = tests
[storage-policy:0]
name = one
default = yes
"""
SERVER = """
[DEFAULT]
swift_dir = {folder}
user = {user}
bind_ip = {address}
bind_port = {port}
devices = {folder}/devices
mount_check = false
fallocate_reserve = 0
workers = 0
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
recon_cache_path = {folder}/cache
"""
# Two users: the first owns the account, the second has been granted nothing.
PROXY = """
[DEFAULT]
swift_dir = {folder}
user = {user}
bind_ip = {address}
bind_port = {port}
workers = 0
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck listing_formats s3api tempauth copy dlo bulk slo proxy-server
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_owner = owners_secret .admin
user_test_stranger = strangers_secret
[filter:copy]
use = egg:swift#copy
[filter:dlo]
use = egg:swift#dlo
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
"""


def write_files(folder: Path, proxy_port: int, ports: dict[str, int]) -> None:
    """One device, one copy of everything, four processes on loopback."""
    for name in ("devices/disk", "cache"):
        (folder / name).mkdir(parents=True)
    (folder / "swift.conf").write_text(CLUSTER)
    values = {"folder": folder, "user": getpass.getuser(), "address": ADDRESS}
    (folder / "proxy.conf").write_text(PROXY.format(port=proxy_port, **values))
    for kind, port in ports.items():
        (folder / f"{kind}.conf").write_text(SERVER.format(kind=kind, port=port, **values))
        rings = RingBuilder(6, 1, 0)  # 64 partitions, one replica, no wait between moves
        rings.add_dev({"region": 1, "zone": 1, "ip": ADDRESS, "port": port, "device": "disk", "weight": 1})
        rings.rebalance()
        rings.get_ring().save(str(folder / f"{kind}.ring.gz"))


if __name__ == "__main__":
    write_files(Path(sys.argv[1]), int(sys.argv[2]), dict(zip(KINDS, map(int, sys.argv[3:]), strict=True)))
