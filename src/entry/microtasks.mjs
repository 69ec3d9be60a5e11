// What is done next, in the language's own way. The platform's `queueMicrotask` wraps each piece of work twice, which costs
// as much as most of them; `scripts/lib/build.mjs` puts this one in its place.

export const queueMicrotask = (work) => {
  Promise.resolve().then(work);
};
