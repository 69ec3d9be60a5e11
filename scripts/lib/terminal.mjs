// What a person sees: numbered steps with their time, and problems in one sentence.

/** Something the person at the terminal can put right; printed without a stack. */
export class Problem extends Error {}

/** Seconds as people say them: `0.4 s`, `75 s`, `3 min 5 s`. */
export function duration(milliseconds) {
  const seconds = milliseconds / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/**
 * A counter of steps. Each call of `step(title, work)` prints `[n/total] title …`,
 * runs `work` and adds what it returned (a few words) and the time it took.
 * `work` receives a function that prints a line of progress below the title.
 */
export function steps(total) {
  let number = 0;
  return async function step(title, work) {
    number += 1;
    const started = Date.now();
    let lineIsOpen = true;
    process.stdout.write(`[${number}/${total}] ${title} … `);
    const note = (text) => {
      process.stdout.write(`${lineIsOpen ? '\n' : ''}      ${text}\n`);
      lineIsOpen = false;
    };
    try {
      const outcome = await work(note);
      const words = `${outcome ?? 'done'} (${duration(Date.now() - started)})`;
      process.stdout.write(lineIsOpen ? `${words}\n` : `      ${words}\n`);
    } catch (error) {
      if (lineIsOpen) process.stdout.write('failed\n');
      throw error;
    }
  };
}

/** What is wrong with a folder or a disk, by the system's name for it. */
const REFUSALS = {
  EACCES: 'is not yours to write', EPERM: 'is not yours to write', EROFS: 'cannot be written to', ENOSPC: 'is on a disk that is full',
};

/** Prints an error as a person needs it: a problem as a sentence, the rest with its stack. */
export function printError(error) {
  let text = error?.stack ?? error;
  if (error instanceof Problem) text = error.message;
  else if (error?.code in REFUSALS && error.path) text = `${error.path} ${REFUSALS[error.code]} (${error.code}): change that, or move the project to a folder of yours.`;
  process.stderr.write(`\n${text}\n`);
}
