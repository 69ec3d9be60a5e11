// The Durable Objects as the platform wants them: classes that extend its own, whose methods others call.
// What they do is in `durable/`.

import { DurableObject } from 'cloudflare:workers';
import { bundle, enter, generation } from './instance.mjs';

/** The class called `name`, as `durable/src/object.rs` knows it. */
const objectOf = (name) => class extends DurableObject {
  #core;

  #generation;

  constructor(context, env) {
    super(context, env);
    this.#enter(() => {});
  }

  #enter(work) {
    return enter(() => {
      if (this.#generation !== generation()) {
        this.#core = new bundle.ObjectDoor(name, this.ctx, this.env);
        this.#generation = generation();
      }
      return work(this.#core);
    });
  }

  /** Asks the object for `what`: a text, at once, or a promise of it when something has to be stored. */
  ask(what, text) {
    return this.#enter((core) => core.ask(what, text));
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
