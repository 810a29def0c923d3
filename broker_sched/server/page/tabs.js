// Tabs of one browser that show the same server: one of them listens, and tells the others.

import { caller } from './session.js';

const NAME = `bsched ${location.pathname} ${caller.namespace} ${caller.name}`;
// Browsers have locks over TLS and at this machine's own addresses; elsewhere each tab listens for itself.
const CAN_SHARE = 'locks' in navigator && 'BroadcastChannel' in globalThis;

/**
 * Takes turns with the other visible tabs, as long as this one is visible. A hidden tab hears nothing.
 *
 * lead: begins to listen, is given what tells the other tabs something, and returns what ends that. rest: the tab was
 * hidden. hear: is given what the tab that listens tells. greet: returns what it tells a tab that comes.
 * @param {{lead: (tell: (told: any) => void) => () => void, rest: () => void, hear: (told: any) => void,
 *   greet: () => any}} acts
 */
export function shareTabs(acts) {
  /** @type {AbortController | null} */
  let showing = null; // while the tab is visible

  const show = () => {
    if (showing) return;
    showing = new AbortController();
    const { signal } = showing;
    if (!CAN_SHARE) {
      signal.addEventListener('abort', acts.lead(() => {}));
      return;
    }
    let isLeading = false;
    const channel = new BroadcastChannel(NAME);
    signal.addEventListener('abort', () => channel.close());
    channel.onmessage = ({ data }) => {
      if (data === 'hello') isLeading && channel.postMessage(acts.greet());
      else if (!isLeading) acts.hear(data); // what the one before says late is told anew by the stream of this one
    };
    channel.postMessage('hello');
    const leading = () =>
      new Promise((resolve) => {
        isLeading = true;
        const end = acts.lead((told) => signal.aborted || channel.postMessage(told));
        signal.addEventListener('abort', () => {
          end();
          resolve(undefined);
        });
      });
    navigator.locks.request(NAME, { signal }, leading).catch((error) => {
      if (!signal.aborted) throw error; // else it was hidden before its turn came
    });
  };

  const hide = () => {
    if (!showing) return;
    showing.abort();
    showing = null;
    acts.rest();
  };

  const look = () => (document.hidden ? hide() : show());
  document.addEventListener('visibilitychange', look);
  addEventListener('pagehide', hide); // it may be kept, and come back
  addEventListener('pageshow', look);
  look();
}
