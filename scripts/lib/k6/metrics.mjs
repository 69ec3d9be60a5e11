// k6's own measures, as far as the scenarios use them: their limits are k6's to judge.

/** As k6's `Trend`: what was measured. */
export class Trend {
  values = [];

  constructor(name) {
    this.name = name;
  }

  add(value) {
    if (!Number.isFinite(value)) throw new Error(`${this.name}: ${value} is no number`);
    this.values.push(value);
  }
}
