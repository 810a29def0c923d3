// The addresses of views.

/** @typedef {string | number | boolean | null | undefined} Value */
/** @typedef {Record<string, Value | Value[]>} Params values of null, undefined and '' are left out; lists are repeated */

/**
 * Makes the address of a view, relative, so that it holds behind a proxy that adds a path.
 * @param {string} view
 * @param {Params | URLSearchParams} [params]
 */
export function href(view, params = {}) {
  const query = new URLSearchParams({ view });
  addParams(query, params instanceof URLSearchParams ? params.entries() : Object.entries(params));
  return `?${query}`;
}

/**
 * Adds parameters to those of an address.
 * @param {URLSearchParams} query
 * @param {Iterable<[string, Value | Value[]]>} entries
 */
export function addParams(query, entries) {
  for (const [name, value] of entries) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== null && each !== undefined && each !== '') query.append(name, String(each));
    }
  }
}
