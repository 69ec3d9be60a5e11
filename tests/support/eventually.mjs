// Waiting for what happens a little later: the log, the queues and the jobs are behind the answers.

/**
 * Repeats `check` until it gives something true, and returns that. What it throws meanwhile, a failed
 * assertion for instance, is thrown in the end if nothing better comes.
 */
export async function eventually(check, patience = 20_000, pause = 100) {
  const end = Date.now() + patience;
  for (;;) {
    let problem;
    try {
      const found = await check();
      if (found) return found;
      problem = new Error(`not within ${patience} ms: ${check}`);
    } catch (error) {
      problem = error;
    }
    if (Date.now() > end) throw problem;
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** Repeats assertions until they hold, and returns what they returned. */
export async function eventuallyHolds(assertions, patience, pause) {
  const { result } = await eventually(async () => ({ result: await assertions() }), patience, pause);
  return result;
}
