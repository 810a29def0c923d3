// Which view is shown: `?view=<name>&…` in the address. Links are plain ones; a plain click in one is carried out here.

import { addParams, href, ViewParams } from './addresses.js';
import { useEffect } from './libraries.js';
import { caller } from './session.js';
import { Shared, useShared } from './shown_values.js';

export { href };

/** @typedef {import('./addresses.js').Params} Params */

export const DEFAULT_VIEW = 'now';

function fromAddress() {
  const params = new ViewParams(location.search);
  const view = params.get('view') || DEFAULT_VIEW;
  params.delete('view');
  return { view, params };
}

/** The view that is shown, and its parameters. */
export const route = new Shared(fromAddress());

/** Returns the parameters of the view that is shown, to a component that shows something of them. */
export function useParams() {
  return useShared(route).params;
}

/**
 * Shows another view.
 * @param {string} view
 * @param {Params | URLSearchParams} [params]
 * @param {{replace?: boolean}} [how] replace: the address before is not kept in the browser's history
 */
export function go(view, params, how) {
  follow(href(view, params), how);
}

/**
 * Changes some parameters of the view that is shown; null removes one.
 * @param {Params} changes
 * @param {{replace?: boolean}} [how]
 */
export function setParams(changes, how) {
  const { view, params } = route.value;
  const kept = new URLSearchParams(params);
  for (const name of Object.keys(changes)) kept.delete(name);
  addParams(kept, Object.entries(changes));
  if (String(kept) !== String(params)) follow(href(view, kept), how);
}

/**
 * @param {string} address
 * @param {{replace?: boolean}} [how]
 */
function follow(address, how) {
  const before = route.value.view;
  if (how?.replace) history.replaceState(null, '', address);
  else history.pushState(null, '', address);
  route.value = fromAddress();
  if (route.value.view !== before) scrollTo(0, 0);
}

/**
 * Names the page in the browser's tab, while the component that calls this is shown.
 * @param {string} title
 */
export function useTitle(title) {
  useEffect(() => {
    document.title = `${title} · ${caller.namespace} · broker_sched`;
  }, [title]);
}

/** @param {MouseEvent} event */
function catchClick(event) {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) {
    return;
  }
  const link = event.target instanceof Element ? event.target.closest('a[href]') : null;
  if (!(link instanceof HTMLAnchorElement) || link.target || link.hasAttribute('download')) return;
  if (!link.getAttribute('href')?.startsWith('?view=')) return;
  event.preventDefault();
  follow(link.getAttribute('href') ?? '');
}

/** Begins to follow clicks, and the browser's buttons for back and forth. */
export function startRouter() {
  document.addEventListener('click', catchClick);
  addEventListener('popstate', () => {
    route.value = fromAddress();
  });
}
