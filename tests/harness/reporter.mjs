// What npm test reads of a test file: one line of JSON for each test that ended.

export default async function* report(events) {
  const path = [];
  for await (const { type, data } of events) {
    if (type === 'test:start') path[data.nesting] = data.name;
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (data.details.type === 'suite') continue;
    const outcome = data.skip !== undefined || data.todo !== undefined ? 'skipped' : type === 'test:pass' ? 'passed' : 'failed';
    const name = [...path.slice(0, data.nesting), data.name].join(' › ');
    yield `${JSON.stringify({ name, outcome, seconds: data.details.duration_ms / 1000 })}\n`;
  }
}
