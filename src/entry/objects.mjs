// The Durable Objects as the platform wants them: classes that extend its own, whose methods others call.
// What they do is in `durable/`.

import { DurableObject } from 'cloudflare:workers';
import { bundle, enter, generation } from './instance.mjs';
import { replies } from './together.mjs';

/** The class called `name`, as `durable/src/object.rs` knows it. */
const objectOf = (name) => class extends DurableObject {
  #core;

  #generation;

  constructor(context, env) {
    super(context, env);
    enter(() => this.#open());
  }

  /** Makes the core, which begins to read its rows; the platform delivers nothing until it has. */
  #open() {
    this.#core = new bundle.ObjectDoor(name, this.ctx, this.env);
    this.#generation = generation();
  }

  #enter(work) {
    return enter(() => {
      if (this.#generation === generation()) return work(this.#core);
      this.#open();
      // What asks was delivered before: it waits by itself.
      return this.ctx.blockConcurrencyWhile(async () => {}).then(() => this.#enter(work));
    });
  }

  /** Asks the object for `what`: a text, at once, or a promise of it when something has to be stored. */
  ask(what, text) {
    return this.#enter((core) => core.ask(what, text));
  }

  askAll(questions) {
    return replies(this, questions);
  }

  alarm() {
    return this.#enter((core) => core.alarm());
  }
};

export const CallerObject = objectOf('CallerObject');
export const KeyPoolObject = objectOf('KeyPoolObject');
export const LicenseObject = objectOf('LicenseObject');
export const SealHeadObject = objectOf('SealHeadObject');
export const WebhookObject = objectOf('WebhookObject');

/** After so many milliseconds one that is still at work does not count: longer than any work may take. */
const MOST_MS = 600_000;

/**
 * One of those that do AI tasks: whoever wakes it does not wait for what it waits for. Its work is its alarm's, which
 * the platform lets go on as long as a queue's consumer, and rings again if the work dies.
 */
export class TaskRunnerObject extends DurableObject {
  #busyUntil = 0;

  #isCalled = false;

  /** Sets it to work; `yes` if it was not at work already. One that is looks again when it has done. */
  async ask() {
    if (Date.now() < this.#busyUntil) {
      this.#isCalled = true;
      return '';
    }
    await this.#work(0);
    return 'yes';
  }

  askAll(questions) {
    return replies(this, questions);
  }

  async alarm() {
    this.#busyUntil = Date.now() + MOST_MS;
    this.#isCalled = false;
    let pause;
    try {
      pause = await enter(() => bundle.tasks(this.ctx, this.env));
    } finally {
      this.#busyUntil = 0;
    }
    pause ??= this.#isCalled ? 0 : undefined;
    if (pause !== undefined) await this.#work(pause);
  }

  async #work(pause) {
    const at = Date.now() + pause;
    this.#busyUntil = at + MOST_MS;
    try {
      await this.ctx.storage.setAlarm(at);
    } catch (error) {
      this.#busyUntil = 0;
      throw error;
    }
  }
}
