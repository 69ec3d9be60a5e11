// The lines that the tests ran: as text, and as pages to look at.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** What has a goal of its own, in percent; the first one is everything. */
const AREAS = [
  { name: 'everything', goal: 80, has: () => true },
  { name: 'src/domain', goal: 90, has: (file) => file.startsWith('src/domain/') },
  { name: 'durable', goal: 90, has: (file) => file.startsWith('durable/') },
];

/** How many files the text names. */
const MOST_NAMED = 25;

const percent = ({ ran, lines }) => (lines ? (100 * ran) / lines : 100);
const shown = (sum) => `${percent(sum).toFixed(1).padStart(5)} %  ${String(sum.ran).padStart(6)} of ${String(sum.lines).padStart(6)} lines`;

/** The lines of files that hold something, and those that ran. */
function sumOf(files) {
  const counts = files.flatMap(({ lines }) => lines.filter((count) => count !== null));
  return { lines: counts.length, ran: counts.filter((count) => count > 0).length };
}

/** The areas with what they reach. */
export function areasOf(files) {
  return AREAS.map(({ name, goal, has }) => {
    const sum = sumOf(files.filter(({ file }) => has(file)));
    return { name, goal, ...sum, percent: percent(sum), isReached: percent(sum) > goal };
  });
}

/** The report as text. @param {{ file: string, source: string[], lines: (number | null)[] }[]} files */
export function textOf(files) {
  const missing = files.map((one) => ({ ...sumOf([one]), file: one.file })).filter(({ lines, ran }) => ran < lines)
    .toSorted((one, other) => (other.lines - other.ran) - (one.lines - one.ran));
  return [
    ...areasOf(files).map((area) => `${shown(area)}  ${area.name} (goal: more than ${area.goal} %)`),
    '', 'Where most lines did not run:',
    ...missing.slice(0, MOST_NAMED).map((one) => `${shown(one)}  ${one.file}`),
    '',
  ].join('\n');
}

const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
const STYLE = `body{font:14px/1.5 system-ui;margin:2em;max-width:70em}pre{font:12px/1.5 ui-monospace,monospace}td,th{padding:.1em 1em .1em 0;text-align:left}
td:nth-child(n+2){text-align:right}.ran{background:#dfd}.not{background:#fcc}i{color:#888;font-style:normal;display:inline-block;width:7em;text-align:right;margin-right:1em}
@media(prefers-color-scheme:dark){body{background:#111;color:#ddd}a{color:#8bf}.ran{background:#132d13}.not{background:#5a1a1a}}`;
const page = (title, content) => `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><style>${STYLE}</style><h1>${title}</h1>${content}</html>\n`;

function rowOf(link, sum) {
  return `<tr><td>${link}</td><td>${percent(sum).toFixed(1)} %</td><td>${sum.lines - sum.ran}</td><td>${sum.lines}</td></tr>`;
}

/** Writes the pages into a folder of their own, `index.html` first. */
export function writePages(folder, files) {
  rmSync(folder, { recursive: true, force: true });
  for (const { file, source, lines } of files) {
    const path = join(folder, `${file}.html`);
    const content = source.map((text, index) => {
      const count = lines[index];
      const kind = count === null ? '' : ` class="${count > 0 ? 'ran' : 'not'}"`;
      return `<span${kind}><i>${count ?? ''}</i>${escaped(text)}</span>`;
    }).join('\n');
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, page(file, `<p><a href="${relative(dirname(path), join(folder, 'index.html'))}">all files</a></p><pre>${content}</pre>`));
  }
  const head = '<tr><th></th><th>ran</th><th>lines that did not</th><th>lines</th></tr>';
  const areas = areasOf(files).map((area) => rowOf(`${area.name} (goal: more than ${area.goal} %)`, area)).join('');
  const rows = files.map((one) => rowOf(`<a href="${one.file}.html">${one.file}</a>`, sumOf([one]))).join('');
  writeFileSync(join(folder, 'index.html'), page('Lines that the tests ran', `<table>${head}${areas}</table><table>${head}${rows}</table>`));
}
