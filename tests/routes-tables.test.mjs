// The tables of routes/<module>.mjs beside the published document.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operations } from './support/openapi.mjs';
import { PERMISSIONS } from './support/roles.mjs';
import { FIELDS, ROUTES, routes } from './support/routes.mjs';

test('the tables name every route of the document, and no other', () => {
  assert.deepEqual(Object.keys(ROUTES).sort(), [...operations.keys()].sort());
});

test('the tables say of every route what they can say', () => {
  for (const { name, route, parameters } of routes) {
    assert.deepEqual(Object.keys(route).filter((field) => !FIELDS.includes(field)), [], name);
    assert.equal(FIELDS.slice(0, 3).filter((field) => route[field]).length, 1, `${name}: who may call it?`);
    if (route.permission) assert.ok(PERMISSIONS.includes(route.permission), name);
    if (route.permissionForOneself) assert.ok(route.permission && PERMISSIONS.includes(route.permissionForOneself) && parameters[0] === 'id', name);
    if (parameters.length) assert.ok(route.make, `${name}: what does the path name?`);
  }
});

test('the document says who may call what', () => {
  for (const { name, route } of routes) {
    const operation = operations.get(name);
    assert.equal(operation['x-permission'], route.permission, name);
    assert.equal(operation['x-permission-own'], route.permissionForOneself, name);
    assert.equal(operation.security.length === 0, route.open === true, name);
  }
});
