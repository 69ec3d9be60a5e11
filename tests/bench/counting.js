// Counts what the platform bills of Durable Objects: calls, alarms, the time an object is busy, rows.
// Loaded together with the worker, in front of its classes, when costs are measured; never under load.

const METER = Symbol('meter');

let counts;
let cursors;

function reset() {
  counts = { objectRequests: 0, alarms: 0, activeMs: 0, rowsRead: 0, rowsWritten: 0 };
  cursors = [];
}
reset();

/** The time in which one object has anything to do, however many things at once. */
class Meter {
  #under = 0;

  #since = 0;

  /** Something begins; returns what is called at its end. */
  begin() {
    if (this.#under === 0) this.#since = Date.now();
    this.#under += 1;
    return () => {
      this.#under -= 1;
      if (this.#under === 0) counts.activeMs += Date.now() - this.#since;
    };
  }

  /** Runs `work`, which may give a promise. */
  during(work) {
    const end = this.begin();
    let result;
    try {
      result = work();
    } catch (error) {
      end();
      throw error;
    }
    if (typeof result?.then !== 'function') {
      end();
      return result;
    }
    return result.then((value) => {
      end();
      return value;
    }, (error) => {
      end();
      throw error;
    });
  }
}

/** Puts `around(original, arguments)` in the place of a method. */
function replace(owner, name, around) {
  const original = owner[name];
  if (typeof original !== 'function') return;
  Object.defineProperty(owner, name, {
    configurable: true, value(...given) { return around(original.bind(this), given); },
  });
}

/** How many rows the first argument of a key-value method names. */
const named = (first) => {
  if (Array.isArray(first)) return first.length;
  return typeof first === 'object' && first !== null ? Object.keys(first).length : 1;
};

/** Rows, as the platform counts them: key-value methods are rows of a hidden table. */
function watchStorage(storage) {
  const written = (rows) => (original, given) => {
    counts.rowsWritten += rows(given[0]);
    return original(...given);
  };
  replace(storage, 'put', written(named));
  replace(storage, 'delete', written(named));
  replace(storage, 'setAlarm', written(() => 1));
  replace(storage, 'get', (original, given) => {
    counts.rowsRead += named(given[0]);
    return original(...given);
  });
  replace(storage, 'list', async (original, given) => {
    const rows = await original(...given);
    counts.rowsRead += rows.size;
    return rows;
  });
  replace(storage.sql, 'exec', (original, given) => {
    const cursor = original(...given);
    cursors.push(cursor);
    return cursor;
  });
}

function watchState(state, meter) {
  // Held on to, because what was replaced is lost with the object it was replaced on.
  meter.watched = [state, state.storage, state.storage.sql];
  watchStorage(state.storage);
  replace(state, 'waitUntil', (original, [promise]) => {
    original(meter.during(() => promise));
  });
  replace(state, 'blockConcurrencyWhile', (original, [work]) => meter.during(() => original(work)));
}

/** What is no call from outside; questions that come together are counted as if each came alone. */
const INSIDE = ['constructor', 'free', 'askAll'];

/** Whether a class's method is called from outside. */
const isDoor = (name, value) => typeof value === 'function' && !INSIDE.includes(name) && !name.startsWith('__');

/** The class of a Durable Object, counted. */
export function counted(Class) {
  const own = Object.getOwnPropertyDescriptors(Class.prototype);
  for (const [name, { value }] of Object.entries(own)) {
    if (!isDoor(name, value)) continue;
    Class.prototype[name] = function door(...given) {
      counts.objectRequests += 1;
      if (name === 'alarm') counts.alarms += 1;
      return this[METER].during(() => value.apply(this, given));
    };
  }
  return new Proxy(Class, {
    construct(target, given, asked) {
      const meter = new Meter();
      watchState(given[0], meter);
      const object = meter.during(() => Reflect.construct(target, given, asked));
      object[METER] = meter;
      return object;
    },
  });
}

/** An entrypoint of its own: GET gives the counts, DELETE begins anew. */
export const counter = {
  async fetch(request) {
    if (request.method === 'DELETE') reset();
    const total = { ...counts };
    for (const cursor of cursors) {
      total.rowsRead += cursor.rowsRead;
      total.rowsWritten += cursor.rowsWritten;
    }
    return Response.json(total);
  },
};
