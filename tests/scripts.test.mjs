// What the commands are made of, where it has rules of its own.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import pg from 'pg';
import { linesOf, stretchesByFile, together } from '../scripts/lib/coverage/lines.mjs';
import { Pooler } from '../scripts/lib/pooler.mjs';
import { run } from '../scripts/lib/processes.mjs';
import { notesOf } from '../scripts/lib/release-notes.mjs';
import { readState, writeState } from '../scripts/lib/state.mjs';

describe('the pooler', { skip: !process.env.DATABASE_URL && 'there is no DATABASE_URL' }, () => {
  const open = (places) => Pooler.open(process.env.DATABASE_URL, places);
  const client = async (url) => {
    const one = new pg.Client({ connectionString: url });
    one.on('error', () => {});
    await one.connect();
    return one;
  };

  test('500 clients share 5 connections, and each gets its own answer', async () => {
    const pooler = await open(5);
    const answers = await Promise.all(Array.from({ length: 500 }, async (_, index) => {
      const one = await client(pooler.url);
      await one.query('BEGIN');
      await one.query("SELECT set_config('test.mine', $1, true)", [String(index)]);
      const { rows: [row] } = await one.query("SELECT current_setting('test.mine') AS mine, pg_backend_pid() AS pid");
      await one.query('COMMIT');
      await one.end();
      return row;
    }));
    assert.deepEqual(answers.map(({ mine }) => Number(mine)), [...answers.keys()]);
    assert.ok(new Set(answers.map(({ pid }) => pid)).size <= 5);
    pooler.close();
  });

  test('what is left in the middle is undone, and takes no place with it', async () => {
    const pooler = await open(1);
    const [first, second] = [await client(pooler.url), await client(pooler.url)];
    await first.query('BEGIN');
    await first.query('CREATE TABLE test_left_behind ()');
    const waiting = second.query("SELECT to_regclass('test_left_behind') AS found");
    first.connection.stream.destroy();
    assert.deepEqual((await waiting).rows, [{ found: null }]);
    await assert.rejects(second.query('SELECT nonsense'), /nonsense/);
    assert.deepEqual((await second.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
    await second.end();
    pooler.close();
  });

  test('large answers arrive whole', async () => {
    const pooler = await open(2);
    const one = await client(pooler.url);
    const { rows } = await one.query("SELECT repeat('x', 1000) AS text FROM generate_series(1, 5000)");
    assert.equal(rows.length, 5000);
    await one.end();
    pooler.close();
  });

  test('another password, or user, or database: refused', async () => {
    const pooler = await open(1);
    for (const part of ['password', 'username', 'pathname']) {
      const url = new URL(pooler.url);
      url[part] = part === 'pathname' ? '/other' : 'other';
      await assert.rejects(client(url.href), { code: '28P01' });
    }
    pooler.close();
  });

  test('a server that is away: said so, and later there again', async () => {
    const url = new URL(process.env.DATABASE_URL);
    url.port = '1';
    const pooler = await Pooler.open(url.href, 1);
    const one = await client(pooler.url);
    await assert.rejects(one.query('SELECT 1'), /ECONNREFUSED/);
    pooler.close();
  });
});

describe('what a command leaves for the next', () => {
  test('half a file is none', () => {
    const folder = mkdtempSync(join(tmpdir(), 'celaest-state-'));
    const file = join(folder, 'inner/run.json');
    assert.equal(readState(file), null);
    writeState(file, { pid: 1 });
    assert.deepEqual(readState(file), { pid: 1 });
    for (const text of ['', '{"pid":']) {
      writeFileSync(file, text);
      assert.equal(readState(file), null);
    }
    rmSync(folder, { recursive: true });
  });
});

describe('a program that fails', () => {
  test('says all it has to say, without its progress and its backtrace', async () => {
    const script = `
      for (let n = 0; n < 80; n += 1) console.error('error: number ' + n);
      console.error('   Compiling something v1.0.0');
      console.error('Stack backtrace:');
      console.error('   0: main');
      process.exit(3);`;
    await assert.rejects(run(process.execPath, ['-e', script], { failure: 'It failed.' }), (error) => {
      const lines = error.message.split('\n');
      assert.equal(lines[0], 'error: number 0');
      assert.equal(lines[79], 'error: number 79');
      assert.deepEqual(lines.slice(80), ['', 'It failed.']);
      return true;
    });
  });
});

describe('the notes of a release', () => {
  const changelog = '# Changes\n\nWords.\n\n## Unreleased\n\n- Soon.\n\n## 1.2.0 (2026-03-01)\n\n### Added\n\n- This.\n\n## 1.1.0\n\n- That.\n';
  const files = (version) => ({ 'package.json': version, 'Cargo.toml': version });

  test('are the part of the changelog that is about it', () => {
    assert.equal(notesOf(changelog, 'v1.2.0', files('1.2.0')), '### Added\n\n- This.');
    assert.equal(notesOf(changelog, '1.1.0', files('1.1.0')), '- That.');
  });

  test('there are none of a version that is not in it, or that the files do not say', () => {
    assert.throws(() => notesOf(changelog, 'v1.3.0', files('1.3.0')), /says nothing of 1\.3\.0/);
    assert.throws(() => notesOf(changelog, 'v1.2.0', files('1.1.0')), /package\.json says 1\.1\.0/);
    assert.throws(() => notesOf(changelog, '1.2', files('1.2')), /says nothing/);
  });
});

describe('the lines that ran', () => {
  const counter = (id) => id * 4 + 1;
  // The body ran three times, what is inside the condition once; of the rest the difference.
  const functions = [{
    name: 1n, expressions: [[counter(0), counter(1)]],
    stretches: [
      { file: '/a.rs', line: 2, column: 1, lastLine: 8, lastColumn: 2, counter: counter(0) },
      { file: '/a.rs', line: 3, column: 13, lastLine: 5, lastColumn: 6, counter: counter(1) },
      { file: '/a.rs', line: 6, column: 5, lastLine: 8, lastColumn: 2, counter: 2 },
      { file: '/other.rs', line: 1, column: 1, lastLine: 1, lastColumn: 9, counter: 0 },
    ],
  }];
  const source = ['use x;', 'fn a() {', '    if x() {', '        // Why.', '    }', '    y();', '', '}'];
  const linesWith = (counts) => {
    const files = stretchesByFile(functions, new Map([[1n, counts]]), (file) => file === '/a.rs');
    assert.deepEqual([...files.keys()], ['/a.rs']);
    return linesOf(source, files.get('/a.rs'));
  };

  test('are those of the innermost stretch; words and nothing do not count', () => {
    assert.deepEqual(linesWith([3, 1]), [null, 3, 3, null, 1, 2, null, 2]);
    assert.deepEqual(linesWith([3, 0]), [null, 3, 3, null, 0, 3, null, 3]);
    assert.deepEqual(linesWith([0, 0]), [null, 0, 0, null, 0, 0, null, 0]);
  });

  test('what the native tests ran is added to the lines that the worker has, and to no others', () => {
    assert.deepEqual(together([null, 0, 2], [5, 1, 0]), [null, 1, 2]);
    assert.deepEqual(together([0, 2], undefined), [0, 2]);
  });
});
