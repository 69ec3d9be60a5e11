// The Postman collection, made from the OpenAPI document: a folder for each module, in it what makes things,
// then what reads, changes and deletes them. What one request makes, the next ones use by its variable. A folder of
// its own makes, before the others, what several of them are tried with.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './paths.mjs';

const METHODS = ['get', 'post', 'patch', 'delete'];
const SCHEMA = 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json';
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;

/** A code of up to ten capital letters and digits that no earlier run took. */
const CODE = '{{$randomInt}}{{$randomInt}}';

const ORDER = { items: [{ product_id: '{{for_sale_id}}' }], billing: { country_code: 'ES' } };

/** What is made before the modules are tried, and what later requests know it by. */
const BEFORE = [
  { id: 'createOrganization', name: 'A vendor', body: { name: 'Vendor {{$guid}}' }, saves: { vendor_id: 'id' } },
  {
    id: 'createProduct', name: 'Something that it sells', saves: { for_sale_id: 'id' },
    body: {
      organization_id: '{{vendor_id}}', code: `S${CODE}`, name: 'For sale', slug: 'for-sale-{{$guid}}', price: 10, status: 'published',
      is_subscription: true, billing_cycle: 'monthly', plan_id: '{{some_plan_id}}',
    },
  },
  { id: 'createOrder', name: 'An order to give up', body: ORDER, saves: { open_order_id: 'id' } },
  {
    id: 'createProduct', name: 'A product of the own organization', saves: { own_product_id: 'id' },
    body: { code: `O${CODE}`, name: 'Own', slug: 'own-{{$guid}}', price: 10, status: 'published' },
  },
  { id: 'createRelease', name: 'Its release', vars: { product_id: 'own_product_id' }, with: { version: '1.0.0-beta.1', status: 'beta' }, saves: { own_release_id: 'id' } },
  {
    id: 'createLicense', name: 'A license to ask models with', saves: { ai_license_id: 'id' },
    body: { plan_id: '{{some_plan_id}}', custom_limits: { max_ai_requests_per_month: 1000, max_batch_size: 100, max_concurrent_tasks: 5 } },
  },
  {
    id: 'createPrompt', name: 'A prompt to ask them with', saves: { prompt_slug: 'slug' },
    body: { slug: 'prompt-{{$guid}}', name: 'Prompt', category: 'postman', system_prompt: 'You are brief.' },
  },
];

/** Fields of a body that name what was made before, unless the example of the operation says otherwise. */
const NAMED = { license_id: '{{ai_license_id}}', product_id: '{{for_sale_id}}', prompt_slug: '{{prompt_slug}}' };

const FOR_SALE = { vars: { product_id: 'for_sale_id' } };
const OWN = { vars: { product_id: 'own_product_id', release_id: 'own_release_id' } };
const refused = (why, ...answers) => ({ answers, why });

/**
 * What the document does not say: which variables a request takes instead of those that its path names, what
 * is sent instead of the example, and what else may be right where the thing is not made by a request.
 *
 * `vars` replaces the path's variables, `body` the example and `with` fields of it, `query` adds parameters;
 * `answers` are statuses that are right besides the documented ones; `last` is the place of what ends the sign-in,
 * `turn` the place among what is done to a thing (by default 0), `saves` names variables and the fields of the
 * answer that they take.
 */
const SPECIAL = {
  acceptInvitation: refused('needs the token of an e-mail', 400, 401, 403, 404, 409, 422, 503),
  refreshToken: { ...refused('needs a refresh token of the sign-in provider', 400, 401, 422, 503), body: { refresh_token: '{{refresh_token}}' } },
  logOut: { last: 2, ...refused('is refused to whoever has left', 401) },
  leaveOrganization: { last: 1, ...refused('is refused to the last administrator', 409) },
  validateLicense: { body: { license_key: '{{license_key}}' } },
  validateLicenses: { body: { items: [{ license_key: '{{license_key}}' }] } },
  reactivateLicense: { turn: 1 },
  createLicense: { saves: { license_key: 'license_key' } },
  // Of the one who calls: somebody invited a moment ago has none.
  listApiKeys: { vars: { user_id: 'me_id' } },
  createApiKey: { vars: { user_id: 'me_id' } },
  deleteApiKey: { vars: { user_id: 'me_id' } },
  rotateApiKey: { vars: { user_id: 'me_id' } },
  listUserSessions: { vars: { user_id: 'me_id' } },
  endUserSession: { vars: { user_id: 'me_id', session_id: 'other_session_id' }, ...refused('ends a sign-in elsewhere', 404) },
  getCaller: { saves: { me_id: 'profile.id' } },
  unbindLicenseIp: { query: { ip_address: '192.0.2.9' } },
  bindLicenseIp: { body: { ip_address: '192.0.2.9' } },
  listTelemetryOfType: { vars: { event_key: 'event_type' } },
  resolveLicenseCollision: refused('needs a collision', 404),
  replayWebhookDelivery: refused('needs a delivery', 404, 409),
  getDeadLetter: refused('needs a dead letter', 404),
  replayDeadLetter: refused('needs a dead letter', 404),
  discardDeadLetter: refused('needs a dead letter', 404),
  acknowledgeAuditBreak: refused('needs a break in the chain', 404, 409),

  createOrder: { body: ORDER },
  cancelOrder: { vars: { order_id: 'open_order_id' } },
  settleOrder: { turn: 1 },
  listSoldLicenses: { turn: 2, saves: { sold_license_id: 'id' } },
  suspendSoldLicense: { turn: 2, vars: { license_id: 'sold_license_id' } },
  reactivateSoldLicense: { turn: 3, vars: { license_id: 'sold_license_id' } },
  refundOrder: { turn: 4, body: { amount: 1 } },
  changeSubscriptionPlan: { ...refused('is for plans that the platform sells', 409, 422) },
  resumeSubscription: { turn: 1 },
  deletePaymentMethod: refused('needs a card that Stripe has told of', 404),
  preferPaymentMethod: refused('needs a card that Stripe has told of', 404),
  createPaymentMethod: refused('needs an account at Stripe', 503),
  createCoupon: { with: { code: `C${CODE}`, organization_id: '{{vendor_id}}' }, saves: { coupon_key: 'code' } },
  validateCoupon: { query: { product_id: '{{for_sale_id}}' } },
  createTaxRate: { with: { code: `t-${CODE}` } },
  receiveStripeEvent: refused('needs the signature of Stripe', 400, 401, 404),
  replayPaymentEvent: refused('needs an event that could not be dealt with', 404),

  createProduct: { with: { code: `P${CODE}`, status: 'published' }, saves: { by_slug_key: 'slug' } },
  createRelease: { ...FOR_SALE, with: { version: '1.0.0', status: 'draft' } },
  updateRelease: { body: { release_notes: 'Better' } },
  getRelease: OWN,
  getChangelog: OWN,
  listProductReleases: FOR_SALE,
  createReview: FOR_SALE,
  listProductReviews: FOR_SALE,
  getLatestRelease: { vars: { latest_id: 'own_product_id' }, query: { channel: 'beta' } },
  searchProducts: { query: { q: 'sale' } },
  exportAnalytics: { query: { report: 'sales' } },
  voteForReview: refused('is for reviews of others', 403, 409),
  moderateReview: { body: { hidden: false } },
  getOwnProduct: OWN,
  listOwnReleases: OWN,
  getOwnRelease: OWN,
  transferAsset: { turn: 1 },
  downloadRelease: { ...OWN, ...refused('needs a file that was uploaded', 404, 409, 503) },
  followDownload: refused('needs a link to a file', 404),
  downloadAsset: refused('needs a file that was uploaded', 404, 409, 503),

  listOpenAiModels: { saves: { model_key: 'id' } },
  getTaskResult: refused('needs a task that has ended', 409),
  retryTask: refused('needs a task that failed', 409),
  cancelTask: refused('needs a task that has not ended', 409),
  retryBatch: refused('needs a batch with tasks that failed', 409),
  cancelBatch: refused('needs a batch that has not ended', 409),
  renderPrompt: { body: { input_text: 'Hello' } },
  diffPrompt: { vars: { prompt_id: 'version_id' } },
};

/** Values of variables that no request gives. */
const INITIAL = { event_type: 'page' };

/** The id of what nothing has been made of yet. */
const NOWHERE = '00000000-0000-4000-8000-000000000000';

/** The folder of what is made before the others. */
export const BEGINNING = 'to begin with';

/** The folders that others take ids from. */
const FIRST = ['auth', 'plans'];

/** Runs before each request: takes a token where there is none that lasts another minute. */
const FETCH_TOKEN = `
const until = Number(pm.collectionVariables.get('token_until') || 0);
if (pm.collectionVariables.get('token') && until > Date.now() + 60000) return;
const keep = (token, seconds) => {
  pm.collectionVariables.set('token', token);
  pm.collectionVariables.set('token_until', Date.now() + seconds * 1000);
};
if (pm.environment.get('supabase_email')) {
  pm.sendRequest({
    url: pm.environment.get('supabase_url') + '/auth/v1/token?grant_type=password', method: 'POST',
    header: { apikey: pm.environment.get('supabase_anon_key'), 'content-type': 'application/json' },
    body: { mode: 'raw', raw: JSON.stringify({ email: pm.environment.get('supabase_email'), password: pm.environment.get('supabase_password') }) },
  }, (error, response) => {
    if (error || response.code !== 200) throw new Error('Supabase gave no token: ' + (error || response.text()));
    const { access_token: token, expires_in: seconds, refresh_token: refresh } = response.json();
    pm.collectionVariables.set('refresh_token', refresh);
    keep(token, seconds);
  });
} else {
  // A worker on this machine: signed with the secret of its .dev.vars, as Supabase would.
  const encode = (value) => CryptoJS.enc.Base64.stringify(value).replace(/=+$/, '').replace(/\\+/g, '-').replace(/\\//g, '_');
  const part = (value) => encode(CryptoJS.enc.Utf8.parse(JSON.stringify(value)));
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    sub: pm.environment.get('local_user_id'), iss: pm.environment.get('supabase_url') + '/auth/v1', aud: 'authenticated', role: 'authenticated',
    iat: now, exp: now + 3600, session_id: pm.variables.replaceIn('{{$guid}}'),
  };
  const signed = part({ alg: 'HS256', typ: 'JWT' }) + '.' + part(claims);
  keep(signed + '.' + encode(CryptoJS.HmacSHA256(signed, pm.environment.get('local_jwt_secret'))), 3600);
}`.trim().split('\n');

/** `feature-flags` → `feature_flag`. */
function singular(segment) {
  const name = segment.replaceAll('-', '_');
  if (name.endsWith('ies')) return `${name.slice(0, -3)}y`;
  return name.replace(/(?<=x|ch|sh|ss)es$|s$/, '');
}

/** The variables that stand for the braces of a path, in their order: each is named after the segment before it. */
function variablesOf(path, replaced = {}) {
  const segments = path.split('/');
  return segments.flatMap((segment, index) => {
    const inner = /^\{(\w+)\}$/.exec(segment)?.[1];
    if (!inner) return [];
    const name = `${singular(segments[index - 1])}_${inner === 'key' ? 'key' : 'id'}`;
    return [replaced[name] ?? name];
  });
}

/** Text of an example that another run may send too: unique where the example was. */
function fresh(value, known, key) {
  if (typeof value === 'string' && key in NAMED && !value.includes('{{')) return NAMED[key];
  if (Array.isArray(value)) return value.map((one) => fresh(one, known, key));
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, fresh(inner, known, name)]));
  }
  if (typeof value !== 'string') return value;
  if (known.has(key) && value.match(UUID)?.[0] === value) return `{{some_${key}}}`;
  if (/^\d{4}-\d\d-\d\dT/.test(value)) return '{{$isoTimestamp}}';
  return value.replaceAll(UUID, '{{$randomUUID}}');
}

/** Make, read, change, act, delete; what is deeper in the path later when made and earlier when deleted. */
function rank({ method, path, id, operation }) {
  const depth = path.split('/').length;
  const { last, turn = 0 } = SPECIAL[id] ?? {};
  if (last) return 1000 + last;
  const hasId = path.includes('{');
  if (method === 'GET' && !hasId) return 100 + depth;
  if (method === 'POST' && turn === 0 && (operation.responses[201] || !hasId)) return depth;
  if (method === 'GET' && turn === 0) return 200 + depth;
  if (method === 'PATCH') return 300 + depth;
  if (method === 'POST' || method === 'GET') return 400 + 20 * turn + depth;
  return 900 - depth;
}

/** The script that judges an answer and keeps what it made. */
function judge({ operation, path, method, saves = {}, answers = [] }) {
  const statuses = [...Object.keys(operation.responses).filter((status) => status !== 'default').map(Number), ...answers];
  const lines = [
    `pm.test('answers ${statuses.join(' or ')}', () => pm.expect(pm.response.code, pm.response.text()).to.be.oneOf(${JSON.stringify(statuses)}));`,
  ];
  const last = path.split('/').findLast((segment) => !segment.startsWith('{'));
  const kept = Object.entries(saves);
  const makes = ['GET', 'POST'].includes(method) && !path.endsWith('}') && [200, 201, 202].some((status) => operation.responses[status]);
  if (!makes && !kept.length) return lines;
  lines.push(
    'const answer = pm.response.code < 300 && (pm.response.headers.get(\'content-type\') || \'\').includes(\'application/json\') ? pm.response.json() : {};',
    'const made = Array.isArray(answer.data) ? answer.data[0] : answer.data;',
    `const keep = (name, value) => { if (value && (${method === 'POST'} || [undefined, '', '${NOWHERE}'].includes(pm.collectionVariables.get(name)))) pm.collectionVariables.set(name, value); };`,
  );
  // What is made for others has names of its own.
  if (!kept.length || !kept.some(([, field]) => field === 'id')) {
    lines.push(
      `keep('${singular(last)}_id', made && made.id);`,
      `const other = Array.isArray(answer.data) && answer.data.find((one) => one.id !== pm.collectionVariables.get('${singular(last)}_id'));`,
      `keep('some_${singular(last)}_id', other && other.id);`,
      `keep('${singular(last)}_key', made && (made.flag_key || made.key));`,
    );
  }
  return [...lines, ...kept.map(([name, field]) => `keep('${name}', made && made.${field});`)];
}

const described = ({ operation, why }) => [operation.description, why && `In a run of the whole collection it may be refused: it ${why}.`]
  .filter(Boolean).join('\n\n');

/** One request of the collection. */
function item(entry, known) {
  const { operation, path, method, name = operation.summary, ...special } = entry;
  const names = variablesOf(path, special.vars);
  const filled = path.split('/').slice(1).map((segment) => (segment.startsWith('{') ? `{{${names.shift()}}}` : segment));
  const required = (operation.parameters ?? []).filter((one) => one.in === 'query');
  const query = required.map((one) => ({
    key: one.name, value: String(special.query?.[one.name] ?? fresh(one.example ?? one.schema?.default ?? '', known, one.name)),
    description: one.description, disabled: !one.required && special.query?.[one.name] === undefined,
  }));
  const example = operation.requestBody?.content['application/json']?.example;
  const body = special.body ?? (special.with ? { ...example, ...special.with } : example);
  return {
    name,
    event: [{ listen: 'test', script: { type: 'text/javascript', exec: judge(entry) } }],
    request: {
      ...(operation.security?.length ? {} : { auth: { type: 'noauth' } }),
      description: described(entry),
      method,
      header: body === undefined ? [] : [{ key: 'Content-Type', value: 'application/json' }],
      ...(body === undefined ? {} : {
        body: { mode: 'raw', raw: JSON.stringify(fresh(body, known), null, 2), options: { raw: { language: 'json' } } },
      }),
      url: { raw: `{{base_url}}/${filled.join('/')}`, host: ['{{base_url}}'], path: filled, query },
    },
  };
}

/** The collection of an OpenAPI document. */
export function collectionOf(document) {
  const entries = Object.entries(document.paths).flatMap(([path, methods]) => METHODS.filter((method) => methods[method])
    .map((method) => ({ path, method: method.toUpperCase(), operation: methods[method], id: methods[method].operationId })))
    .map((entry) => ({ ...entry, ...SPECIAL[entry.id] }));
  const known = new Set(entries.flatMap(({ path }) => variablesOf(path)));
  const inOrder = (list) => list.map((entry, index) => [rank(entry), index, entry]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, , entry]) => entry);
  const folder = (name, description, list) => ({ name, description, item: list.map((entry) => item(entry, known)) });
  const before = BEFORE.map((wish) => ({ ...entries.find(({ id }) => id === wish.id), ...wish }));
  const module = ({ name, description }) => folder(name, description, inOrder(entries.filter((entry) => entry.operation.tags.includes(name) && !entry.last)));
  const place = ({ name }) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  const tags = document.tags.toSorted((a, b) => place(a) - place(b));
  const saved = [...before, ...entries].flatMap(({ saves = {}, vars = {} }) => [...Object.keys(saves), ...Object.values(vars)]);
  const ids = [...new Set([...known, ...saved])];
  return {
    info: { name: document.info.title, description: document.info.description, schema: SCHEMA },
    auth: { type: 'bearer', bearer: [{ key: 'token', value: '{{token}}', type: 'string' }] },
    event: [{ listen: 'prerequest', script: { type: 'text/javascript', exec: FETCH_TOKEN } }],
    variable: [...new Set(['token', 'token_until', 'refresh_token', ...ids, ...[...known].filter((name) => name.endsWith('_id')).map((name) => `some_${name}`)])]
      .map((key) => ({ key, value: INITIAL[key] ?? (key.endsWith('_id') ? NOWHERE : '') })),
    item: [
      ...tags.slice(0, FIRST.length).map(module),
      folder(BEGINNING, 'What the modules are tried with.', before),
      ...tags.slice(FIRST.length).map(module),
      folder('the end', 'What ends the sign-in.', inOrder(entries.filter(({ last }) => last))),
    ],
  };
}

/** An environment for the collection; what is left out is for its user to fill in. */
export function environmentOf(name, values = {}) {
  const secret = ['supabase_anon_key', 'supabase_password', 'local_jwt_secret'];
  const keys = ['base_url', 'supabase_url', 'supabase_anon_key', 'supabase_email', 'supabase_password', 'local_jwt_secret', 'local_user_id'];
  return {
    name,
    values: keys.map((key) => ({ key, value: values[key] ?? '', type: secret.includes(key) ? 'secret' : 'default', enabled: true })),
  };
}

/** Writes the collection of a document and an empty environment to `postman/`. */
export function writePostman(document) {
  const folder = join(ROOT, 'postman');
  mkdirSync(folder, { recursive: true });
  const files = { 'celaest.postman_collection.json': collectionOf(document), 'celaest.postman_environment.json': environmentOf('CELAEST Core') };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), `${JSON.stringify(content, null, 2)}\n`);
}
