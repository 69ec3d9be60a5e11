// Questions to one object that many ask at once leave together. An object takes one message after the other, and a
// message costs more than most of what is asked: a license that a thousand programs validate would be held up by
// messages. Whoever comes while few are on their way leaves at once; otherwise nobody waits longer than `GATHER_MS`,
// however far away the object is.

import { waitUntil } from 'cloudflare:workers';

/** Messages to one object that may be on their way before questions gather. */
const FEW = 4;
/** How long a gathering waits for company, in milliseconds. */
const GATHER_MS = 1;
/** Questions and characters in one message. */
const MOST = 64;
const MOST_TEXT = 512 * 1024;
/** Whoever still gathers after so many milliseconds has lost whoever was to lead: the first who notices does. */
const LOST_MS = 100;
/** How often whoever leads says that it is there, in milliseconds, and how often in a row those who came along miss that. */
const BEAT_MS = 1_000;
const MOST_MISSED = 3;
/** Ways that are kept; what they know is soon known again. */
const MOST_WAYS = 1_000;

/** The ways to objects, by binding and name: those that something is on, and those that were crowded. */
const ways = new Map();

const pause = (ms) => new Promise((resolve) => {
  setTimeout(resolve, ms);
});

/** Those who leave together. */
class Gathering {
  questions = [];

  hasLeft = false;

  /** How often whoever leads has said that it is there. */
  beats = 0;

  #waiting = [];

  #length = 0;

  takes([, text]) {
    return this.questions.length < MOST && this.#length + text.length <= MOST_TEXT;
  }

  /** Comes along; the reply. `lead` is called when nobody else has led for too long. */
  async join(question, lead) {
    this.questions.push(question);
    this.#length += question[1].length;
    // Made like this, and only like this, it lets its own request go on, whichever request resolves it.
    const mine = Promise.withResolvers();
    this.#waiting.push(mine);
    let known = 0;
    let missed = 0;
    const look = () => {
      lead();
      missed = this.beats === known ? missed + 1 : 0;
      known = this.beats;
      if (missed > MOST_MISSED) mine.reject(new Error('whoever asked an object for others is gone'));
      else late = setTimeout(look, BEAT_MS);
    };
    // It also tells the platform that there is something to wait for.
    let late = setTimeout(look, LOST_MS);
    try {
      return await mine.promise;
    } finally {
      clearTimeout(late);
    }
  }

  /** Gives everybody the reply to their question. */
  handOut(replies) {
    this.#waiting.forEach((one, place) => settle(one, replies[place]));
  }

  fail(error) {
    this.#waiting.forEach(({ reject }) => reject(error));
  }
}

function settle({ resolve, reject }, reply) {
  if (reply instanceof Error) reject(reply);
  else resolve(reply);
}

/** The way to one object. */
class Way {
  #underWay = 0;

  #next;

  /** Whether the last who gathered had company. */
  #isCrowded = false;

  get isFree() {
    return !this.#next && this.#underWay < (this.#isCrowded ? 1 : FEW);
  }

  get isForgotten() {
    return !this.#next && this.#underWay === 0 && !this.#isCrowded;
  }

  /** One message more is on its way. */
  leave() {
    this.#underWay += 1;
  }

  /** One of them has been answered, or is lost. */
  arrive() {
    this.#underWay -= 1;
  }

  /** Comes along with others, or leads those who come. */
  gather(object, question) {
    const isFirst = !this.#next?.takes(question);
    if (isFirst) this.#next = new Gathering();
    const gathering = this.#next;
    const lead = () => this.#lead(gathering, object);
    // Others depend on it, whether or not whoever leads stays.
    if (isFirst) waitUntil(pause(GATHER_MS).then(lead));
    return gathering.join(question, () => waitUntil(lead()));
  }

  async #lead(gathering, object) {
    if (gathering.hasLeft) return;
    gathering.hasLeft = true;
    if (this.#next === gathering) this.#next = undefined;
    this.#isCrowded = gathering.questions.length > 1;
    this.leave();
    const beat = setInterval(() => {
      gathering.beats += 1;
    }, BEAT_MS);
    try {
      gathering.handOut(await object.askAll(gathering.questions));
    } catch (error) {
      gathering.fail(error);
    } finally {
      clearInterval(beat);
      this.arrive();
    }
  }
}

function wayTo(key) {
  let way = ways.get(key);
  if (!way) {
    if (ways.size >= MOST_WAYS) ways.clear();
    way = new Way();
    ways.set(key, way);
  }
  return way;
}

/** Asks the object called `name` behind `binding` for `what`; `text` is what it is told. */
export async function ask(env, binding, name, what, text) {
  const object = env[binding].getByName(name);
  const key = `${binding} ${name}`;
  const way = wayTo(key);
  const isAlone = way.isFree;
  if (isAlone) way.leave();
  try {
    return await (isAlone ? object.ask(what, text) : way.gather(object, [what, text]));
  } finally {
    if (isAlone) way.arrive();
    if (way.isForgotten) ways.delete(key);
  }
}

/**
 * The replies of `object` to questions that came together; an error stands in the place of one that has none. One after
 * the other, as if each came alone: between reading its storage and writing it an object is not asked anything else.
 */
export async function replies(object, questions) {
  const given = [];
  for (const [what, text] of questions) {
    try {
      given.push(await object.ask(what, text));
    } catch (error) {
      given.push(error instanceof Error ? error : new Error(String(error)));
    }
  }
  return given;
}
