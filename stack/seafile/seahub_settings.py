# Additions to Seahub's settings: sign-in by OIDC, documents by OnlyOffice. Secrets come from variables that the shim exports.
import os

DOMAIN = os.environ["STACK_DOMAIN"]
SERVICE_URL = f"https://seafile.{DOMAIN}"
FILE_SERVER_ROOT = f"https://seafile.{DOMAIN}/seafhttp"
CSRF_TRUSTED_ORIGINS = [SERVICE_URL]

ENABLE_OAUTH = True
OAUTH_CREATE_UNKNOWN_USER = True
OAUTH_ACTIVATE_USER_AFTER_CREATION = True
OAUTH_ENABLE_INSECURE_TRANSPORT = False
OAUTH_CLIENT_ID = "seafile"
OAUTH_CLIENT_SECRET = os.environ["SEAFILE_OIDC_SECRET"]
OAUTH_REDIRECT_URL = f"{SERVICE_URL}/oauth/callback/"
OAUTH_PROVIDER = "authelia"
OAUTH_AUTHORIZATION_URL = f"https://auth.{DOMAIN}/api/oidc/authorization"
OAUTH_TOKEN_URL = f"https://auth.{DOMAIN}/api/oidc/token"
OAUTH_USER_INFO_URL = f"https://auth.{DOMAIN}/api/oidc/userinfo"
OAUTH_SCOPE = ["openid", "profile", "email"]
OAUTH_ATTRIBUTE_MAP = {"sub": (True, "uid"), "email": (False, "contact_email"), "name": (False, "name")}

ENABLE_ONLYOFFICE = True
VERIFY_ONLYOFFICE_CERTIFICATE = True
ONLYOFFICE_APIJS_URL = f"https://onlyoffice.{DOMAIN}/web-apps/apps/api/documents/api.js"
ONLYOFFICE_JWT_SECRET = os.environ["ONLYOFFICE_JWT_SECRET"]
ONLYOFFICE_FILE_EXTENSION = ("doc", "docx", "odt", "xls", "xlsx", "ods", "ppt", "pptx", "odp")
ONLYOFFICE_EDIT_FILE_EXTENSION = ("docx", "xlsx", "pptx")
