// An OpenID Connect provider of npm (oidc-provider) with the clients that a file registers, at the paths of Authelia, which is not to be had here. It holds
// clients to what is registered: secret and the way it is given, redirect addresses, scopes, PKCE. As Authelia from 4.39 on it gives claims at userinfo only.
// provider.mjs FOLDER_OF_NODE_MODULES SETTINGS.json; SETTINGS: {port, clients: [...], pkce: [client ids], people: {name: claims}}
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [folder, file] = process.argv.slice(2);
const settings = JSON.parse(fs.readFileSync(file));
const { default: Provider } = await import(pathToFileURL(createRequire(folder + '/').resolve('oidc-provider')));
const provider = new Provider(`http://127.0.0.1:${settings.port}`, {
  clients: settings.clients,
  claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email', 'email_verified'], groups: ['groups'] },
  scopes: ['openid', 'profile', 'email', 'groups', 'offline_access'],
  conformIdTokenClaims: true,
  pkce: { required: (_, client) => settings.pkce.includes(client.clientId) },
  routes: { authorization: '/api/oidc/authorization', token: '/api/oidc/token', userinfo: '/api/oidc/userinfo', jwks: '/jwks.json' },
  features: { devInteractions: { enabled: true } },
  cookies: { keys: ['a key of this run'] },
  findAccount: (_, id) => (settings.people[id] ? { accountId: id, claims: async () => ({ sub: id, ...settings.people[id] }) } : undefined),
});
for (const event of ['authorization.error', 'grant.error', 'userinfo.error', 'server_error'])
  provider.on(event, (_, error) => console.log(event, error.error, error.error_description, error.error_detail ?? ''));
provider.listen(settings.port, '127.0.0.1', () => console.log('listening'));
