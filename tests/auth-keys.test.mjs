// Tokens signed with keys that the sign-in provider publishes: which key may sign what, when the keys are
// asked for, and what holds while the provider is away.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, describe, test } from 'node:test';
import { SignJWT, exportJWK, exportSPKI, generateKeyPair } from 'jose';
import { caller, eventually, good, refused } from './support/api.mjs';
import { startProvider } from './support/gotrue.mjs';
import { startStack } from './harness/client.mjs';
import { claims, signedToken } from './support/tokens.mjs';
import { createOrganization } from './support/world.mjs';

const LIST = ['GET', '/api/licenses'];

let provider;
let stack;
let user;
let ec;
let rsa;

/** A pair of keys, and the public one as it is published. */
async function pairOf(alg, kid) {
  const pair = await generateKeyPair(alg, { extractable: true });
  const jwk = { ...(await exportJWK(pair.publicKey)), kid, use: 'sig', alg, key_ops: ['verify'] };
  return { alg, kid, key: pair.privateKey, publicKey: pair.publicKey, jwk };
}

before(async () => {
  [ec, rsa] = await Promise.all([pairOf('ES256', 'ec-1'), pairOf('RS256', 'rsa-1')]);
  provider = await startProvider();
  stack = await startStack({ vars: { SUPABASE_URL: provider.url } });
  provider.vars = stack.vars;
  user = (await createOrganization(stack)).users.developer;
});
beforeEach(() => {
  provider.keys = [ec.jwk, rsa.jwk];
  provider.trouble = undefined;
  provider.pause = undefined;
});
after(async () => {
  await stack?.stop();
  provider?.close();
});

const withToken = async (text) => caller(stack, { token: await text })(...LIST);
const signedBy = (signer, more) => withToken(signedToken(stack.vars, user, signer, more));
const fetches = () => provider.asked.filter(({ what }) => what === 'keys').length;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const seconds = () => Math.floor(Date.now() / 1000);

/** Has the worker fetch the keys as they are published now: a key that it does not know makes it ask. */
async function renewed() {
  const start = fetches();
  const stranger = { ...ec, kid: `stranger-${randomUUID()}` };
  await eventually(async () => {
    refused(await signedBy(stranger), 401, 'INVALID_TOKEN');
    return fetches() > start;
  });
}

/** Holds back the provider's answers until the function that it returns is called. */
function holdBack() {
  let release;
  provider.pause = new Promise((resolve) => {
    release = resolve;
  });
  return () => {
    provider.pause = undefined;
    release();
  };
}

test('twenty first requests at once: the keys are fetched once', async () => {
  await stack.restart();
  const before = fetches();
  const release = holdBack();
  const answers = Array.from({ length: 20 }, (_, index) => signedBy([ec, rsa][index % 2]));
  await pause(500);
  release();
  for (const answer of await Promise.all(answers)) good(answer);
  for (const signer of [ec, rsa, ec, rsa]) good(await signedBy(signer));
  assert.equal(fetches(), before + 1);
});

describe('a token', () => {
  test('is judged by its claims as well', async () => {
    refused(await signedBy(ec, { exp: seconds() - 120 }), 401, 'TOKEN_EXPIRED');
    for (const wrong of [{ aud: 'other' }, { iss: 'other' }, { sub: undefined }, { session_id: undefined }, { role: 'service_role' },
      { nbf: seconds() + 600 }, { iat: seconds() + 86_400 }]) {
      for (const signer of [ec, rsa]) refused(await signedBy(signer, wrong), 401, 'INVALID_TOKEN');
    }
    for (const signer of [ec, rsa]) good(await signedBy(signer, { exp: seconds() + 600.5 }));
  });

  test('with a part of another is refused', async () => {
    for (const signer of [ec, rsa]) {
      const [mine, other] = await Promise.all([{}, { email: 'x@example.test' }].map((more) => signedToken(stack.vars, user, signer, more)));
      const [header, content, signature] = mine.split('.');
      good(await withToken(mine));
      for (const text of [`${header}.${other.split('.')[1]}.${signature}`, `${header}.${content}.${other.split('.')[2]}`,
        `${header}.${content}.`, `${header}.${content}.${signature.slice(0, -4)}`, `${header}.${content}.AAAA`]) {
        refused(await withToken(text), 401, 'INVALID_TOKEN');
      }
    }
  });

  test('names a key, and is signed in the way of that key', async () => {
    for (const signer of [{ ...rsa, kid: ec.kid }, { ...ec, kid: rsa.kid }, { ...ec, kid: undefined }]) {
      refused(await signedBy(signer), 401, 'INVALID_TOKEN');
    }
    const { privateKey } = await generateKeyPair('PS256', { extractable: true });
    refused(await signedBy({ alg: 'PS256', kid: rsa.kid, key: privateKey }), 401, 'INVALID_TOKEN');
  });

  test('cannot take the public key for the shared secret', async () => {
    for (const { publicKey, jwk, kid } of [ec, rsa]) {
      for (const secret of [await exportSPKI(publicKey), (await exportSPKI(publicKey)).trim(), JSON.stringify(jwk), jwk.x ?? jwk.n]) {
        const forged = new SignJWT(claims(stack.vars, user)).setProtectedHeader({ alg: 'HS256', kid })
          .sign(new TextEncoder().encode(secret));
        refused(await withToken(forged), 401, 'INVALID_TOKEN');
      }
    }
  });

  test('cannot bring its own key', async () => {
    const other = await pairOf('ES256', ec.kid);
    for (const more of [{}, { jwk: other.jwk }, { jku: `${provider.url}/mine.json` }]) {
      for (const kid of [ec.kid, undefined, 'mine']) {
        const forged = new SignJWT(claims(stack.vars, user)).setProtectedHeader({ alg: 'ES256', kid, ...more }).sign(other.key);
        refused(await withToken(forged), 401, 'INVALID_TOKEN');
      }
    }
  });
});

describe('the set of keys', () => {
  test('may hold keys of other kinds and for other uses: they sign nothing here', async () => {
    const [sealing, other, strange] = await Promise.all([pairOf('RS256', 'sealing'), pairOf('RS256', 'other'), pairOf('ES384', 'strange')]);
    provider.keys = [
      { kty: 'none' }, 1, strange.jwk, { ...sealing.jwk, use: 'enc', key_ops: undefined }, { ...other.jwk, alg: 'RS512' }, ec.jwk,
    ];
    await renewed();
    for (const signer of [sealing, other, strange]) refused(await signedBy(signer), 401, 'INVALID_TOKEN');
    good(await signedBy(ec));
  });

  test('a key that is published is accepted seconds later, and one withdrawn refused', async () => {
    const next = await pairOf('ES256', 'ec-2');
    // The worker has just looked, in vain.
    await renewed();
    refused(await signedBy(next), 401, 'INVALID_TOKEN');
    provider.keys = [next.jwk, ec.jwk];
    await eventually(async () => (await signedBy(next)).status === 200);
    good(await signedBy(ec));
    refused(await signedBy(rsa), 401, 'INVALID_TOKEN');
  });

  test('another key under the same name replaces it', async () => {
    const other = await pairOf('ES256', ec.kid);
    provider.keys = [other.jwk];
    await renewed();
    good(await signedBy(other));
    refused(await signedBy(ec), 401, 'INVALID_TOKEN');
    provider.keys = [ec.jwk, rsa.jwk];
    await renewed();
    good(await signedBy(ec));
  });

  test('is not fetched for each key that nobody has', async () => {
    await renewed();
    const before = fetches();
    const began = Date.now();
    while (Date.now() < began + 5_000) {
      const strangers = Array.from({ length: 5 }, () => signedBy({ ...ec, kid: randomUUID() }));
      for (const answer of await Promise.all(strangers)) refused(answer, 401, 'INVALID_TOKEN');
      await pause(100);
    }
    const made = fetches() - before;
    // One in two seconds.
    const most = Math.ceil((Date.now() - began) / 2_000);
    assert.ok(made >= 1 && made <= most, `${made} fetches, ${most} at most`);
  });
});

describe('while the provider is away', () => {
  for (const [what, trouble] of Object.entries({
    'answers that it is ill': { status: 500 }, 'answers nothing of use': { status: 200 }, 'sends us elsewhere': { status: 302, headers: { location: '/' } },
  })) {
    test(`and ${what}: known keys hold, and of others nobody can tell`, async () => {
      await renewed();
      provider.trouble = trouble;
      const stranger = { ...ec, kid: randomUUID() };
      await eventually(async () => (await signedBy(stranger)).status === 503);
      const answer = await signedBy(stranger);
      refused(answer, 503, 'SERVICE_UNAVAILABLE');
      good(await signedBy(ec));
      provider.trouble = undefined;
      await eventually(async () => (await signedBy(stranger)).status === 401);
    });
  }

  test('and says nothing at all: nobody waits for long', async () => {
    await renewed();
    await pause(2_100);
    const release = holdBack();
    let isAnswered = false;
    const strange = signedBy({ ...ec, kid: randomUUID() }).finally(() => { isAnswered = true; });
    await pause(200);
    good(await signedBy(ec));
    assert.equal(isAnswered, false);
    refused(await strange, 503, 'SERVICE_UNAVAILABLE');
    release();
  });

  test('from the start: a second after it is back, tokens are good', async () => {
    provider.trouble = { status: 503 };
    await stack.restart();
    const answer = await signedBy(ec);
    refused(answer, 503, 'SERVICE_UNAVAILABLE');
    assert.ok(Number(answer.headers.get('retry-after')) >= 1);
    const before = fetches();
    provider.trouble = undefined;
    await eventually(async () => (await signedBy(ec)).status === 200);
    assert.equal(fetches(), before + 1);
  });
});
