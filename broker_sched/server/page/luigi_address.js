// Leads from an address of Luigi's own page to the view that shows the same. What stands behind its `#` never reaches a
// server, so that has to be done here.

import { href } from './addresses.js';

// What a stock luigid calls the states of tasks that wait for one which failed, or is disabled.
const STATES = /** @type {Record<string, string>} */ ({ UPSTREAM_FAILED: 'WAITING', UPSTREAM_DISABLED: 'BLOCKED' });
const KNOWN = new Set(['PENDING', 'RUNNING', 'BATCH_RUNNING', 'DONE', 'FAILED', 'DISABLED', ...Object.keys(STATES)]);

/**
 * Returns the address of the view, relative to the page.
 * Source: luigi/static/visualiser/js/visualiserApp.js, processHashChange, 3.8.1.
 * @param {string} hash as location.hash has it
 */
function viewOf(hash) {
  const text = hash.replace(/^#/, '');
  const asked = new URLSearchParams(text);
  const tab = asked.get('tab');
  if (tab === 'workers' || tab === 'resources') return href(tab);
  // Older ones had nothing but the id.
  const id = text && !text.includes('=') ? decoded(text) : asked.get('taskId');
  if (id) return href('graph', { id, direction: asked.get('invert') === '1' ? 'dependents' : null });
  return href('tasks', {
    family: asked.get('family'),
    status: stateIn(asked.get('statuses')),
    text: asked.get('search__search'),
  });
}

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * Returns the state, where just one that is known was chosen: a view shows one, or all.
 * @param {string | null} json
 */
function stateIn(json) {
  try {
    const [state, ...others] = JSON.parse(json ?? '[]');
    return others.length === 0 && KNOWN.has(state) ? (STATES[state] ?? state) : null;
  } catch {
    return null;
  }
}

location.replace(`../../${viewOf(location.hash)}`);
