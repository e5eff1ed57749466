// The checks of order.mjs must themselves be able to fail.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contradictions, duplicates, isContiguous, outOfTurn } from './order.mjs';

test('the checks find what is wrong', () => {
  assert.deepEqual(duplicates(['a/0', 'b/0', 'a/0']), ['a/0']);
  assert.deepEqual(duplicates(['a/0', 'b/0']), []);
  assert.equal(isContiguous(['b', 'c'], ['a', 'b', 'c']), true);
  assert.equal(isContiguous(['a', 'c'], ['a', 'b', 'c']), false);
  assert.deepEqual(outOfTurn(['a/0', 'b/0', 'a/2', 'a/1']), ['a/1']);
  assert.deepEqual(contradictions([['a', 'b', 'c'], ['a', 'c'], ['b', 'c']]), []);
  assert.deepEqual(contradictions([['a', 'b'], ['b', 'a']]).sort(), ['a', 'b']);
  assert.deepEqual(contradictions([['a', 'b'], ['b', 'c'], ['c', 'a']]).sort(), ['a', 'b', 'c']);
});
