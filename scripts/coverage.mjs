// npm run coverage: npm test on a worker that counts what is executed, and the lines that were, as text and as
// pages in `.celaest/coverage/`. Takes the options of npm test; --more adds to what the last run counted.

process.env.CELAEST_COVERAGE = '1';
await import('./test.mjs');
