# JupyterHub: sign-in by Authelia. The rest is in notebooks.py.
import os
from pathlib import Path

c = get_config()  # noqa: F821
load_subconfig("/etc/jupyterhub/notebooks.py")  # noqa: F821
domain = os.environ["DOMAIN"]

c.JupyterHub.authenticator_class = "oauthenticator.generic.GenericOAuthenticator"
c.GenericOAuthenticator.client_id = "jupyterhub"
c.GenericOAuthenticator.client_secret = Path("/run/secrets/jupyterhub_oidc_secret").read_text().strip()
c.GenericOAuthenticator.oauth_callback_url = f"https://jupyterhub.{domain}/hub/oauth_callback"
c.GenericOAuthenticator.authorize_url = f"https://auth.{domain}/api/oidc/authorization"
c.GenericOAuthenticator.token_url = f"https://auth.{domain}/api/oidc/token"
c.GenericOAuthenticator.userdata_url = f"https://auth.{domain}/api/oidc/userinfo"
c.GenericOAuthenticator.scope = ["openid", "profile", "email", "groups"]
c.GenericOAuthenticator.username_claim = "preferred_username"
c.GenericOAuthenticator.auth_state_groups_key = "oauth_user.groups"
c.GenericOAuthenticator.manage_groups = True
c.GenericOAuthenticator.allowed_groups = {"users", "admins"}
c.GenericOAuthenticator.admin_groups = {"admins"}
c.GenericOAuthenticator.enable_auth_state = True
c.GenericOAuthenticator.login_service = "Authelia"
