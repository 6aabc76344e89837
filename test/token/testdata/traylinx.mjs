// The flow of the TrayLinx guide, as its interceptors do it: a 401 is answered
// with one refresh and one further try.
const base = process.env.BASE, key = process.env.API_KEY;
const auth = base + '/ma-authentication-ms/v1/api/oauth/token';
let tokens, refreshes = 0;

async function post(url, body) {
  const response = await fetch(url, {
    method: 'POST', headers: {'Content-Type': 'application/json', 'Api-Key': key}, body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  tokens = (await response.json()).data.attributes;
}

async function request(path, _retry = false) {
  const response = await fetch(base + path, {headers: {
    'Authorization': `Bearer ${tokens.accessToken}`, 'Api-Key': key, 'Accept': 'application/json',
  }});
  if (response.status !== 401 || _retry) return response;
  await post(auth + '/refresh', {refresh_token: tokens.refreshToken});
  refreshes++;
  return request(path, true);
}

await post(auth, {username: 'jane@example.com', password: 'correct horse'});
const name = `${tokens.firstName} ${tokens.lastName} <${tokens.email}>`;
for (const end = Date.now() + 4000; Date.now() < end; await new Promise(r => setTimeout(r, 100))) {
  const response = await request('/both/organizations');
  if (response.status !== 200) throw new Error(`a call: ${response.status}`);
}
// Fresh, so that what is asked now is not asked of a token that ends meanwhile.
await post(auth + '/refresh', {refresh_token: tokens.refreshToken});
const headers = {'Authorization': `Bearer ${tokens.accessToken}`, 'Api-Key': key};
const info = await fetch(auth + '/info', {headers});
const revoked = await fetch(auth + '/revoke', {headers});
const after = await fetch(auth + '/info', {headers});
console.log(JSON.stringify({name, refreshed: refreshes > 0, info: info.status, revoked: revoked.status, after: after.status}));
