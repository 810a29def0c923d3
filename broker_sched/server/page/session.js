// Who looks at the page, and what they may call: the server writes it into the page that it sends.

/**
 * @typedef {object} Caller
 * @property {string} namespace whose tasks are shown
 * @property {string} version of the server that sent this page
 * @property {string} page the part of its files' addresses that is another one in another version
 * @property {string} name of the user, token or certificate; empty where nobody has to log in
 * @property {string} role viewer, worker, operator or admin
 * @property {'counts' | 'names' | 'all'} sees how much of the replies they get
 * @property {boolean} hasLogin whether they have logged in with this browser, and may log out
 */

const written = JSON.parse(document.documentElement.dataset.context ?? '{}');

/** @type {Caller} */
export const caller = {
  namespace: written.namespace ?? '',
  version: written.version ?? '',
  page: written.page ?? '',
  name: written.name ?? '',
  role: written.role ?? 'viewer',
  sees: written.sees ?? 'counts',
  hasLogin: written.has_login ?? false,
};

/** Who changes tasks by this page, for those who look later. */
export const author = caller.name || 'the web page';

/** @type {Set<string>} */
const methods = new Set(written.methods ?? []);

/**
 * Tells whether the caller may call a method. What they may not is not offered; the server refuses it all the same.
 * @param {string} method
 */
export function may(method) {
  return methods.has(method);
}
