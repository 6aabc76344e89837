// The example of the guide to the dialect client_secret, with what Node.js has
// in itself in the place of axios and jsonwebtoken. It takes the new token from
// the answer's Authorization header.
import {createHmac, timingSafeEqual} from 'node:crypto';

const apiRoot = process.env.BASE, apiKey = process.env.API_KEY, clientSecret = process.env.CLIENT_SECRET;
let currentToken = null, authentications = 0, calls = 0;

function verify(token, secret) {
  const [header, payload, signature] = token.split('.');
  if (JSON.parse(Buffer.from(header, 'base64url')).alg !== 'HS256') throw new Error('algorithm');
  const want = createHmac('sha256', secret).update(`${header}.${payload}`).digest();
  if (!timingSafeEqual(want, Buffer.from(signature, 'base64url'))) throw new Error('signature');
  return JSON.parse(Buffer.from(payload, 'base64url'));
}

const refreshToken = async () => {
  const response = await fetch(`${apiRoot}/authenticate`, {
    method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify({apiKey, clientSecret}),
  });
  if (response.status !== 200) throw new Error(`authenticate: ${response.status} ${await response.text()}`);
  currentToken = (await response.json()).token;
  authentications++;
};

const testToken = async () => {
  try {
    const {exp} = verify(currentToken, clientSecret);
    return exp && exp > Math.floor(Date.now() / 1000);
  } catch (error) {
    return false;
  }
};

const makeAuthenticatedRequest = async () => {
  if (!await testToken()) await refreshToken();
  const response = await fetch(`${apiRoot}/sliding/some-endpoint`, {
    headers: {'Authorization': `Bearer ${currentToken}`, 'Content-Type': 'application/json'},
  });
  if (response.status !== 200) throw new Error(`API request failed: ${response.status}`);
  const newToken = response.headers.get('Authorization');
  if (!newToken) throw new Error('no new token');
  currentToken = newToken.replace(/^Bearer /, '');
  calls++;
};

for (const end = Date.now() + 5000; Date.now() < end; await new Promise(r => setTimeout(r, 100))) {
  await makeAuthenticatedRequest();
}
console.log(JSON.stringify({authentications, many: calls > 10}));
