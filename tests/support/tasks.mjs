// AI tasks as their users wait for them.

import assert from 'node:assert/strict';
import { eventually, good } from './api.mjs';

export const TASKS = '/api/ai/tasks';
export const TASK = '/api/ai/tasks/{id}';
export const BATCHES = '/api/ai/batches';
export const BATCH = '/api/ai/batches/{id}';

/** Hands a task in; returns it. */
export const handIn = async (as, body) => good(await as('POST', TASKS, { body }), 202);

/** Hands a batch in; returns it. */
export const handInBatch = async (as, body) => good(await as('POST', BATCHES, { body }), 202);

const FINAL = ['completed', 'failed', 'cancelled'];

/** The task once it has ended. */
export const ended = (as, { id }, patience = 30_000) => eventually(async () => {
  const task = good(await as('GET', TASK, { id }));
  return FINAL.includes(task.status) && task;
}, patience);

/** The batch once it has ended. */
export const batchEnded = (as, { id }, patience = 60_000) => eventually(async () => {
  const batch = good(await as('GET', BATCH, { id }));
  return FINAL.includes(batch.status) && batch.completed_at && batch;
}, patience);

/** What came of a task. */
export const resultOf = async (as, { id }) => good(await as('GET', `${TASK}/result`, { id }));

/** The lines of a batch's results. */
export async function resultsOf(as, { id }) {
  const answer = await as('GET', `${BATCH}/results`, { id });
  assert.equal(answer.status, 200, answer.text);
  return answer.text.split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

/** The rows that wait in the queue. */
export async function queued(stack, condition = 'true', values = []) {
  const { rows } = await stack.pg.query(`SELECT * FROM ai_task_queue WHERE ${condition} ORDER BY place`, values);
  return rows;
}

/** Fires the job of the minute. */
export const minute = (stack) => stack.triggerCron('* * * * *');

/** Makes what waits due, and calls for it. */
export async function hurry(stack, condition = 'true', values = []) {
  await stack.pg.query(`UPDATE ai_task_queue SET due_at = now() WHERE ${condition}`, values);
  await minute(stack);
}

/** The topics that webhooks are told of, about tasks and batches of an organization, oldest first. */
export async function toldOf(stack, organization) {
  const { rows } = await stack.pg.query(
    `SELECT topic, payload FROM outbox_messages WHERE organization_id = $1 AND topic LIKE 'ai.%' ORDER BY created_at, id`, [organization]);
  return rows;
}
