# What the hub is whoever may sign in: addresses, keys, its proxy, a container and a folder for each user. jupyterhub_config.py loads it.
import os
from pathlib import Path

from jupyterhub.objects import Server
from jupyterhub.proxy import ConfigurableHTTPProxy
from tornado.ioloop import PeriodicCallback


def secret(name):
    return Path("/run/secrets", name).read_text().strip()


c = get_config()  # noqa: F821

c.JupyterHub.bind_url = "http://0.0.0.0:8000"
c.JupyterHub.hub_bind_url = "http://0.0.0.0:8081"
c.JupyterHub.hub_connect_url = "http://jupyterhub:8081"
c.JupyterHub.db_url = "sqlite:////srv/jupyterhub/jupyterhub.sqlite"
c.JupyterHub.cookie_secret = bytes.fromhex(secret("jupyterhub_cookie_secret"))
c.CryptKeeper.keys = [bytes.fromhex(secret("jupyterhub_crypt_key"))]
c.JupyterHub.cleanup_servers = False


class PatientProxy(ConfigurableHTTPProxy):
    """Has two minutes more than the ten seconds that JupyterHub gives it to listen: a host that starts everything at once needs them. (A new try would not be faster.)"""

    async def start(self):
        try:
            return await super().start()
        except TimeoutError:
            self.log.warning("The proxy is slow; waiting for it")
        for url in (self.public_url, self.api_url):
            await Server.from_url(url).wait_up(120)
        self._check_running_callback = PeriodicCallback(self.check_running, 1e3 * self.check_running_interval)  # as at the end of what was cut short
        self._check_running_callback.start()


c.JupyterHub.proxy_class = PatientProxy

c.JupyterHub.spawner_class = "dockerspawner.DockerSpawner"
c.DockerSpawner.image = os.environ["NOTEBOOK_IMAGE"]
c.DockerSpawner.network_name = os.environ["NOTEBOOK_NETWORK"]
c.DockerSpawner.prefix = os.environ["NOTEBOOK_NETWORK"]  # of containers' names: another project on this engine may have an ada, too
c.DockerSpawner.use_internal_ip = True
c.DockerSpawner.remove = True
c.DockerSpawner.mem_limit = os.environ["NOTEBOOK_MEMORY"]
c.DockerSpawner.cpu_limit = 1.0
c.DockerSpawner.notebook_dir = "/home/jovyan/work"
c.DockerSpawner.extra_host_config = {
    "security_opt": ["no-new-privileges:true"],
    "cap_drop": ["ALL"],
    "pids_limit": 512,
    "log_config": {"type": "json-file", "config": {"max-size": "10m", "max-file": "3"}},
}


async def give_folder(spawner):
    """The user's own folder on the volume of all work, mounted by its place on the host; it is made here, since the engine would give it to root."""
    volume = await spawner.docker("inspect_volume", os.environ["NOTEBOOK_WORK"])
    folder = Path("/srv/work", spawner.escaped_name)
    if not folder.exists():
        folder.mkdir()
        os.chown(folder, -1, 100)  # users, the group of the notebooks' user and of the hub's
        folder.chmod(0o770)
    spawner.volumes = {f"{volume['Mountpoint']}/{folder.name}": "/home/jovyan/work"}


c.Spawner.pre_spawn_hook = give_folder
