# JupyterHub: two passwords, one for 'admin', one that all others share. The rest is in notebooks.py.
from pathlib import Path


def secret(name):
    return Path("/run/secrets", name).read_text().strip()


c = get_config()  # noqa: F821
load_subconfig("/etc/jupyterhub/notebooks.py")  # noqa: F821

c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.admin_password = secret("jupyterhub_admin_password")
c.SharedPasswordAuthenticator.user_password = secret("jupyterhub_user_password")
c.Authenticator.admin_users = {"admin"}
c.Authenticator.allow_all = True
