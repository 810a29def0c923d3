// How a worker is started under the page's policy, by which no text is run as a script.

import { caller } from './session.js';

const OWN = /^page\/[0-9a-f]+\/[a-z_]+_worker\.js$/;

// The only policy that the server allows, and it can be made but once: nobody else turns a text into a script's address.
const policy = /** @type {any} */ (globalThis).trustedTypes?.createPolicy('own-worker', {
  /** @param {string} address */
  createScriptURL: (address) => {
    if (!OWN.test(address)) throw new TypeError(`${address} is no worker of this page.`);
    return address;
  },
});

/**
 * Starts a worker of this page, a module in a file beside this one.
 * @param {string} name of its file, without `.js`; it ends with `_worker`
 */
export function startWorker(name) {
  const address = `page/${caller.page}/${name}.js`;
  return new Worker(policy ? policy.createScriptURL(address) : address, { type: 'module' });
}
